import numpy as np
import pytest

from nasplug.contract.choice import Choice
from nasplug.spaces.tree import ChoiceTree

TREE = ChoiceTree(
    [
        Choice("op", ("conv", "sep", "pool")),
        Choice("kernel", (3, 5), when={"op": ("conv", "sep")}),
        Choice("wide", (False, True), when={"op": "conv", "kernel": 5}),
        Choice("drop", {"low": 0.1, "high": 0.5}, when={"op": "pool"}),
    ],
    "tree",
)


def test_what_is_active():
    assert TREE.active((0, 1, 1, 0.3)) == [True, True, True, False]
    assert TREE.active((1, 1, 1, 0.3)) == [True, True, False, False]
    assert TREE.active((2, 1, 1, 0.3)) == [True, False, False, True]
    assert TREE.canonical((2, 1, 1, 0.3)) == (2, 0, 0, 0.3)
    assert TREE.canonical((0, 1, 1, 0.3)) == (0, 1, 1, 0.1)
    assert TREE.conditional


def test_a_draw_takes_one_number_per_choice_whatever_is_active():
    for seed in range(10):
        rng, other = np.random.default_rng(seed), np.random.default_rng(seed)
        TREE.sample(rng)
        other.random(4)
        assert rng.random() == other.random()


def test_variation_gives_canonical_vectors():
    rng = np.random.default_rng(0)
    genes = other = TREE.sample(rng)
    for _ in range(300):
        genes, other = TREE.mutate(genes, rng), TREE.sample(rng)
        child = TREE.cross(genes, other, rng)
        for each in (genes, other, child, *TREE.neighbours(child)):
            assert TREE.canonical(each) == each


def test_a_child_draws_what_neither_parent_decided():
    tree = ChoiceTree(
        [Choice("a", (0, 1)), Choice("b", (0, 1)), Choice("both", tuple("abcd"), when={"a": 1, "b": 1})], "tree"
    )
    rng = np.random.default_rng(0)
    children = {tree.cross((1, 0, 0), (0, 1, 0), rng) for _ in range(200)}
    assert {child[2] for child in children if child[:2] == (1, 1)} == {0, 1, 2, 3}
    assert {child[2] for child in children if child[:2] != (1, 1)} == {0}


def test_size_and_walk():
    finite = ChoiceTree(TREE.choices[:3], "tree")
    assert finite.size() == 3 + 2 + 1
    assert list(finite.walk()) == [(0, 0, 0), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 1, 0), (2, 0, 0)]
    assert ChoiceTree([], "empty").size() == 1


@pytest.mark.parametrize("weights", [None, (0.0, 0.0, 1.0)])
def test_weights_decide_draws_but_not_mutations(weights):
    tree = ChoiceTree([Choice("op", ("a", "b", "c"), weights), Choice("x", (1, 2), when={"op": "a"})], "tree")
    rng = np.random.default_rng(0)
    assert {tree.sample(rng)[0] for _ in range(100)} == ({0, 1, 2} if weights is None else {2})
    assert {tree.mutate((2, 0), rng)[0] for _ in range(100)} == {0, 1}

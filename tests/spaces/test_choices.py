import itertools
import pickle

import numpy as np
import pytest

import nasplug as nas
from nasplug.contract.errors import SpaceError
from nasplug.contract.ranges import FloatRange, IntRange
from nasplug.testing import SpaceConformance, SyntheticSpace


class Net(nas.ChoiceSpace):
    """Built as a perceptron whose shape follows the active choices."""

    def build(self, architecture, task):
        import math

        from torch import nn

        made = self.active(architecture)
        width = int(made.get("units", 4)) + int(made.get("kernel", 0))
        features = math.prod(task.input_shape)
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(features, width),
            nn.Dropout(float(made.get("drop", 0.0))),
            nn.ReLU(),
            nn.Linear(width, task.outputs),
        )


FINITE = (
    nas.Choice("op", ("conv", "sep", "pool")),
    nas.Choice("kernel", (3, 5, 7), when={"op": ["conv", "sep"]}),
    nas.Choice("bias", (False, True), when={"op": "conv", "kernel": {"low": 5, "high": 9}}),
    nas.Choice("units", {"low": 4, "high": 16, "step": 4}),
    nas.Choice("extra", {"low": 1, "high": 64, "log": True}, when={"units": {"low": 8, "high": 12}}),
)
MIXED = (*FINITE[:2], nas.Choice("drop", {"low": 0.0, "high": 0.5}, when={"op": "conv"}), FINITE[3])


def finite():
    return Net("finite", FINITE)


def mixed():
    return Net("mixed", MIXED)


class TestFinite(SpaceConformance):
    builds = 1

    def make_space(self):
        return finite()


class TestMixed(SpaceConformance):
    builds = 1

    def make_space(self):
        return mixed()


def test_the_genotype_of_an_inactive_choice_is_none_and_does_not_count():
    space = finite()
    plain = space.architecture(["pool", None, None, 4, None])
    ignored = space.architecture(["pool", 7, True, 4, 64])
    assert (plain, plain.genotype) == (ignored, ignored.genotype)
    assert plain.key == '["pool",null,null,4,null]'
    assert space.vector(plain) == (2, 0, 0, 0, 0)
    assert space.from_vector((2, 1, 1, 0, 9)) == plain
    assert space.active(plain) == {"op": "pool", "units": 4}


def test_an_architecture_can_be_named_by_its_active_choices():
    space = mixed()
    named = space.architecture({"op": "conv", "kernel": 3, "drop": 0.25, "units": 8})
    assert named == space.architecture(("conv", 3, 0.25, 8))
    assert space.active(named) == {"op": "conv", "kernel": 3, "drop": 0.25, "units": 8}
    assert space.vector(named) == (0, 0, 0.25, 1)
    assert space.label(named) == "op=conv kernel=3 drop=0.25 units=8"
    assert space.architecture(("conv", 3, 0, 8)).genotype == ("conv", 3, 0.0, 8)  # one form for 0 and 0.0
    with pytest.raises(SpaceError, match=r"did you mean 'kernel'"):
        space.architecture({"op": "pool", "kernle": 3})


@pytest.mark.parametrize(
    ("genotype", "message"),
    [
        (("conv", None, None, 4, None), "None is not an option of 'kernel'"),
        (("conv", 4, None, 4, None), "4 is not an option of 'kernel'"),
        (("pool", 4, None, 4, None), "4 is not an option of 'kernel'"),
        (("pool", None, None, 5, None), r"5 is not an option of 'units'(.|\n)*4..16 in steps of 4"),
        (("pool", None, None, 8, None), "None is not an option of 'extra'"),
        (("pool", None, None, 4.0, None), "4.0 is not an option of 'units'"),
        (("pool", None, None, 4), "genotype of 5 entries"),
        ({"op": "pool"}, "None is not an option of 'units'"),
    ],
)
def test_values_outside_the_options_are_refused(genotype, message):
    with pytest.raises(SpaceError, match=message):
        finite().architecture(genotype)


def test_numbers_outside_a_continuous_range_are_refused():
    with pytest.raises(SpaceError, match=r"give a value of 0..0.5"):
        mixed().architecture(("conv", 3, 0.6, 4))
    with pytest.raises(SpaceError, match="is not an option of 'drop'"):
        mixed().from_vector((0, 0, 0.6, 0))


def brute_force(space):
    """Every canonical vector, from the full product of the options."""
    ranges = [range(len(choice.options)) for choice in space.choices]
    return sorted({space.vector(space.from_vector(genes)) for genes in itertools.product(*ranges)})


def random_space(seed):
    """Up to six choices, each with a random condition on earlier ones."""
    rng = np.random.default_rng(seed)
    choices = []
    for i in range(int(rng.integers(1, 7))):
        size = int(rng.integers(1, 5))
        options = IntRange(3, 2 + size) if size > 1 and rng.random() < 0.5 else tuple("abcd"[:size])
        when = {}
        for parent in choices:
            if rng.random() < 0.4:
                allowed = rng.choice(len(parent.options), int(rng.integers(1, len(parent.options) + 1)), replace=False)
                when[parent.name] = [parent.options[int(j)] for j in allowed]
        choices.append(nas.Choice(f"c{i}", options, when=when or None))
    return Net("random", choices)


@pytest.mark.parametrize("seed", range(60))
def test_size_and_enumeration_are_exact(seed):
    space = random_space(seed)
    walked = [space.vector(architecture) for architecture in space]
    assert walked == brute_force(space)
    assert space.size() == len(walked)


@pytest.mark.parametrize("seed", range(30))
def test_codes_are_distinct_and_agree_with_columns(seed):
    space = random_space(seed)
    everything = list(space)
    codes = [space.code(each) for each in everything]
    assert len(set(codes)) == len(codes)
    assert [space.from_code(code) for code in codes] == everything
    columns = {
        choice.name: np.array([each.genotype[i] for each in everything], dtype=object)
        for i, choice in enumerate(space.choices)
    }
    assert space.codes(columns).tolist() == codes


def test_size_of_a_large_tree_is_counted_and_not_walked():
    depth = nas.Choice("depth", {"low": 1, "high": 40})
    layers = [
        nas.Choice(f"width{i}", {"low": 1, "high": 100}, when={"depth": {"low": i, "high": 40 + i}})
        for i in range(1, 40)
    ]
    space = Net("deep", [depth, *layers])
    assert space.size() == sum(100 ** min(n, 39) for n in range(1, 41))


def test_a_continuous_choice_says_that_there_is_no_size():
    space = mixed()
    assert not isinstance(space, nas.Enumerates)
    assert not isinstance(space, nas.Tabulates)
    assert isinstance(space, (nas.Mutates, nas.Crosses, nas.HasVector))
    assert isinstance(finite(), nas.Enumerates)
    with pytest.raises(SpaceError, match=r"'drop' is continuous(.|\n)*step"):
        space.size()
    with pytest.raises(TypeError, match="not iterable"):
        iter(space)
    copy = pickle.loads(pickle.dumps(space))
    assert isinstance(copy, Net)
    assert not isinstance(copy, nas.Enumerates)
    assert copy.sample(np.random.default_rng(1)) == space.sample(np.random.default_rng(1))


def test_draws_follow_the_tree_and_the_weights():
    op = nas.Choice("op", ("conv", "pool"), weights=(0.8, 0.2))
    kernel = nas.Choice("kernel", (3, 5, 7, 9), when={"op": "conv"})
    space, rng = Net("weighted", [op, kernel]), np.random.default_rng(0)
    drawn = [space.sample(rng).genotype for _ in range(4000)]
    assert sum(op == "conv" for op, _ in drawn) / 4000 == pytest.approx(0.8, abs=0.03)
    assert sum(kernel == 9 for _, kernel in drawn) / 4000 == pytest.approx(0.2, abs=0.03)


def test_a_mutation_changes_one_active_choice_and_draws_what_it_activates():
    space, rng = finite(), np.random.default_rng(0)
    start = space.architecture(("pool", None, None, 4, None))
    seen = set()
    for _ in range(300):
        before, after = space.active(start), space.active(space.mutate(start, rng))
        changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
        assert len(changed) == 1
        assert changed <= {"op", "units"}
        seen.add(tuple(after.items()))
    kernels = {dict(each).get("kernel") for each in seen}
    assert kernels == {None, 3, 5, 7}


def test_crossover_takes_active_genes_from_the_parents():
    space, rng = finite(), np.random.default_rng(0)
    first = space.architecture({"op": "conv", "kernel": 7, "bias": True, "units": 8, "extra": 60})
    second = space.architecture({"op": "pool", "units": 4})
    children = [space.active(space.cross(first, second, rng)) for _ in range(200)]
    assert {child.get("kernel") for child in children} == {7, None}
    assert {child["op"] for child in children} == {"conv", "pool"}
    assert all(child.get("extra", 60) == 60 for child in children)
    assert {child["op"] == "conv" for child in children if child.get("bias")} == {True}


def test_crossover_takes_every_choice_from_either_parent_half_of_the_time():
    space = SyntheticSpace(length=6)
    first, second = space.from_vector([0] * 6), space.from_vector([1] * 6)
    rng = np.random.default_rng(0)
    children = np.array([space.vector(space.cross(first, second, rng)) for _ in range(600)])
    assert (abs(children.mean(axis=0) - 0.5) < 0.1).all()
    assert len({tuple(child) for child in children.tolist()}) == 64  # choices are taken one by one


def test_neighbours_change_one_active_choice():
    space = mixed()
    start = space.architecture({"op": "pool", "units": 8})
    assert [space.active(each) for each in space.neighbours(start)] == [
        {"op": "conv", "kernel": 3, "drop": 0.0, "units": 8},
        {"op": "sep", "kernel": 3, "units": 8},
        {"op": "pool", "units": 4},
        {"op": "pool", "units": 12},
    ]
    inner = space.architecture({"op": "conv", "kernel": 3, "drop": 0.25, "units": 4})
    assert [each.genotype[2] for each in space.neighbours(inner) if each.genotype[2] not in (None, 0.25)] == [
        0.225,
        0.275,
    ]


def test_neighbours_of_a_flat_space_are_all_other_options():
    space = SyntheticSpace(length=3)
    found = space.neighbours(next(iter(space)))
    assert len(found) == 9
    assert found == [each for each in space if sum(space.vector(each)) and sum(map(bool, space.vector(each))) == 1] or (
        {each.key for each in found} == {each.key for each in space if sum(map(bool, space.vector(each))) == 1}
    )


def test_labels_of_many_choices_are_values_alone():
    space = SyntheticSpace(length=8)
    assert space.label(next(iter(space))) == " ".join(["skip"] * 8)
    assert SyntheticSpace(length=2).label(SyntheticSpace(length=2).from_code(1)) == "position0=skip position1=narrow"


def test_a_nested_space_is_there_only_under_its_condition():
    inner = [nas.Choice("kernel", (3, 5)), nas.Choice("dilation", (1, 2), when={"kernel": 3})]
    space = Net(
        "nested",
        [
            nas.Choice("op", ("conv", "pool")),
            *nas.nest("first", inner, {"op": "conv"}),
            *nas.nest("second", inner),
        ],
    )
    assert [choice.name for choice in space.choices[1:]] == [
        "first.kernel",
        "first.dilation",
        "second.kernel",
        "second.dilation",
    ]
    assert space.size() == (3 + 1) * 3
    assert space.choices[2].when == {"op": ("conv",), "first.kernel": (3,)}


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ([nas.Choice("b", (1, 2), when={"a": 1}), nas.Choice("a", (1, 2))], r"'a', which is not an earlier choice"),
        ([nas.Choice("a", (1, 2), when={"a": 1})], "not an earlier choice"),
        ([nas.Choice("a", (1, 2)), nas.Choice("b", (1,), when={"a": 3})], "to be 3, which is not one of its options"),
        ([nas.Choice("a", (1, 2)), nas.Choice("b", (1,), when={"a": True})], "not one of its options"),
        (
            [nas.Choice("a", IntRange(1, 3)), nas.Choice("b", (1,), when={"a": {"low": 5, "high": 7}})],
            "no option of 'a'",
        ),
        ([nas.Choice("a", FloatRange(0.0, 1.0)), nas.Choice("b", (1,), when={"a": 0.5})], "'a', which is continuous"),
        ([nas.Choice("a", ()), nas.Choice("b", (1,))], "distinct options"),
    ],
)
def test_conditions_that_cannot_be_are_refused(choices, message):
    with pytest.raises(SpaceError, match=message):
        Net("wrong", choices)


def test_a_large_range_costs_nothing():
    space, rng = Net("large", [nas.Choice("seed", IntRange(0, 10**15))]), np.random.default_rng(0)
    one = space.sample(rng)
    assert space.size() == 10**15 + 1
    assert space.mutate(one, rng) != one
    assert space.from_code(space.code(one)) == one

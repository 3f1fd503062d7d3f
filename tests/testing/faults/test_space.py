"""Faults that the suite for spaces finds."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

import nasplug as nas
from nasplug.spaces.choices import ChoiceSpace
from nasplug.testing import SpaceConformance, SyntheticSpace
from tests.testing.faults import WRONG


class Space(SyntheticSpace):
    """Healthy; the faults below each break one thing."""


class Shaky(Space):
    def sample(self, rng):
        return super().sample(np.random.default_rng(random.randrange(2**31)))


class Lax(Space):
    def architecture(self, genotype):
        return self._make(tuple(genotype))


class Keyless(Space):
    def validate(self, architecture):
        pass


class Jumpy(Space):
    def mutate(self, architecture, rng):
        return super().mutate(super().mutate(architecture, rng), rng)


class Lazy(Space):
    def mutate(self, architecture, rng):
        return architecture


class Inventive(Space):
    def cross(self, first, second, rng):
        return self.mutate(first, rng)


class Boastful(Space):
    def size(self):
        return super().size() + 1


class Repeating(Space):
    def __iter__(self):
        return itertools.chain([next(super().__iter__())], super().__iter__())


class Mirrored(Space):
    def vector(self, architecture):
        return tuple(reversed(super().vector(architecture)))


class Headless(Space):
    def graph(self, architecture):
        return nas.Graph(("input", *architecture.genotype, "output"), ((0, 1),))


class Guessing(Space):
    def from_graph(self, graph):
        return self.architecture(("wide",) * 3)


class Careless(Space):
    def from_graph(self, graph):
        return self.architecture(graph.labels[1:-1])


class Blind(Space):
    """Calls networks equal that are not."""

    def canonical(self, genotype):
        return genotype[:1]


class Narrow(Space):
    def build(self, architecture, task):
        return super().build(architecture, type("Task", (), {"input_shape": task.input_shape, "outputs": 3}))


class Frozen(Space):
    def build(self, architecture, task):
        return super().build(architecture, task).requires_grad_(False)


@pytest.mark.parametrize(
    ("space", "test"),
    [
        (Shaky, "test_samples_are_valid"),
        (Shaky, "test_sampling_uses_the_given_generator_only"),
        (Lax, "test_garbage_is_refused"),
        (Keyless, "test_foreign_architectures_are_refused"),
        (Jumpy, "test_mutates"),
        (Lazy, "test_mutates"),
        (Lazy, "test_mutation_leaves_the_spot"),
        (Inventive, "test_crosses"),
        (Boastful, "test_enumerates"),
        (Repeating, "test_enumerates"),
        (Mirrored, "test_has_vector"),
        (Headless, "test_has_graph"),
        (Guessing, "test_reads_graph"),
        (Careless, "test_reads_graph"),
        (Blind, "test_equal_keys_build_equal_networks"),
        (Narrow, "test_networks_run_forward_and_backward"),
        (Frozen, "test_networks_run_forward_and_backward"),
    ],
)
def test_spaces(space, test):
    suite = type("Suite", (SpaceConformance,), {"make_space": lambda self: space(length=3)})()
    arguments = ((None,),) if test == "test_garbage_is_refused" else ()
    with pytest.raises(WRONG):
        getattr(suite, test)(*(a[0] for a in arguments))


class Tree(ChoiceSpace):
    """Healthy, with conditional and numeric choices; the faults below each break one thing."""

    def __init__(self):
        super().__init__(
            "tree",
            [
                nas.Choice("op", ("conv", "sep", "pool")),
                nas.Choice("kernel", (3, 5, 7), when={"op": ["conv", "sep"]}),
                nas.Choice("drop", {"low": 0.0, "high": 0.5}, when={"op": "conv"}),
                nas.Choice("units", {"low": 4, "high": 16, "step": 4}),
            ],
        )

    def build(self, architecture, task):
        raise NotImplementedError


class CountsTheDead(Tree):
    """Inactive entries are part of the key."""

    def from_vector(self, indices):
        architecture = super().from_vector(indices)
        return nas.Architecture(self.name, architecture.genotype, f"{architecture.key}{list(indices)}")


class Untidy(Tree):
    """Inactive entries of the vector are not blank."""

    def vector(self, architecture):
        vector = super().vector(architecture)
        return vector if vector[0] < 2 else (vector[0], 1, *vector[2:])


class Overactive(Tree):
    def active(self, architecture):
        return {choice.name: value for choice, value in zip(self.choices, architecture.genotype, strict=True)}


class Restless(Tree):
    """A mutation draws more active choices anew than the one it changes."""

    def mutate(self, architecture, rng):
        mutant, other = super().mutate(architecture, rng), self.sample(rng)
        vector = (*self.vector(mutant)[:-1], self.vector(other)[-1])
        return self.from_vector(vector)


class Inert(Tree):
    """Mutates an inactive choice, which changes nothing."""

    def mutate(self, architecture, rng):
        vector = list(self.vector(architecture))
        vector[1 if vector[0] == 2 else 3] = int(rng.integers(3))
        return self.from_vector(vector)


class Shuffling(Tree):
    """A child draws a number that neither parent has."""

    def cross(self, first, second, rng):
        child = list(self.vector(super().cross(first, second, rng)))
        child[2] = 0.5 * float(rng.random()) if first != second else child[2]
        return self.from_vector(child)


class Wide(Tree):
    def vector(self, architecture):
        return (*super().vector(architecture)[:2], 0.75, super().vector(architecture)[3])


class Distant(Tree):
    def neighbours(self, architecture):
        return [self.sample(np.random.default_rng(seed)) for seed in range(30)]


class Nameless(Tree):
    def label(self, architecture):
        return ""


@pytest.mark.parametrize(
    ("space", "test"),
    [
        (CountsTheDead, "test_has_conditions"),
        (Untidy, "test_has_conditions"),
        (Overactive, "test_has_conditions"),
        (Restless, "test_mutates"),
        (Inert, "test_mutates"),
        (Shuffling, "test_crosses"),
        (Wide, "test_has_vector"),
        (Distant, "test_has_neighbours"),
        (Nameless, "test_has_labels"),
    ],
)
def test_spaces_with_conditions(space, test):
    for made, fails in ((Tree, False), (space, True)):
        suite = type("Suite", (SpaceConformance,), {"make_space": lambda self, made=made: made()})()
        if fails:
            with pytest.raises(WRONG):
                getattr(suite, test)()
        else:
            getattr(suite, test)()


class TestHealthySpace(SpaceConformance):
    def make_space(self):
        return Space(length=4)


class TestSpaceOfOneArchitecture(SpaceConformance):
    def make_space(self):
        class Single(ChoiceSpace):
            build = SyntheticSpace.build

        return Single("single", [nas.Choice("only", ("wide",))])

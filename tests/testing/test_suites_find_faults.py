"""A suite that nothing can fail protects nobody: every fault below is one that an author could make."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

import nasplug as nas
from nasplug.builtin.random import RandomSearch
from nasplug.contract.errors import NasplugError, PluginError, ReplayError
from nasplug.spaces.choices import ChoiceSpace
from nasplug.testing import (
    CostConformance,
    EvaluatorConformance,
    SpaceConformance,
    StrategyConformance,
    SyntheticCost,
    SyntheticEvaluator,
    SyntheticSpace,
    TargetConformance,
    WrapperConformance,
)

WRONG = (AssertionError, NasplugError, KeyError, IndexError, TypeError, AttributeError, pytest.fail.Exception)


# -- strategies ----------------------------------------------------------------------------------------------------


class GlobalRandom(RandomSearch):
    @nas.hookimpl
    def propose(self, study, count):
        rng = np.random.default_rng(np.random.randint(2**31))  # noqa: NPY002
        return [study.proposal(study.space.sample(rng)) for _ in range(count)]


class Unseeded(RandomSearch):
    @nas.hookimpl
    def propose(self, study, count):
        return [study.proposal(study.space.sample(np.random.default_rng())) for _ in range(count)]


class FixedSeed(RandomSearch):
    @nas.hookimpl
    def propose(self, study, count):
        rng = np.random.default_rng(study.proposed)
        return [study.proposal(study.space.sample(rng)) for _ in range(count)]


class TooMany(RandomSearch):
    @nas.hookimpl
    def propose(self, study, count):
        return super().propose(study, count + 1)


class Forgetful(RandomSearch):
    """Its state leaves out what it has seen in the last moment."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    @nas.hookimpl
    def propose(self, study, count):
        self.calls += 1
        return [study.proposal(study.space.sample(study.rng("forgetful", self.calls))) for _ in range(count)]

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class CountsCalls(Forgetful):
    """Saves its state well, but draws by call and count, so that the size of the calls matters."""

    def state_dict(self):
        return {"calls": self.calls}

    def load_state_dict(self, state):
        self.calls = state["calls"]

    @nas.hookimpl
    def propose(self, study, count):
        self.calls += 1
        rng = study.rng("counts", 100 * self.calls + count)
        return [study.proposal(study.space.sample(rng)) for _ in range(count)]


class Trusting(RandomSearch):
    """Believes that every trial has the objective."""

    @nas.hookimpl
    def observe(self, study, trial):
        self.last = trial.metrics[study.objectives[0].name]


class Possessive(RandomSearch):
    """Believes that every trial is its own."""

    @nas.hookimpl
    def propose(self, study, count):
        return [
            study.proposal(item.architecture, turn=study.proposed + i)
            for i, item in enumerate(super().propose(study, count))
        ]

    @nas.hookimpl
    def observe(self, study, trial):
        self.turn = trial.proposal.info["turn"]


class Stubborn(RandomSearch):
    """Waits for ever for something new in a space that is used up."""

    @nas.hookimpl
    def propose(self, study, count):
        for attempt in range(200):
            architecture = study.space.sample(study.rng("stubborn", 1000 * study.proposed + attempt))
            if architecture.key not in self._seen:
                self._seen.add(architecture.key)
                return [study.proposal(architecture)]
        raise RuntimeError("nothing new")


@pytest.mark.parametrize(
    ("strategy", "test", "arguments"),
    [
        (GlobalRandom, "test_global_random_generators_are_left_alone", ()),
        (Unseeded, "test_equal_seeds_give_equal_trials", ()),
        (Unseeded, "test_the_order_of_finishing_changes_nothing", (1,)),
        (FixedSeed, "test_other_seeds_give_other_trials", ()),
        (TooMany, "test_proposals_fit_the_space_and_the_count", ()),
        (CountsCalls, "test_a_longer_run_begins_with_the_shorter_one", ("tmp_path",)),
        (Trusting, "test_failed_and_stopped_trials", (0.4,)),
        (Trusting, "test_constraints", ("units <= 9",)),
        (Possessive, "test_trials_of_others", ("tmp_path",)),
        (Stubborn, "test_a_space_that_is_used_up", ()),
    ],
)
def test_strategies(strategy, test, arguments, tmp_path):
    suite = type("Suite", (StrategyConformance,), {"make_strategy": lambda self: strategy()})()
    with pytest.raises((*WRONG, RuntimeError)):
        getattr(suite, test)(*[tmp_path if value == "tmp_path" else value for value in arguments])


@pytest.mark.parametrize(("how", "fails"), [("snapshot", True), ("replay", False)])
def test_an_inexact_state_shows_on_resume(how, fails, tmp_path):
    suite = type("Suite", (StrategyConformance,), {"make_strategy": lambda self: Forgetful()})()
    arguments = (how, 0.35, tmp_path)
    if fails:
        with pytest.raises((AssertionError, ReplayError)):
            suite.test_a_resumed_run_equals_an_uninterrupted_one(*arguments)
    else:
        suite.test_a_resumed_run_equals_an_uninterrupted_one(*arguments)


def test_one_objective_only_must_be_said():
    class Single(RandomSearch):
        @nas.hookimpl
        def propose(self, study, count):
            if len(study.objectives) > 1:
                raise PluginError("takes one objective", where="single")
            return super().propose(study, count)

    silent = type("Suite", (StrategyConformance,), {"make_strategy": lambda self: Single()})
    with pytest.raises(PluginError):
        silent().test_several_objectives()
    type("Suite", (silent,), {"several_objectives": False})().test_several_objectives()
    claims_less = type(
        "Suite", (StrategyConformance,), {"make_strategy": lambda self: RandomSearch(), "several_objectives": False}
    )
    with pytest.raises(pytest.fail.Exception):
        claims_less().test_several_objectives()


# -- spaces --------------------------------------------------------------------------------------------------------


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


# -- evaluators, costs, targets, wrappers --------------------------------------------------------------------------


class TestHealthyEvaluator(EvaluatorConformance):
    def make_evaluator(self):
        return SyntheticEvaluator(noise=0.1)


@pytest.mark.parametrize(
    ("answer", "test"),
    [
        (lambda trial: {"val_acc": float("nan")}, "test_metrics_are_there_and_finite"),
        (lambda trial: {"other": 1.0}, "test_metrics_are_there_and_finite"),
        (lambda trial: {"val_acc": 1.0}, "test_declared_objectives_are_reported"),
        (lambda trial: {"val_acc": random.SystemRandom().random()}, "test_equal_seeds_give_equal_metrics"),
    ],
)
def test_evaluators(answer, test):
    class Evaluator:
        objectives = {"val_acc": "max", "loss": "min"}  # noqa: RUF012

        @nas.hookimpl
        def evaluate(self, run):
            return nas.Evaluation(answer(run.trial))

    suite = type("Suite", (EvaluatorConformance,), {"make_evaluator": lambda self: Evaluator()})()
    with pytest.raises(WRONG):
        getattr(suite, test)()


class TestHealthyCost(CostConformance):
    name = "units"

    def make_cost(self):
        return SyntheticCost()


def _cost(answer):
    return type("Cost", (), {"cost": nas.hookimpl(lambda self, candidate: answer(candidate))})


def _train(candidate):
    candidate.network.eval()
    return {"units": 1.0}


def _scale(candidate):
    import torch

    with torch.no_grad():
        next(candidate.network.parameters()).mul_(2)
    return {"units": 1.0}


def _noise(candidate):
    import torch

    return {"units": float(torch.rand(()))}


@pytest.mark.parametrize(
    ("answer", "test"),
    [
        (lambda candidate: {"other": 1.0}, "test_values_are_numbers_in_its_namespace"),
        (lambda candidate: {"units": -1.0}, "test_values_are_numbers_in_its_namespace"),
        (lambda candidate: {"units": float("inf")}, "test_values_are_numbers_in_its_namespace"),
        (lambda candidate: {}, "test_values_are_numbers_in_its_namespace"),
        (lambda candidate: {f"units/{candidate.architecture.key}": 1.0}, "test_keys_do_not_depend_on_the_candidate"),
        (_noise, "test_equal_candidates_cost_the_same"),
        (_noise, "test_global_random_generators_are_left_alone"),
        (_train, "test_the_network_is_left_as_it_was"),
        (_scale, "test_the_network_is_left_as_it_was"),
    ],
)
def test_costs(answer, test):
    pytest.importorskip("torch")
    suite = type("Suite", (CostConformance,), {"name": "units", "make_cost": lambda self: _cost(answer)()})()
    with pytest.raises(WRONG):
        getattr(suite, test)()


class Target:
    capabilities = {"bits": [8]}  # noqa: RUF012

    def __init__(self, name, **wrong):
        self.name, self.wrong = name, wrong

    def estimate(self, candidate):
        return {"latency_s": 1e-3 * sum(p.numel() for p in candidate.network.parameters()), **self.wrong}


class Targets:
    def __init__(self, **wrong):
        self.wrong = wrong

    @nas.hookimpl
    def hardware_target(self, name):
        return Target(name, **self.wrong) if name.startswith("toy:") else None


class TestHealthyTarget(TargetConformance):
    names = ("toy:a", "toy:b")

    def make_target(self):
        return Targets()


@pytest.mark.parametrize("wrong", [{"energy_j": -1.0}, {"energy_j": float("nan")}, {"toy/energy_j": 1.0}])
def test_targets(wrong):
    pytest.importorskip("torch")
    suite = type("Suite", (TargetConformance,), {"names": ("toy:a",), "make_target": lambda self: Targets(**wrong)})()
    with pytest.raises(WRONG):
        suite.test_estimates_are_finite_amounts()


class Normalised:
    """Healthy: normalises the outputs."""

    @nas.hookimpl(wrapper=True)
    def build(self):
        network = yield
        from torch import nn

        return nn.Sequential(network, nn.BatchNorm1d(10))


class TestHealthyWrapper(WrapperConformance):
    def make_wrapper(self):
        return Normalised()


class Replacing:
    @nas.hookimpl
    def build(self):
        from torch import nn

        return nn.Sequential(nn.Flatten(), nn.LazyLinear(10))


def test_wrappers():
    suite = type("Suite", (WrapperConformance,), {"make_wrapper": lambda self: Replacing()})()
    with pytest.raises(AssertionError, match="wrapper=True"):
        suite.test_it_is_a_wrapper()

"""Faults that the suite for strategies finds."""

from __future__ import annotations

import random

import numpy as np
import pytest

import nasplug as nas
from nasplug.builtin.random import RandomSearch
from nasplug.builtin.successive_halving import SuccessiveHalving
from nasplug.contract.errors import PluginError, ReplayError
from nasplug.testing import StrategyConformance
from tests.testing.faults import WRONG


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


# -- inside another strategy ---------------------------------------------------------------------------------------


class Labelled(RandomSearch):
    """Takes for granted that nobody else uses its word."""

    @nas.hookimpl
    def propose(self, study, count):
        return [study.proposal(item.architecture, rung=study.proposed) for item in super().propose(study, count)]

    @nas.hookimpl
    def observe(self, study, trial):
        self.last = trial.proposal.info["rung"]


class Outside(RandomSearch):
    """Remembers the number of a trial, and asks the study of that moment for it later."""

    study = None

    @nas.hookimpl
    def propose(self, study, count):
        Outside.study = Outside.study if Outside.study is not None and Outside.study.proposed else study
        rng = np.random.default_rng(len(Outside.study.trials))
        return [study.proposal(study.space.sample(rng))]


@pytest.mark.parametrize("strategy", [Labelled, Outside])
def test_a_strategy_that_cannot_be_nested(strategy):
    suite = type("Suite", (StrategyConformance,), {"make_strategy": lambda self: strategy()})()
    with pytest.raises(WRONG):
        suite.test_inside_another_strategy()


def test_one_that_decides_budgets_itself_need_not_be_nested():
    suite = type("Suite", (StrategyConformance,), {"make_strategy": lambda self: SuccessiveHalving()})()
    with pytest.raises(pytest.skip.Exception, match="continues trainings itself"):
        suite.test_inside_another_strategy()


# -- work ----------------------------------------------------------------------------------------------------------

WORK = "nasplug.testing.troubles:example_work"


class Works(RandomSearch):
    """Healthy: has a number drawn before every ten trials, and starts from it."""

    def argument(self, study):
        return study.proposed // 10

    def drawn(self, outcome):
        return 0.0 if outcome.failure is not None else outcome.result["drawn"]

    @nas.hookimpl
    def propose(self, study, count):
        outcome = study.work(nas.Work(WORK, {"value": self.argument(study)}))
        if outcome is None:
            return []
        rng = study.rng("works", int(1000 * self.drawn(outcome)) + 10_000 * study.proposed)
        return [study.proposal(study.space.sample(rng))]


class TestHealthyWorks(StrategyConformance):
    trials = 24

    def make_strategy(self):
        return Works()


class Whimsical(Works):
    """Asks for other work every time it is asked."""

    def argument(self, study):
        return random.SystemRandom().randrange(10**6) if study.proposed % 10 == 0 and not study.trials else 0


class Forgets(Works):
    """Asks for work by a counter that no state keeps."""

    calls = 0

    def argument(self, study):
        if study.proposed % 10 == 0:
            self.calls += 1
        return self.calls

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class Trustful(Works):
    """Believes that work succeeds."""

    def drawn(self, outcome):
        return outcome.result["drawn"]


class Resigned(Works):
    """Ends the search without a word when work fails."""

    @nas.hookimpl
    def propose(self, study, count):
        outcome = study.work(nas.Work(WORK, {"value": self.argument(study)}))
        if outcome is not None and outcome.failure is not None:
            return []
        return super().propose(study, count)


@pytest.mark.parametrize(
    ("strategy", "test", "arguments"),
    [
        (Whimsical, "test_work_is_asked_for_once", ("tmp_path",)),
        (Forgets, "test_work_is_asked_for_once", ("tmp_path",)),
        (Trustful, "test_work_that_fails", ()),
        (Resigned, "test_work_that_fails", ()),
    ],
)
def test_strategies_with_work(strategy, test, arguments, tmp_path):
    suite = type("Suite", (StrategyConformance,), {"make_strategy": lambda self: strategy()})()
    with pytest.raises(WRONG):
        getattr(suite, test)(*[tmp_path for _ in arguments])

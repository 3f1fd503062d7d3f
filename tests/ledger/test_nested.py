"""A study inside another one: what the inner strategy asks to be trained, and what its proposals keep."""

from __future__ import annotations

import pytest

import nasplug as nas
from nasplug.builtin.successive_halving import SuccessiveHalving
from nasplug.contract.errors import PluginError
from nasplug.contract.records import Budget, Failure, Proposal
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.nested import InnerSearch, NestedStudy
from nasplug.ledger.work import Outcome, Work
from nasplug.testing import SyntheticSpace, run_search

SPACE = SyntheticSpace()


def count(run, *, trials):
    """Work: says how many trials it saw."""
    return [trials, len(run.study.trials)]


def fail(run):
    """Work that never succeeds."""
    raise ValueError("no data")


class Learner:
    """Trains on all that is finished before every proposal."""

    def __init__(self):
        self.saw = []

    @nas.hookimpl
    def propose(self, study, count):
        done = study.work(Work(f"{__name__}:count", {"trials": len(study.trials)}))
        if done is None:
            return []
        self.saw.append(done.result)
        return [study.proposal(study.space.sample(study.rng("learner", study.proposed)), seed=7)]


class Unlucky:
    """Answers with the reason why its training failed."""

    @nas.hookimpl
    def propose(self, study, count):
        done = study.work(Work(f"{__name__}:fail"))
        if done is None:
            return []
        return [study.proposal(study.space.sample(study.rng("unlucky", study.proposed)), failure=done.failure)]


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("batch", [1, 4])
def test_a_bracket_waits_for_the_work_of_the_strategy_inside(mode, batch):
    """An empty answer while something is trained is a pause: the bracket must not close early."""
    study = run_search(SuccessiveHalving(Learner(), max_epochs=9, mode=mode), trials=26, batch=batch)
    assert len(study.trials) == 26
    if mode == "sync":
        rungs = [trial.proposal.info["rung"] for trial in study.trials]
        assert rungs == [0] * 9 + [1] * 3 + [2] + [0] * 9 + [1] * 3 + [2]


def test_the_seed_of_an_inner_proposal_reaches_its_trial():
    study = run_search(SuccessiveHalving(Learner(), max_epochs=9), trials=9)
    assert {trial.seed for trial in study.trials} == {7}


def test_a_failure_of_inner_work_is_a_failed_trial_with_its_reason():
    study = run_search(SuccessiveHalving(Unlucky(), max_epochs=9), trials=4)
    assert [trial.state for trial in study.trials] == ["failed"] * 4
    assert all("ValueError: no data" in trial.failure.message for trial in study.trials)


def test_the_inner_strategy_sees_what_it_proposed():
    """Seed and failure are part of the proposal; epochs and inheritance are the outer strategy's."""
    seen = []

    class Watching:
        @nas.hookimpl
        def propose(self, study, count):
            return []

        @nas.hookimpl
        def observe(self, study, trial):
            seen.append(trial.proposal)

    ledger = Ledger.of(SPACE, {"score": "max"})
    inner = InnerSearch(Watching(), label="rung", hidden=("bracket",))
    architecture = SPACE.from_vector([0] * 6)
    failure = Failure("error", "no data")
    info = {"mine": 1, "rung": 0, "bracket": 2}
    trial = ledger.propose(Proposal(architecture, {"lr": 0.1}, Budget(3), None, info, failure, 7))
    done = trial.with_(state="failed", failure=failure)
    ledger.observe(done)
    inner.observe(ledger.view, done, Budget(1))
    assert seen == [Proposal(architecture, {"lr": 0.1}, info={"mine": 1}, failure=failure, seed=7)]


def test_waiting_ends_with_the_outcome():
    ledger = Ledger.of(SPACE, {"score": "max"})
    nested = NestedStudy(Learner())
    assert not nested.waiting  # nothing was opened yet
    nested.open(ledger.view)
    assert not nested.waiting
    assert nested.propose(1, fix="") == []
    assert nested.waiting
    (request,) = ledger.requested  # the outer study does what the inner one asks for
    ledger.answer(Outcome(request.work.key, [0, 0]))
    assert not nested.waiting
    assert len(nested.propose(1, fix="")) == 1


def test_a_strategy_without_propose_is_refused():
    with pytest.raises(PluginError, match="no `propose` hook"):
        NestedStudy(object())

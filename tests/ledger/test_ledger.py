"""Who writes, who reads: a ledger takes down, a view shows, and nobody changes what a hook may see."""

from __future__ import annotations

import numpy as np
import pytest

from nasplug.contract.errors import PluginError, StudyError
from nasplug.contract.records import Failure, Inherit, Proposal
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.work import Outcome, Work
from nasplug.testing import SyntheticSpace

SPACE = SyntheticSpace()


@pytest.fixture
def ledger():
    return Ledger.of(SPACE, {"score": "max", "size": "min"}, constraints=["size <= 5"], seed=3, epochs=4)


def finish(ledger, trial, **values):
    ledger.observe(trial.with_(state="complete", metrics=values))


def proposal(ledger, **more):
    return ledger.view.proposal(SPACE.sample(ledger.view.rng("test", ledger.view.proposed)), **more)


def test_trials_go_from_proposed_to_observed(ledger):
    view = ledger.view
    first, second = ledger.propose(proposal(ledger)), ledger.propose(proposal(ledger))
    assert [trial.number for trial in view.pending] == [0, 1]
    assert not view.trials
    finish(ledger, first, score=0.5, size=1)
    assert [trial.number for trial in view.trials] == [0]
    assert view.pending == [second]
    assert view.proposed == 2
    assert view.best.number == 0
    assert view.trial(1) is second


def test_seeds_are_derived_or_chosen(ledger):
    derived = ledger.propose(proposal(ledger))
    chosen, same = ledger.propose(proposal(ledger, seed=11)), ledger.propose(proposal(ledger, seed=11))
    assert derived.seed not in (0, 11)
    assert chosen.seed == same.seed == 11
    again = Ledger.of(SPACE, {"score": "max"}, seed=3)
    assert again.propose(proposal(again)).seed == derived.seed


def test_a_view_cannot_be_changed(ledger):
    finish(ledger, ledger.propose(proposal(ledger)), score=1, size=1)
    trials = ledger.view.trials
    for change in (
        lambda: trials.clear(),
        lambda: trials.append(1),
        lambda: trials.__setitem__(0, None),
        lambda: setattr(ledger.view, "trials", []),
        lambda: setattr(ledger.view, "seed", 1),
        lambda: setattr(trials[0], "state", "failed"),
    ):
        with pytest.raises((AttributeError, TypeError)):
            change()
    ledger.view.pending.clear()  # a list of its own
    assert len(trials) == 1
    assert trials == [trials[0]]


def test_a_view_follows_its_ledger(ledger):
    trials = ledger.view.trials
    finish(ledger, ledger.propose(proposal(ledger)), score=1, size=1)
    assert len(trials) == 1
    assert ledger.result().trials == trials


def test_mistakes_of_a_driver_are_refused(ledger):
    trial = ledger.propose(proposal(ledger))
    with pytest.raises(StudyError, match="trial 0 was proposed already"):
        ledger.propose(trial)
    with pytest.raises(StudyError, match="waiting, not finished"):
        ledger.observe(trial)
    finish(ledger, trial, score=1, size=1)
    with pytest.raises(StudyError, match="observed already"):
        finish(ledger, trial, score=1, size=1)
    with pytest.raises(StudyError, match="there is no trial 7"):
        ledger.view.trial(7)


def test_a_ledger_is_restored_as_a_storage_has_it(ledger):
    trials = [ledger.propose(proposal(ledger)) for _ in range(3)]
    finish(ledger, trials[0], score=1, size=1)
    other = Ledger.of(SPACE, {"score": "max"}, trials=[*ledger.view.trials, *ledger.view.pending])
    assert other.view.trials == ledger.view.trials
    assert other.view.pending == ledger.view.pending


def test_absent_and_broken_values_make_no_candidate(ledger):
    rows = [
        {"score": 1.0, "size": 9},
        {"score": 1.0},
        {"size": 1},
        {"score": float("nan"), "size": 1},
        {"score": 0.1, "size": 5},
    ]
    for row in rows:
        finish(ledger, ledger.propose(proposal(ledger)), **row)
    assert [trial.number for trial in ledger.view.candidates()] == [4]  # a bound holds exactly at the bound


def test_proposals_say_what_they_inherit(ledger):
    parent = ledger.propose(proposal(ledger))
    finish(ledger, parent, score=1, size=1)
    assert proposal(ledger, parent=parent).inherits == Inherit(0, "training")
    assert proposal(ledger, weights_of=parent).inherits == Inherit(0, "weights")
    assert proposal(ledger).inherits is None
    identities = {proposal_of.identity() for proposal_of in _variants(ledger, parent)}
    assert len(identities) == 5


def _variants(ledger, parent):
    architecture = SPACE.architecture(("skip",) * 6)
    make = ledger.view.proposal
    return [
        make(architecture),
        make(architecture, parent=parent),
        make(architecture, weights_of=parent),
        make(architecture, seed=1),
        make(architecture, epochs=2),
        make(architecture, note="info changes nothing"),
    ]


def test_work_is_asked_for_once_and_answered(ledger):
    work = Work("module:train", {"epochs": 3})
    assert ledger.view.work(work) is None
    assert ledger.view.work(Work("module:train", {"epochs": 3})) is None
    assert [request.work for request in ledger.requested] == [work]
    ledger.answer(Outcome(work.key, {"loss": 0.5}))
    assert not ledger.requested
    assert ledger.view.work(work).result == {"loss": 0.5}
    failed = Work("module:train", {"epochs": 4})
    ledger.view.work(failed)
    ledger.answer(Outcome(failed.key, None, Failure("nan", "diverged")))
    assert ledger.view.work(failed).failure.kind == "nan"


def test_work_is_named_by_what_it_is():
    one = Work("m:f", {"a": 1, "b": [2.5, None]})
    assert one.key == Work("m:f", {"b": [2.5, None], "a": 1}).key
    others = [Work("m:g", one.arguments), Work("m:f", {"a": 2}), Work("m:f", one.arguments, trials=1)]
    assert len({one.key, *(work.key for work in others)}) == 4
    assert Work("m:f", one.arguments, time_limit=5.0).key == one.key  # a limit changes no outcome that there is
    with pytest.raises(PluginError, match="JSON data"):
        _ = Work("m:f", {"a": object()}).key
    with pytest.raises(PluginError, match="JSON data"):
        _ = Work("m:f", {"a": float("nan")}).key


def test_a_nested_study_shares_work_and_streams(ledger):
    inner = ledger.view.nested(ledger.view.setting)
    work = Work("m:f")
    assert inner.view.work(work) is None
    assert [request.work for request in ledger.requested] == [work]
    ledger.answer(Outcome(work.key, 1))
    assert inner.view.work(work).result == 1
    assert inner.view.rng("a", 1).random() == ledger.view.rng("a", 1).random()
    assert inner.view.proposed == 0


def test_candidates_follow_what_is_observed_and_what_is_replaced():
    space = SyntheticSpace()
    ledger = Ledger.of(space, {"score": "max"}, constraints=["size <= 10"])
    rng = np.random.default_rng(0)
    for number in range(30):
        trial = ledger.propose(Proposal(space.sample(rng)))
        state = "complete" if number % 3 else "pruned"
        ledger.observe(trial.with_(state=state, metrics={"score": float(number % 7), "size": float(number)}))
        expected = [t for t in ledger.view.trials if t.state == "complete" and t.metrics["size"] <= 10]
        assert ledger.view.candidates() == expected
        assert ledger.view.candidates() == expected  # asked twice
    ledger.view.candidates().clear()  # the caller's own
    best = ledger.view.best
    ledger.replace(best.with_(dropped=("weights",)))
    assert ledger.view.best.dropped == ("weights",)
    assert len(ledger.view.candidates()) == len(expected)

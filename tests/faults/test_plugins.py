"""Plugins that misbehave are named, with their hook, and cost neither the study nor the whole budget."""

from __future__ import annotations

import pytest

import nasplug as nas
from nasplug.contract.errors import PluginError
from nasplug.contract.records import Failure, Proposal, Trial
from nasplug.run.giving_up import GIVE_UP_AFTER, GiveUp
from tests.faults.plugins import HANGING, HOOKS, RAISED, VALUES, hang, misbehave
from tests.faults.tally import Tally


@pytest.mark.parametrize("hook", HOOKS)
def test_every_fault_is_named(hook):
    tally = Tally()
    for how in (*RAISED, *VALUES):
        misbehave(hook, how, tally)
    tally.check()
    assert tally.injected == len(RAISED) + len(VALUES)


@pytest.mark.parametrize("hook", ["cost", "should_prune", "configure_callbacks", "configure_data", "build"])
def test_a_plugin_that_always_fails_does_not_spend_the_budget(hook):
    text = misbehave(hook, "raises", Tally())
    assert f"hook {hook}: failed in the same way in each of {GIVE_UP_AFTER} trials" in text
    assert "ValueError: boom" in text
    assert "--retry-failed error" in text


@pytest.mark.parametrize("hook", ["propose", "observe", "state_dict", "load_state_dict", "sample", "tracker"])
def test_the_place_of_the_fault_is_said(hook):
    assert "in misbehave.<locals>.answer (plugins.py, line" in misbehave(hook, "raises", Tally())


#: What is named for those that are no hooks of their own.
WITHIN = {"sample": "hook propose", "state_dict": "state_dict", "load_state_dict": "load_state_dict", "tracker": ""}


@pytest.mark.parametrize("hook", HANGING)
def test_a_hook_that_never_returns_is_ended_by_name(hook):
    tally = Tally()
    text = hang(hook, tally)
    assert text.count("was ended after") == 1
    assert WITHIN.get(hook, f"hook {hook}") in text.splitlines()[0]
    assert "in hang.<locals>.answer (plugins.py, line" in text
    hang(hook, tally, after=3)
    tally.check()


def _failed(number, message="a, hook cost: ValueError: 3 of 5", plugin="a, hook cost"):
    architecture = nas.Architecture("s", (number,), str(number))
    return Trial(number, Proposal(architecture), "failed", failure=Failure("error", message, plugin=plugin))


def test_numbers_in_a_message_do_not_tell_failures_apart():
    counted = GiveUp(after=3)
    counted.observe(_failed(0, "ValueError: 3 of 5"), ran=True)
    counted.observe(_failed(1, "ValueError: 4 of 5"), ran=True)
    with pytest.raises(PluginError, match="in each of 3 trials"):
        counted.observe(_failed(2, "ValueError: 17 of 5"), ran=True)


@pytest.mark.parametrize(
    "others",
    [
        [Trial(1, Proposal(nas.Architecture("s", (1,), "1")), "complete", metrics={"a": 1.0})],
        [Trial(1, Proposal(nas.Architecture("s", (1,), "1")), "pruned", reason="constraint")],
        [_failed(1, "another reason")],
        [_failed(1, plugin="")],
    ],
)
def test_a_result_or_another_failure_in_between_goes_on(others):
    counted = GiveUp(after=2)
    for trial in [_failed(0), *others, _failed(2)]:
        counted.observe(trial, ran=True)


def test_failures_of_an_earlier_run_do_not_count():
    counted = GiveUp(after=2)
    for number in range(10):
        counted.observe(_failed(number), ran=False)

"""The promise of the driver: one specification, one sequence of trials, whatever happens around it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import ClassVar

import pytest

import nasplug as nas
from nasplug.contract.errors import PluginError, ReplayError, SpecError
from nasplug.run.api import run_spec


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_same_trials_for_any_number_of_workers(toy_spec, outcome, workers):
    settings = {"evaluator": {"seconds": 0.02, "steps": 3}, "stoppers": ["impatient"], "costs": ["size"]}
    inline = run_spec(toy_spec(**settings))
    process = run_spec(toy_spec(**settings, run={"executor": "process", "workers": workers}))
    assert outcome(process) == outcome(inline)
    assert {trial.state for trial in inline.trials} == {"complete", "pruned"}


@pytest.mark.parametrize("batch", [1, 3, 12])
def test_a_proposal_sees_exactly_what_the_batch_allows(toy_spec, batch):
    study = run_spec(toy_spec(run={"batch": batch}))
    for trial in study.trials:
        if "seen" in trial.proposal.info:
            assert trial.proposal.info["seen"] == max(0, trial.number - batch + 1)


def test_seeds_matter(toy_spec, outcome):
    assert outcome(run_spec(toy_spec(run={"seed": 1}))) == outcome(run_spec(toy_spec(run={"seed": 1})))
    assert outcome(run_spec(toy_spec(run={"seed": 1}))) != outcome(run_spec(toy_spec(run={"seed": 2})))


@pytest.mark.parametrize("strategy", ["climb", "climb_unsaved", "random"])
@pytest.mark.parametrize("cut", [1, 5, 11])
def test_a_longer_run_continues_a_shorter_one(toy_spec, outcome, tmp_path, strategy, cut):
    whole = run_spec(toy_spec(strategy=strategy))
    path = str(tmp_path / "s.sqlite")
    run_spec(toy_spec(strategy=strategy, budget={"trials": cut}, run={"storage": path}))
    resumed = run_spec(toy_spec(strategy=strategy, run={"storage": path}))
    assert outcome(resumed) == outcome(whole)
    assert outcome(nas.load_study(path)) == outcome(whole)


def test_a_finished_run_evaluates_nothing_again(toy_spec, tmp_path):
    count = tmp_path / "count"
    spec = toy_spec(evaluator={"count_in": str(count)}, run={"storage": str(tmp_path / "s.sqlite")})
    run_spec(spec)
    before = count.read_text()
    run_spec(spec)
    assert count.read_text() == before


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_failure_of_the_strategy_is_a_failed_trial_that_never_runs(toy_spec, outcome, tmp_path, executor):
    count, path = tmp_path / "count", str(tmp_path / "s.sqlite")
    run = {"executor": executor, "batch": 2, "storage": path}
    spec = toy_spec(strategy="stumble", evaluator={"count_in": str(count)}, budget={"trials": 7}, run=run)
    study = run_spec(spec)
    failed = [trial for trial in study.trials if trial.state == "failed"]
    assert [(trial.number, trial.failure.kind, trial.failure.message) for trial in failed] == [
        (number, "nan", f"stumbled at {number}") for number in (0, 3, 6)
    ]
    # All others are one training and its copies: none is a copy of what never ran.
    assert [trial.copied_from for trial in study.trials if trial.state == "complete"] == [None, 1, 1, 1]
    assert outcome(nas.load_study(path)) == outcome(study)
    before = count.read_text()
    assert outcome(run_spec(spec)) == outcome(study)
    assert count.read_text() == before


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_killed_driver_resumes_to_the_same_trials(toy_spec, outcome, tmp_path, executor):
    run = {"executor": executor, "workers": 2 if executor == "process" else 1}
    whole = run_spec(toy_spec(evaluator={"seconds": 0.05}, budget={"trials": 14}))
    path = tmp_path / "s.sqlite"
    spec = toy_spec(evaluator={"seconds": 0.05}, budget={"trials": 14}, run={**run, "storage": str(path)})
    script = textwrap.dedent(f"""
        from nasplug.run.api import run_spec
        from nasplug.run.spec import RunSpec
        if __name__ == "__main__":
            run_spec(RunSpec.parse({spec.to_plain()!r}))
    """)
    file = tmp_path / "driver.py"
    file.write_text(script)
    for done in (3, 8):
        driver = subprocess.Popen([sys.executable, str(file)], start_new_session=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and _finished(path) < done:
            time.sleep(0.01)
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
        assert done <= _finished(path) < 14
    assert outcome(run_spec(spec)) == outcome(whole)


def _finished(path) -> int:
    try:
        return len(nas.load_study(path).trials)
    except nas.NasplugError:  # not there yet
        return 0


def test_repeated_proposals_are_copied_not_trained(toy_spec, tmp_path):
    count = tmp_path / "count"
    spec = toy_spec(
        space={"toy": {"edges": 1}}, strategy={"random": {"distinct": False}}, evaluator={"count_in": str(count)}
    )
    study = run_spec(spec)
    copies = [trial for trial in study.trials if trial.copied_from is not None]
    assert copies
    assert len(count.read_text().split()) == len(study.trials) - len(copies)
    for trial in copies:
        source = study.trial(trial.copied_from)
        assert source.number < trial.number
        assert (trial.metrics, trial.architecture) == (source.metrics, source.architecture)
    again = run_spec(toy_spec(**{**_keys(spec), "run": {"seed": 3, "remeasure": True}}))
    assert not any(trial.copied_from is not None for trial in again.trials)


def _keys(spec) -> dict:
    plain = spec.to_plain()
    return {"space": plain["space"], "strategy": plain["strategy"]}


def test_a_resumed_run_must_propose_the_same(toy_spec, tmp_path, monkeypatch):
    path = str(tmp_path / "s.sqlite")
    spec = toy_spec(strategy="climb_unsaved", budget={"trials": 4}, run={"storage": path})
    run_spec(spec)
    import nasplug.ledger.view as module

    original = module.stream
    monkeypatch.setattr(module, "stream", lambda seed, role, index: original(seed + 1, role, index))
    with pytest.raises(ReplayError, match="trial 0 would be proposed differently"):
        run_spec(toy_spec(strategy="climb_unsaved", run={"storage": path}))


def test_another_specification_is_refused_with_the_difference(toy_spec, tmp_path):
    path = str(tmp_path / "s.sqlite")
    run_spec(toy_spec(run={"storage": path}))
    with pytest.raises(SpecError, match=r"run\.seed was 3 and is 4"):
        run_spec(toy_spec(run={"storage": path, "seed": 4}))


def test_enqueued_architectures_come_first(toy_spec):
    first, second = ["a"] * 6, ["b"] * 6
    study = run_spec(toy_spec(enqueue=[first, second]))
    assert [list(trial.architecture.genotype) for trial in study.trials[:2]] == [first, second]
    assert len(study.trials) == 12


def test_constraints_on_costs_prune_before_evaluation(toy_spec, tmp_path):
    count = tmp_path / "count"
    study = run_spec(
        toy_spec(
            strategy="random", constraints=["size <= 17"], evaluator={"count_in": str(count)}, budget={"trials": 30}
        )
    )
    pruned = [trial for trial in study.trials if trial.state == "pruned"]
    assert pruned
    assert len(count.read_text().split()) == 30 - len(pruned)
    assert all(trial.costs["size"] > 17 and "size <= 17" in trial.reason for trial in pruned)
    assert study.best.costs["size"] <= 17


def test_a_cost_key_outside_its_namespace_is_an_error(toy_spec):
    with pytest.raises(PluginError, match="cost 'rogue': answers 'size', outside its namespace 'rogue'"):
        run_spec(toy_spec(costs=["size", {"rogue": {"key": "size"}}]))


class Weight:
    """A cost that no package announces; its keys begin with its name."""

    name = "weight"

    @nas.hookimpl
    def cost(self, candidate, target):
        return {"weight/grams": 2.0}


def test_a_cost_may_be_an_object(toy_path):
    study = nas.search(
        space="toy", evaluator="toy", costs=[Weight()], constraints=["weight/grams <= 3"], trials=3, plugins=[toy_path]
    )
    assert all(trial.costs == {"weight/grams": 2.0} for trial in study.trials)


class Twin:
    name = "cpu"
    capabilities: ClassVar = {}

    def estimate(self, candidate):
        return {}


def test_a_cost_key_with_two_owners_names_both(toy_spec):
    from nasplug.plugins.discovery import discover
    from nasplug.run.assemble import compose
    from nasplug.run.pricing import price

    spec = toy_spec(costs=["size", {"rogue": {"key": "cpu/latency_s"}}, {"target": {}}])
    assembly = compose(spec.replace(costs=spec.costs[:2]), discover(spec.plugins).catalog)
    first, second = assembly.costs
    clash = [second, type(second)("other", False, second.call)]
    with pytest.raises(PluginError, match="cost 'other': answers 'cpu/latency_s', which cost 'rogue' answers too"):
        price(clash, None, Twin(), trained=False, known={})
    assert first.name == "size"


class Mute:
    @nas.hookimpl
    def propose(self, study, count):
        return [] if study.proposed >= 5 else [study.proposal(study.space.sample(study.rng("mute", study.proposed)))]


class Greedy:
    @nas.hookimpl
    def propose(self, study, count):
        return [study.proposal(study.space.sample(study.rng("g", i))) for i in range(count + 1)]


class Confused:
    @nas.hookimpl
    def propose(self, study, count):
        return "not a list"


def test_a_strategy_without_ideas_ends_the_search(toy_path):
    study = nas.search(space="toy", evaluator="toy", strategy=Mute(), trials=50, plugins=[toy_path], progress=False)
    assert len(study.trials) == 5


@pytest.mark.parametrize(
    ("strategy", "match"), [(Greedy(), "when at most 4 were wanted"), (Confused(), "list of Proposal")]
)
def test_a_strategy_that_breaks_the_contract_is_named(toy_path, strategy, match):
    with pytest.raises(PluginError, match=match):
        nas.search(space="toy", evaluator="toy", strategy=strategy, trials=5, plugins=[toy_path], progress=False)


def test_a_search_needs_an_end(toy_path):
    with pytest.raises(SpecError, match="no stopping criterion"):
        nas.search(space="toy", evaluator="toy", plugins=[toy_path])


def test_seconds_end_a_search(toy_path):
    study = nas.search(
        space="toy", evaluator=nas.component("toy", seconds=0.02), seconds=0.2, plugins=[toy_path], progress=False
    )
    assert 1 <= len(study.trials) < 40
    assert not study.pending

"""Work that strategies have trained (C3): by the executor, once, kept beside the study, and found on resume."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import nasplug as nas
from nasplug.contract.errors import PluginError, SpecError, StorageError
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.sqlite import SQLiteStorage
from nasplug.run.api import run_spec
from nasplug.testing.search import run_search

PROCESS = {"executor": "process", "workers": 2}


def lines(path) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def key_of(line: str) -> str:
    return line.split()[1]


@pytest.mark.parametrize("twin", [False, True])
def test_the_trials_do_not_depend_on_where_the_work_is_done(working, outcome, twin):
    strategy = {"workshop": {"twin": twin}}
    inline = run_spec(working(strategy))
    assert [trial.state for trial in inline.trials] == ["complete"] * 9
    for workers in (1, 2):
        run = {"executor": "process", "workers": workers}
        assert outcome(run_spec(working(strategy, run=run))) == outcome(inline)


def test_each_piece_is_done_once_and_sees_exactly_the_trials_it_asked_for(working, tmp_path):
    study = run_spec(working({"workshop": {"log": str(tmp_path / "log"), "twin": True}}))
    assert len(lines(tmp_path / "log")) == 3 * 2
    keys = [trial.architecture.key for trial in study.trials]
    for trial in study.trials:
        round = trial.number // 3
        assert trial.proposal.info["seen"] == keys[: 3 * round]
    seeds = {trial.proposal.info["work_seed"] for trial in study.trials}
    assert len(seeds) == 3  # one for each piece of work


@pytest.mark.parametrize("strategy", ["workshop", "unsaved_workshop"])
@pytest.mark.parametrize("every", [0, 1e9])
def test_a_resumed_run_finds_it(working, outcome, tmp_path, strategy, every):
    log, file = tmp_path / "log", str(tmp_path / "s.sqlite")
    spec = working({strategy: {"log": str(log)}}, run={"storage": file})
    run_spec(spec.replace(budget=spec.budget.__class__(7, 3)), snapshot_every=every)
    done = lines(log)
    assert len(done) == 3
    whole = run_spec(spec, snapshot_every=every)
    assert lines(log) == done
    assert outcome(whole) == outcome(run_spec(working({strategy: {"log": str(log)}})))


@pytest.mark.parametrize("every", [0, 1e9])
@pytest.mark.parametrize("damage", ["missing", "changed", "folder"])
def test_it_is_done_again_if_a_file_is_not_what_it_was(working, outcome, tmp_path, damage, every):
    log, file = tmp_path / "log", str(tmp_path / "s.sqlite")
    spec = working({"workshop": {"log": str(log)}}, run={"storage": file})
    study = run_spec(spec.replace(budget=spec.budget.__class__(7, 3)), snapshot_every=every)
    first = study.work_folder(key_of(lines(log)[0]))
    if damage == "folder":
        (first / "drawn.txt").unlink()
        first.rmdir()
    elif damage == "missing":
        (first / "drawn.txt").unlink()
    else:
        (first / "drawn.txt").write_text("damaged")
    whole = run_spec(spec, snapshot_every=every)
    assert [key_of(line) for line in lines(log)].count(first.name) == 2
    assert len(lines(log)) == 4
    assert (first / "drawn.txt").read_text() != "damaged"
    assert outcome(whole) == outcome(run_spec(working({"workshop": {"log": str(log)}})))


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_run_that_is_killed_at_any_moment(working, outcome, tmp_path, executor):
    run = {"executor": executor, "workers": 2 if executor == "process" else 1, "storage": str(tmp_path / "s.sqlite")}
    strategy = {"workshop": {"log": str(tmp_path / "log"), "seconds": 0.3}}
    spec = working(strategy, run=run)
    script = tmp_path / "driver.py"
    script.write_text(
        textwrap.dedent(f"""
            from nasplug.run.api import run_spec
            from nasplug.run.spec import RunSpec
            if __name__ == "__main__":
                run_spec(RunSpec.parse({spec.to_plain()!r}), snapshot_every=0)
        """)
    )
    for number, wait in ((1, 0.0), (2, 0.15), (3, 0.0)):  # as a piece begins, in its middle, ...
        driver = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and len(lines(tmp_path / "log")) < number and driver.poll() is None:
            time.sleep(0.005)
        time.sleep(wait)
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
    study = run_spec(spec)
    assert outcome(study) == outcome(run_spec(working(strategy)))
    storage = SQLiteStorage(tmp_path / "s.sqlite", writable=False)
    assert len(storage.work()) == 3
    storage.close()


@pytest.mark.parametrize(
    ("trouble", "kind", "words"),
    [
        ("raise", "error", "the supernet of round 1 diverged"),
        ("exit0", "crash", "exit code 0"),
        ("exit1", "crash", "exit code 1"),
        ("kill", "crash", "exit code -9"),
    ],
)
def test_a_failure_is_the_outcome(working, tmp_path, trouble, kind, words):
    run = {**PROCESS, "storage": str(tmp_path / "s.sqlite")}
    study = run_spec(working({"workshop": {"trouble": trouble}}, run=run))
    assert [trial.state for trial in study.trials] == ["complete"] * 3 + ["failed"] * 3 + ["complete"] * 3
    assert {trial.failure.kind for trial in study.trials[3:6]} == {"work"}
    assert words in study.trials[3].failure.message
    storage = SQLiteStorage(tmp_path / "s.sqlite", writable=False)
    kinds = [outcome["failure"]["kind"] for outcome in storage.work().values() if outcome.get("failure")]
    storage.close()
    assert kinds == [kind]


def test_a_time_limit_of_its_own(working):
    strategy = {"workshop": {"trouble": "hang", "time_limit": 2.0}}
    study = run_spec(working(strategy, run=PROCESS))
    assert "2 s (its own)" in study.trials[3].failure.message
    with pytest.raises(SpecError, match="inside one process"):
        run_spec(working(strategy))


@pytest.mark.parametrize(("trouble", "error"), [("not json", "work returns JSON data"), ("stop", "the disk is full")])
@pytest.mark.parametrize("run", [{}, PROCESS], ids=["inline", "process"])
def test_what_is_not_the_fault_of_the_work_ends_the_run(working, trouble, error, run):
    with pytest.raises((PluginError, StorageError), match=error):
        run_spec(working({"workshop": {"trouble": trouble}}, run=run))


@pytest.mark.parametrize("run", [{}, PROCESS], ids=["inline", "process"])
def test_trackers_see_how_far_it_is(working, run):
    class Watch(nas.Tracker):
        def __init__(self):
            self.seen = []

        def worked(self, key, share, metrics):
            self.seen.append((key, share, dict(metrics)))

    watch = Watch()
    run_spec(working("workshop", run=run), trackers=[watch])
    assert [share for _, share, _ in watch.seen] == [0.5] * 3
    assert [metrics for _, _, metrics in watch.seen] == [{"round": 0.0}, {"round": 1.0}, {"round": 2.0}]
    assert len({key for key, _, _ in watch.seen}) == 3


def test_a_nested_study_has_its_own_trials_and_work_sees_those(working, outcome):
    strategy = {"successive_halving": {"inner": {"workshop": {"every": 9}}, "min_epochs": 1, "max_epochs": 3, "eta": 3}}
    inline = run_spec(working(strategy, trials=16, epochs=3))
    fresh = [trial for trial in inline.trials if trial.proposal.info.get("rung", 0) == 0]
    seen = fresh[-1].proposal.info["seen"]
    assert len(fresh) > 9
    assert seen == [trial.architecture.key for trial in fresh[:9]]  # without the promotions in between
    assert seen != [trial.architecture.key for trial in inline.trials[:9]] or len(fresh[:9]) == 9
    assert outcome(run_spec(working(strategy, trials=16, epochs=3, run=PROCESS))) == outcome(inline)


def test_work_is_what_it_does_and_what_it_sees():
    def key(**changes):
        facts = {"function": "a:b", "arguments": {"x": 1, "y": 2}, "trials": 0, **changes}
        return nas.Work(**facts).key

    assert key() == key(arguments={"y": 2, "x": 1}) == key(time_limit=3.0)
    assert len({key(), key(function="a:c"), key(arguments={"x": 1}), key(trials=1), key(history="a")}) == 5
    for arguments in ({"x": {1}}, {"x": float("nan")}):
        with pytest.raises(PluginError, match="arguments of work are JSON data"):
            key(arguments=arguments)


def test_ledgers_answer_work_in_tests_of_strategies():
    ledger = Ledger.of()
    work = nas.Work("a:b")
    assert ledger.view.work(work) is None
    (request,) = ledger.requested
    assert (request.work, request.trials) == (work, ())
    ledger.answer(nas.Outcome(work.key, {"x": 1}))
    assert ledger.requested == []
    assert ledger.view.work(work).result == {"x": 1}
    assert ledger.view.nested(ledger.setting).view.work(work).result == {"x": 1}
    with pytest.raises(PluginError, match="asks for 1 finished trial, but there are 0"):
        ledger.view.work(nas.Work("a:b", trials=1))


class Insatiable:
    """Asks for other work each time, and never proposes."""

    def __init__(self):
        self.asked = 0

    @nas.hookimpl
    def propose(self, study, count):
        while study.work(nas.Work(f"{__name__}:nothing", {"number": self.asked})) is not None:
            self.asked += 1
        return []


def nothing(run, number):
    return number


def test_a_strategy_that_asks_for_other_work_for_ever_is_stopped(monkeypatch):
    monkeypatch.setattr("nasplug.run.loop.WORK_IN_A_ROW", 20)
    strategy = Insatiable()
    with pytest.raises(PluginError, match="20 times in a row"):
        run_search(strategy, trials=3)
    assert 15 <= strategy.asked <= 25

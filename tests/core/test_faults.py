"""What may go wrong, does: each ends in one failed trial or one clear message, and nothing stored is lost."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import nasplug as nas
from nasplug.contract.errors import SpecError, StorageError, UnknownNameError
from nasplug.ledger.sqlite import SQLiteStorage
from nasplug.run.api import run_spec

#: The toy evaluator misbehaves on architectures that begin with x; here two of them come in the middle of good ones.
BAD = {"strategy": "random", "enqueue": [list(genes) for genes in ("abcdab", "xabcda", "bbbbbb", "xxxxxx")]}


@pytest.mark.parametrize(
    ("trouble", "kind", "message"),
    [
        ("raise", "shape", "mat1 and mat2 shapes cannot be multiplied"),
        ("nan", "nan", "the training loss is nan"),
        ("memory", "oom", "32 GiB"),
    ],
)
@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_failing_candidate_is_a_failed_trial(toy_spec, executor, trouble, kind, message):
    study = run_spec(toy_spec(**BAD, evaluator={"trouble": trouble}, run={"executor": executor}))
    _expect(study, kind, message)


def test_a_killed_worker_costs_one_trial(toy_spec):
    run = {"executor": "process", "workers": 2}
    study = run_spec(toy_spec(**BAD, evaluator={"trouble": "kill"}, run=run))
    _expect(study, "crash", "died with exit code")


@pytest.mark.parametrize("trouble", ["exit0", "exit1", "exit3", "exit255", "close", "child"])
def test_every_death_of_a_worker_is_noticed(toy_spec, trouble):
    run = {"executor": "process", "workers": 2}
    study = run_spec(toy_spec(**BAD, evaluator={"trouble": trouble}, run=run))
    _expect(study, "crash", "died with exit code")
    assert not _orphans()


def _orphans():
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"nasplug-test-orphan" in (process / "cmdline").read_bytes() and _alive(int(process.name)):
                found.append(process.name)
    return found


def test_a_thread_that_ends_a_later_trial_costs_nothing(toy_spec):
    run = {"executor": "process", "workers": 2}
    study = run_spec(toy_spec(**BAD, evaluator={"trouble": "thread", "seconds": 0.3}, run=run))
    assert [trial.state for trial in study.trials] == ["complete"] * 12  # tried again, alone


@pytest.mark.parametrize("trouble", ["sys.exit", "sys.exit text", "interrupt", "generator", "cancelled", "odd", "stop"])
@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_candidate_cannot_end_the_search(toy_spec, executor, trouble):
    study = run_spec(toy_spec(**BAD, evaluator={"trouble": trouble}, run={"executor": executor}))
    _expect(study, "error", "")


def test_where_a_candidate_goes_is_not_where_the_next_one_starts(toy_spec):
    before = os.getcwd()  # noqa: PTH109
    run_spec(toy_spec(**BAD, evaluator={"trouble": "wander"}))
    assert os.getcwd() == before  # noqa: PTH109


def test_the_person_can_interrupt(toy_spec, tmp_path):
    spec = toy_spec(evaluator={"seconds": 30.0}, run={"storage": str(tmp_path / "s.sqlite")})
    for executor in ("inline", "process"):
        run = dataclasses.replace(spec.run, executor=executor)
        driver = _driver(tmp_path, spec.replace(run=run), after="except KeyboardInterrupt: sys.exit(77)")
        try:
            time.sleep(4)
            driver.send_signal(signal.SIGINT)
            assert driver.wait(timeout=20) == 77
        finally:
            driver.kill()
    assert not any(trial.finished for trial in nas.load_study(tmp_path / "s.sqlite").trials)


def test_a_hanging_worker_costs_one_trial(toy_spec):
    run = {"executor": "process", "workers": 2, "time_limit": 2.0}
    study = run_spec(toy_spec(**BAD, evaluator={"trouble": "hang"}, run=run))
    _expect(study, "timeout", "time limit of 2 s")


def _expect(study, kind, message):
    assert len(study.trials) == 12
    for trial in study.trials:
        bad = trial.architecture.genotype[0] == "x"
        assert trial.state == ("failed" if bad else "complete")
        if bad:
            assert trial.failure.kind == kind
            assert message in trial.failure.message
            assert not trial.metrics
    assert sum(trial.state == "failed" for trial in study.trials) >= 2
    assert study.best.state == "complete"


def test_a_worker_does_not_outlive_a_killed_driver(toy_spec, tmp_path):
    spec = toy_spec(evaluator={"seconds": 30.0}, run={"executor": "process", "workers": 2})
    driver = _driver(tmp_path, spec)
    try:
        deadline = time.monotonic() + 60
        # A resource tracker, the server that workers are forked off, and two workers.
        while time.monotonic() < deadline and len(_descendants(driver.pid)) < 4:
            time.sleep(0.05)
        workers = _descendants(driver.pid)
        assert len(workers) >= 4
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and any(map(_alive, workers)):
            time.sleep(0.05)
        assert not any(map(_alive, workers))
    finally:
        driver.kill()


def _driver(folder: Path, spec, before: str = "", after: str = "") -> subprocess.Popen:
    file = folder / "driver.py"
    file.write_text(
        textwrap.dedent(f"""
        import sys
        import nasplug as nas
        from nasplug.run.spec import RunSpec
        if __name__ == "__main__":
            {before}
            try:
                nas.run_spec(RunSpec.parse({spec.to_plain()!r}))
            except nas.NasplugError as error:
                print(error, file=sys.stderr)
                sys.exit(error.exit_code)
            {after}
        """)
    )
    return subprocess.Popen([sys.executable, str(file)], stderr=subprocess.PIPE, text=True)


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    if not tasks.is_dir():
        pytest.skip("needs /proc")
    try:
        return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]
    except OSError:
        return []


def _descendants(pid: int) -> list[int]:
    children = _children(pid)
    return children + [each for child in children for each in _descendants(child)]


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]
    except OSError:
        return False


def test_a_full_disk_stops_the_run_and_keeps_what_is_stored(toy_spec, outcome, tmp_path):
    whole = run_spec(toy_spec(budget={"trials": 400}))
    path = tmp_path / "s.sqlite"
    spec = toy_spec(budget={"trials": 400}, run={"storage": str(path)})
    # A limit on the size of files meets the same code path as a full disk, and needs no special file system.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))"
    driver = _driver(tmp_path, spec, before=limit)
    _, text = driver.communicate(timeout=60)
    assert driver.returncode == 3, text
    assert "all earlier trials are safe" in text
    assert "free some space" in text
    assert 0 < len(nas.load_study(path).trials) < 400
    assert outcome(run_spec(spec)) == outcome(whole)


def test_a_full_disk_while_keeping_weights_stops_the_run(toy_path, tmp_path):
    with pytest.raises(StorageError, match="the disk is full"):
        nas.search(space="toy", evaluator=_NoSpace(), trials=5, plugins=[toy_path], progress=False)


class _NoSpace:
    objectives = {"score": "max"}  # noqa: RUF012

    @nas.hookimpl
    def evaluate(self, run):
        raise OSError(28, "No space left on device", "weights.safetensors")


@pytest.fixture
def study_file(toy_spec, tmp_path):
    path = tmp_path / "s.sqlite"
    run_spec(toy_spec(budget={"trials": 60}, run={"storage": str(path)}))
    return path


@pytest.mark.parametrize("keep", [10, 100, 5000, 9000])
def test_a_truncated_study_file_is_reported_and_left_alone(study_file, toy_spec, keep):
    data = study_file.read_bytes()
    study_file.write_bytes(data[:keep])
    damaged = study_file.read_bytes()
    for use in (lambda: nas.load_study(study_file), lambda: run_spec(toy_spec(run={"storage": str(study_file)}))):
        with pytest.raises(StorageError, match=r"(?s)damaged.*nothing was changed"):
            use()
    assert study_file.read_bytes() == damaged


def test_a_file_that_is_no_study_is_reported(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("these are my notes, not a study")
    other = tmp_path / "other.sqlite"
    sqlite3.connect(other).execute("CREATE TABLE mine (x)")
    for path in (text, other):
        with pytest.raises(StorageError, match="not a nasplug study file"):
            SQLiteStorage(path)
    assert text.read_text() == "these are my notes, not a study"
    with pytest.raises(StorageError, match="there is no study file"):
        nas.load_study(tmp_path / "absent.sqlite")


def test_a_nonsense_record_is_reported(study_file):
    with sqlite3.connect(study_file) as connection:
        connection.execute("UPDATE trials SET record = '{\"number\": 3}' WHERE number = 3")
    with pytest.raises(StorageError, match="does not match its checksum"):
        nas.load_study(study_file)


def test_a_study_is_written_by_one_run_at_a_time(study_file, toy_spec):
    storage = SQLiteStorage(study_file)
    try:
        with pytest.raises(StorageError, match="another run is writing"):
            SQLiteStorage(study_file)
        assert len(nas.load_study(study_file).trials) == 60  # reading goes on beside it
    finally:
        storage.close()


def test_a_study_can_be_copied_while_it_is_open(study_file, tmp_path, outcome):
    copy = tmp_path / "copy.sqlite"
    shutil.copy(study_file, copy)
    assert outcome(nas.load_study(copy)) == outcome(nas.load_study(study_file))


@pytest.mark.parametrize(
    ("keys", "error", "match"),
    [
        ({"space": "toi"}, UnknownNameError, "did you mean 'toy'"),
        ({"strategy": "randon"}, UnknownNameError, "did you mean 'random'"),
        ({"strategy": {"random": {"distinkt": True}}}, SpecError, "did you mean 'distinct'"),
        ({"strategy": {"random": {"attempts": "many"}}}, SpecError, "attempts"),
        ({"evaluator": {"seconds": []}}, SpecError, "wrong type"),
        ({"objectives": {"scor": "max"}}, SpecError, "did you mean 'score'"),
        ({"constraints": ["siz <= 3"]}, SpecError, "did you mean 'size'"),
        ({"objectives": {"score": "up"}}, SpecError, "neither 'max' nor 'min'"),
        ({"target": "gpux"}, UnknownNameError, "no target 'gpux'"),
        ({"stratgy": "random"}, SpecError, "did you mean 'strategy'"),
        ({"run": {"wokers": 2}}, SpecError, "did you mean 'workers'"),
        ({"run": {"workers": 2}}, SpecError, "executor: process"),
        ({"run": {"time_limit": 5}}, SpecError, "executor: process"),
        ({"run": {"batch": 0}}, SpecError, "at least 1"),
        ({"run": {"executor": "proces"}}, UnknownNameError, "did you mean 'process'"),
        ({"run": {"executor": {"process": {"cores": 2}}}}, SpecError, "no argument 'cores'"),
        ({"trackers": ["log"]}, UnknownNameError, "no tracker 'log'"),
        ({"run": {"seed": "x"}}, SpecError, "expected an integer"),
        ({"space": {"class_path": "no_such_module.Space"}}, nas.errors.PluginImportError, "No module named"),
        ({"space": {"class_path": "collections.UserList"}}, nas.errors.PluginError, "this one lacks"),
        ({"costs": ["size", "size"]}, SpecError, "twice"),
    ],
)
def test_bad_specifications_are_refused_before_anything_runs(toy_spec, tmp_path, keys, error, match):
    run = {"storage": str(tmp_path / "never.sqlite"), **keys.pop("run", {})}
    with pytest.raises(error, match=match):
        run_spec(toy_spec(**keys, run=run))
    assert not (tmp_path / "never.sqlite").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals of POSIX")
@pytest.mark.parametrize("executor", ["inline", "process"])
def test_sigterm_says_farewell_and_how_to_go_on(toy_path, tmp_path, executor):
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        textwrap.dedent(
            f"""
            space: toy
            strategy: climb
            evaluator: {{toy: {{seconds: 0.2}}}}
            budget: {{trials: 100}}
            run: {{storage: {tmp_path}/s.sqlite, executor: {executor}}}
            plugins: [{toy_path}]
            """
        )
    )
    command = [sys.executable, "-m", "nasplug.cli", "run", str(spec)]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert run.stderr is not None
    while "[2/100]" not in (line := run.stderr.readline()):
        assert line, "it ended by itself"
    run.send_signal(signal.SIGTERM)
    _, rest = run.communicate(timeout=60)
    assert run.returncode == 143
    assert f"every finished trial is in {tmp_path}/s.sqlite" in rest
    assert f"nasplug run {spec}" in rest.partition("Resume with: ")[2]
    assert "Traceback" not in rest
    assert len([trial for trial in nas.load_study(tmp_path / "s.sqlite", trust=True).trials if trial.finished]) >= 2

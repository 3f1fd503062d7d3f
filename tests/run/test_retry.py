"""Failed trials that run again: in the end the study is the one that would have been without the failures."""

from __future__ import annotations

import pytest

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import SpecError
from nasplug.ledger.sqlite import SQLiteStorage
from nasplug.run.api import run_spec
from nasplug.run.retry import read_kinds

FAILING = [list(genes) for genes in ("abcdab", "xabcda", "bbbbbb", "xaaaaa", "xabcda")]


def _without_stamps(study):
    records = [trial.to_json() for trial in study.trials]
    for record in records:
        record.pop("seconds", None)
    return records


def _spec(toy_spec, folder, **keys):
    keys.setdefault("strategy", "climb")
    run = {"storage": str(folder / "s.sqlite"), "batch": 3, **keys.pop("run", {})}
    # The toy's space has five letters, so that repetitions are frequent: copies of a failed trial must follow it.
    return toy_spec(
        space={"toy": {"edges": 6}},
        enqueue=FAILING,
        evaluator={"trouble": f"unless {folder / 'large'}", "steps": 3},
        budget={"trials": 24},
        run=run,
        **keys,
    )


@pytest.mark.parametrize("snapshot_every", [0, 1000])
@pytest.mark.parametrize("stoppers", [[], ["impatient"]])
@pytest.mark.parametrize("strategy", ["random", "climb", "climb_unsaved", "regularized_evolution", "stumble"])
def test_after_a_retry_the_study_is_that_without_the_failures(toy_spec, tmp_path, strategy, stoppers, snapshot_every):
    for name in ("small", "never"):
        (tmp_path / name).mkdir()
    spec = _spec(toy_spec, tmp_path / "small", strategy=strategy, stoppers=stoppers)
    failed = run_spec(spec, snapshot_every=snapshot_every)
    assert [failed.trial(number).state for number in (1, 3, 4)] == ["failed"] * 3
    (tmp_path / "small" / "large").touch()
    assert _without_stamps(run_spec(spec)) == _without_stamps(failed)  # a plain resume changes nothing

    (tmp_path / "never" / "large").touch()
    other = _spec(toy_spec, tmp_path / "never", strategy=strategy, stoppers=stoppers)
    without = run_spec(other)
    again = run_spec(spec, retry_failed=("oom",), snapshot_every=snapshot_every)
    assert {trial.state for trial in again.trials} <= {"complete", "pruned", "failed"}
    assert _without_stamps(again) == _without_stamps(without)
    assert _without_stamps(nas.load_study(spec.run.storage)) == _without_stamps(without)
    assert again.meta["runs"][-1]["retried"] == [trial.number for trial in failed.trials if _own_failure(trial)]
    assert _without_stamps(run_spec(spec)) == _without_stamps(without)  # deterministic from here on


def _own_failure(trial):
    return trial.failure is not None and trial.failure.kind == "oom" and trial.copied_from is None


@pytest.mark.parametrize("strategy", ["random", "climb", "regularized_evolution"])
def test_a_retry_that_is_killed_goes_on(toy_spec, tmp_path, strategy):
    for name in ("killed", "never"):
        (tmp_path / name).mkdir()
    (tmp_path / "never" / "large").touch()
    without = _without_stamps(run_spec(_spec(toy_spec, tmp_path / "never", strategy=strategy)))
    for stop in (2, 5, 9, 16, 22):
        spec = _spec(toy_spec, tmp_path / "killed", strategy=strategy)
        (tmp_path / "killed" / "large").unlink(missing_ok=True)
        run_spec(spec)
        (tmp_path / "killed" / "large").touch()
        with pytest.raises(RuntimeError, match="power cut"):
            run_spec(spec, retry_failed="oom", trackers=[_PowerCut(stop)], snapshot_every=0)
        assert _without_stamps(run_spec(spec)) == without, stop
        for file in (tmp_path / "killed").glob("s.sqlite*"):
            if file.is_file():
                file.unlink()


class _PowerCut(nas.Tracker):
    def __init__(self, after):
        self.after = after

    def observed(self, trial):
        if trial.number >= self.after:
            raise RuntimeError("power cut")


def test_random_search_keeps_what_the_failure_does_not_change(toy_spec, tmp_path):
    count = tmp_path / "count"
    spec = toy_spec(
        strategy="random",
        enqueue=FAILING[:2],
        evaluator={"trouble": f"unless {tmp_path / 'large'}", "count_in": str(count)},
        budget={"trials": 20},
        run={"storage": str(tmp_path / "s.sqlite")},
    )
    run_spec(spec)
    (tmp_path / "large").touch()
    count.write_text("")
    study = run_spec(spec, retry_failed=["oom"])
    ran = [int(line) for line in count.read_text().split()]
    assert 1 in ran
    assert all(number in [1, *(t.number for t in study.trials if t.architecture.genotype[0] == "x")] for number in ran)
    storage = SQLiteStorage(spec.run.storage)
    try:
        assert storage.meta().get("revised", "absent") == 2  # the end of the budget came before the end of the revision
    finally:
        storage.close()
    run_spec(toy_spec(**{**_keys(spec), "budget": {"trials": 22}}))
    storage = SQLiteStorage(spec.run.storage)
    try:
        assert storage.meta()["revised"] is None
    finally:
        storage.close()


def _keys(spec):
    plain = spec.to_plain()
    plain["evaluator"] = plain["evaluator"]["toy"]
    return plain


def test_a_worker_that_was_killed_runs_again(toy_spec, tmp_path):
    spec = toy_spec(
        strategy="random",
        enqueue=FAILING[:2],
        evaluator={"trouble": "kill"},
        budget={"trials": 6},
        run={"storage": str(tmp_path / "s.sqlite"), "executor": "process"},
    )
    study = run_spec(spec)
    assert study.trial(1).failure.kind == "crash"
    again = run_spec(spec, retry_failed="timeout")  # another kind: left as it is
    assert again.meta["runs"][-1]["retried"] == []
    again = run_spec(spec, retry_failed="crash,timeout")
    assert again.meta["runs"][-1]["retried"] == [
        trial.number for trial in study.trials if trial.failure is not None and trial.copied_from is None
    ]
    assert again.trial(1).failure.kind == "crash"  # it kills its process whenever it runs


def test_the_command_line_retries(toy_spec, tmp_path, capsys):
    import yaml

    spec = toy_spec(
        strategy="random",
        enqueue=FAILING[:2],
        evaluator={"trouble": f"unless {tmp_path / 'large'}"},
        budget={"trials": 4},
        run={"storage": str(tmp_path / "s.sqlite")},
    )
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(spec.to_plain()))
    assert main(["run", str(file)]) == 0
    (tmp_path / "large").touch()
    assert main(["run", str(file), "--retry-failed", "crash, oom"]) == 0
    assert nas.load_study(spec.run.storage).trial(1).state == "complete"
    assert main(["run", str(file), "--retry-failed", "crsh"]) == 2
    assert "did you mean 'crash'" in capsys.readouterr().err


def test_kinds_are_read():
    assert read_kinds("crash, timeout") == {"crash", "timeout"}
    assert read_kinds(["oom"]) == {"oom"}
    with pytest.raises(SpecError, match="not a kind of failure"):
        read_kinds("")

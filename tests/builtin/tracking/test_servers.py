"""What TensorBoard, MLflow and W&B (offline) have after a search, where they are installed."""

from __future__ import annotations

import pytest

from nasplug.builtin.tracking.wandb import WandbTracker
from nasplug.contract.errors import SpecError
from nasplug.run.api import run_spec


def run(toy_spec, tmp_path, tracker, trials=3):
    storage = {"storage": str(tmp_path / "mine.sqlite")}
    return run_spec(toy_spec(trackers=[tracker], evaluator={"steps": 2}, budget={"trials": trials}, run=storage))


def test_tensorboard_has_a_folder_for_the_study_and_one_for_each_trial(toy_spec, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    study = run(toy_spec, tmp_path, {"tensorboard": {"folder": str(tmp_path / "boards")}})
    name = study.objectives[0].name
    home = tmp_path / "boards" / "mine"
    assert sorted(path.name for path in home.iterdir() if path.is_dir()) == [f"trial-0000{n}" for n in range(3)]
    shown = accumulator.EventAccumulator(str(home)).Reload()
    read = lambda board, tag: [float(event.tensor_proto.float_val[0]) for event in board.Tensors(tag)]  # noqa: E731
    assert read(shown, f"best/{name}")[-1] == pytest.approx(study.best.values[name], rel=1e-6)
    for trial in study.trials:
        if trial.copied_from is None:
            board = accumulator.EventAccumulator(str(home / f"trial-{trial.number:05d}")).Reload()
            assert read(board, name) == pytest.approx([m.metrics[name] for m in trial.measurements], rel=1e-6)


def test_mlflow_nests_the_trials_in_the_study(toy_spec, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    address = f"file:{tmp_path / 'mlruns'}"
    tracker = {"mlflow": {"tracking_uri": address}}
    run(toy_spec, tmp_path, tracker, 2)
    study = run(toy_spec, tmp_path, tracker, 4)
    client = mlflow.MlflowClient(address)
    runs = client.search_runs([client.get_experiment_by_name("nasplug").experiment_id])
    parents = [item for item in runs if item.data.tags["nasplug.kind"] == "study"]
    (parent,) = parents
    assert parent.info.status == "FINISHED"
    children = {item.data.params["trial"]: item for item in runs if item is not parent}
    assert sorted(children) == ["0", "1", "2", "3"]
    name = study.objectives[0].name
    for trial in study.trials:
        child = children[str(trial.number)]
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.info.run_name == f"trial-{trial.number:05d}"
        assert child.data.metrics[f"final/{name}"] == pytest.approx(trial.values[name])
    assert len(client.get_metric_history(parent.info.run_id, name)) == 4


def test_wandb_has_a_run_for_the_study_and_each_trial(toy_spec, tmp_path):
    pytest.importorskip("wandb")
    run(toy_spec, tmp_path, {"wandb": {"mode": "offline", "folder": str(tmp_path)}})
    names = sorted(path.name.rpartition("-")[2] for path in (tmp_path / "wandb").glob("offline-run-*"))
    assert len(names) == 4
    assert names[:3] == ["00000", "00001", "00002"]


def test_a_mode_that_wandb_does_not_have():
    with pytest.raises(SpecError, match="expected online, offline or disabled"):
        WandbTracker(mode="on")

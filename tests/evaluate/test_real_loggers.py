"""The packages behind loggers, where they are installed: what is in them after a search in two processes."""

from __future__ import annotations

import pytest
from torch import nn

import nasplug as nas
from nasplug.evaluate.lightning import LightningEvaluator

pytestmark = pytest.mark.slow


class Widths(nas.ChoiceSpace):
    def __init__(self):
        super().__init__("widths", [nas.Choice("width", (2, 3, 4))])

    def build(self, architecture, task):
        (width,) = architecture.genotype
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, task.outputs))


def search(folder, name, **given):
    loggers = [{name: {"folder": str(folder / "logs"), **given}}]
    return nas.search(
        nas.ImageClassification(limit=64, batch_size=32), space=Widths(), progress=False, trials=2, epochs=2,
        evaluator=LightningEvaluator(loggers=loggers), storage=folder / "digits.sqlite", workers=2,
        baseline={"genotype": [4]},
    )  # fmt: skip


def expected(study):
    """Values of the validation accuracy over the epochs, by the name of the run."""
    trials = {f"trial-{trial.number:05d}": trial for trial in study.trials} | {"baseline": study.baseline}
    return {
        name: pytest.approx([step.metrics["val_acc"] for step in trial.measurements]) for name, trial in trials.items()
    }


def test_tensorboard_shows_a_run_for_each_trial_under_the_study(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    study = search(tmp_path, "tensorboard")
    found = {}
    for run in sorted((tmp_path / "logs" / "digits").iterdir()):
        events = accumulator.EventAccumulator(str(run)).Reload()
        found[run.name] = [event.value for event in events.Scalars("val_acc")]
    assert found == expected(study)


def test_mlflow_has_an_experiment_for_the_study(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.chdir(tmp_path)
    study = search(tmp_path, "mlflow", tracking_uri=address)
    client = mlflow.MlflowClient(address)
    experiment = client.get_experiment_by_name("digits")
    runs = client.search_runs([experiment.experiment_id])
    found = {}
    for run in runs:
        assert run.info.status == "FINISHED"
        assert run.data.tags["study"] == "digits"
        assert run.data.params["architecture"].startswith("width=")
        name = run.data.tags["mlflow.runName"].split()[0]
        found[name] = [metric.value for metric in client.get_metric_history(run.info.run_id, "val_acc")]
    assert found == expected(study)


def records(path):
    """Records of a log of LevelDB: a header of seven bytes, then blocks of 32 KiB with parts of records."""
    data, position, whole = path.read_bytes(), 7, b""
    while position < len(data):
        rest = 32768 - position % 32768
        if rest < 7:
            position += rest
            continue
        size, kind = int.from_bytes(data[position + 4 : position + 6], "little"), data[position + 6]
        whole += data[position + 7 : position + 7 + size]
        position += 7 + size
        if kind in (1, 4):  # a record of one part, or its last part
            yield whole
            whole = b""


def test_wandb_groups_the_runs_of_a_study(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    from wandb.proto import wandb_internal_pb2

    monkeypatch.setenv("WANDB_SILENT", "true")
    study = search(tmp_path, "wandb", offline=True)
    found = {}
    for path in sorted((tmp_path / "logs").rglob("*.wandb")):
        run, values, ended = None, [], False
        for record in map(wandb_internal_pb2.Record.FromString, records(path)):
            kind = record.WhichOneof("record_type")
            run = record.run if kind == "run" else run
            ended |= kind == "exit"
            items = record.history.item if kind == "history" else ()
            values += [float(item.value_json) for item in items if (item.key or "/".join(item.nested_key)) == "val_acc"]
        assert ended
        assert (run.run_group, run.project) == ("digits", "nasplug")
        found[run.display_name.split()[0]] = values
    assert found == expected(study)

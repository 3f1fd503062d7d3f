"""Real trainings on scikit-learn's digits, through the user's own LightningModule and data module."""

from __future__ import annotations

import logging
import math
import os
import signal
import warnings

import pytest
import torch
from pytorch_lightning.callbacks import Callback, WeightAveraging
from torch.optim.swa_utils import get_ema_avg_fn

import nasplug as nas
from nasplug.contract.errors import SpecError, StorageError
from nasplug.evaluate.lightning import LightningEvaluator


def accuracy(network, data) -> float:
    data.setup("fit")
    images, labels = data.images[256:384], data.labels[256:384]
    with torch.no_grad():
        guesses = network(images).argmax(1)
    return torch.stack([(guesses[labels == k] == k).float().mean() for k in range(10)]).mean().item()  # macro


def test_a_search_over_a_users_own_module_and_data(train, project):
    study = train(trials=3, epochs=5, objectives={"val_acc": "max", "params": "min"})
    assert [trial.state for trial in study.trials] == ["complete"] * 3
    best = study.best
    assert best.metrics["val_acc"] > 0.5
    assert set(best.metrics) == {"val_acc", "val_f1", "val_loss", "train_loss"}
    assert [item.step for item in best.measurements] == [1, 2, 3, 4, 5]
    assert best.metrics["val_acc"] == max(item.metrics["val_acc"] for item in best.measurements)
    # The kept weights are those of that very epoch.
    network = study.network(best)
    assert not network.training
    assert accuracy(network, project.DigitsData()) == pytest.approx(best.metrics["val_acc"], abs=1e-6)


def test_metrics_of_the_training_belong_to_their_own_epoch(train):
    trial = train(epochs=3).trials[0]
    losses = [item.metrics["train_loss"] for item in trial.measurements]
    assert len(set(losses)) == 3
    assert losses[0] > losses[1] > losses[2]


def test_the_builtin_task_trains_too(train):
    study = train(task=nas.ImageClassification(limit=300), epochs=3)
    assert study.best.metrics["val_acc"] > 0.15
    assert {"val_acc", "val_loss", "train_loss"} <= set(study.best.metrics)


def test_an_objective_to_minimise_decides_what_is_best(train):
    # With this learning rate the loss rises again.
    trial = train(epochs=6, module_args={"lr": 0.5}, objectives={"val_loss": "min"}).trials[0]
    losses = [item.metrics["val_loss"] for item in trial.measurements]
    assert trial.metrics["val_loss"] == min(losses)
    assert losses != sorted(losses, reverse=True)


def test_an_objective_of_the_training_itself(train):
    study = train(epochs=3, objectives={"train_loss": "min"})
    assert study.best.metrics["train_loss"] == study.best.measurements[-1].metrics["train_loss"]
    study.network(study.best)


@pytest.mark.parametrize("score", ["last", "mean"])
def test_other_scores(train, score):
    evaluator = nas.component("lightning", score=score, window=2, keep="last")
    trial = train(epochs=4, evaluator=evaluator).trials[0]
    values = [item.metrics["val_acc"] for item in trial.measurements]
    expected = values[-1] if score == "last" else (values[-1] + values[-2]) / 2
    assert trial.metrics["val_acc"] == pytest.approx(expected)


def test_the_best_of_the_last_epochs_with_its_weights(train, project):
    study = train(epochs=6, evaluator=nas.component("lightning", window=2), module_args={"lr": 0.3})
    trial = study.trials[0]
    values = [item.metrics["val_acc"] for item in trial.measurements]
    assert values[-2] > values[-1]  # so that the weights of an earlier epoch are due
    assert trial.metrics["val_acc"] == values[-2]
    assert accuracy(study.network(trial), project.DigitsData()) == pytest.approx(values[-2], abs=1e-6)
    last = train(epochs=6, evaluator=nas.component("lightning", window=1), module_args={"lr": 0.3})
    assert last.trials[0].metrics["val_acc"] == values[-1]


def test_the_same_specification_gives_the_same_numbers(train):
    first, second = (train(trials=2).trials for _ in range(2))
    assert [trial.metrics for trial in first] == [trial.metrics for trial in second]


def test_two_worker_processes_measure_what_one_process_measures(train, tmp_path):
    inline = train(trials=4, batch=4, seed=5)
    process = train(trials=4, batch=4, seed=5, workers=2, storage=tmp_path / "study.sqlite")
    assert [trial.state for trial in process.trials] == ["complete"] * 4
    for one, other in zip(inline.trials, process.trials, strict=True):
        assert one.architecture == other.architecture
        assert one.metrics == other.metrics
        assert one.measurements == other.measurements
    assert process.network(process.best)(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


@pytest.mark.parametrize(
    ("trouble", "kind", "says"),
    [("build", "error", "no such layer"), ("shape", "shape", "shapes cannot be multiplied")],
)
def test_networks_that_fail_are_failed_trials(train, trouble, kind, says):
    trial = train(trouble=(trouble,), rehearse=False).trials[0]
    assert trial.state == "failed"
    assert trial.failure.kind == kind
    assert says in trial.failure.message


def test_a_loss_that_is_not_finite_fails_the_trial_at_the_end_of_its_epoch(train):
    trial = train(epochs=50, module_args={"fail_at": 1}).trials[0]
    assert trial.state == "failed"
    assert trial.failure.kind == "nan"
    assert "epoch 2" in trial.failure.message
    assert trial.seconds < 20


def test_shared_weights_are_kept_and_loaded(train):
    study = train(trouble=("tied",))
    network = study.network(study.best)
    assert network[4].weight is network[5].weight


def test_no_weights_were_kept(train):
    study = train(evaluator=nas.component("lightning", keep="none"))
    assert study.best.artifacts == {}
    with pytest.raises(nas.NasplugError, match="keep: none"):
        study.network(study.best)


def test_weights_of_another_network_are_refused(train):
    study = train()
    other = next(a for a in study.space if a.genotype[0] != study.best.architecture.genotype[0])
    with pytest.raises(nas.NasplugError, match="belong to another network"):
        nas.evaluate.weights.load_weights(study, study.best, study.space.build(other, study.task))


def test_a_damaged_weights_file_is_one_message(train):
    study = train()
    path = study.artifacts() / study.best.artifacts["weights"]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(nas.NasplugError, match="is not the one that this trial wrote"):
        study.network(study.best)
    path.unlink()
    with pytest.raises(nas.NasplugError, match="is missing"):
        study.network(study.best)


def test_a_full_disk_stops_the_run(train, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nasplug.evaluate.weights.save_model", full)
    with pytest.raises(StorageError, match="No space left"):
        train(trials=3)


def test_a_training_is_continued_exactly(train, project):
    """Two epochs and two more are the four epochs of an uninterrupted training, optimiser included."""
    halves = train(trials=2, strategy=project.Continues((2, 4)), data={"shuffle": False}, seed=1)
    first, second = halves.trials
    assert [item.step for item in first.measurements] == [1, 2]
    assert [item.step for item in second.measurements] == [3, 4]
    whole = train(trials=1, strategy=project.Continues((4,)), data={"shuffle": False}, seed=1).trials[0]
    assert [*first.measurements, *second.measurements] == list(whole.measurements)


def test_nothing_is_left_to_train_for_a_child(train, project):
    study = train(trials=2, strategy=project.Continues((2, 2)))
    assert study.trials[1].state == "failed"
    assert "its parent trained already" in study.trials[1].failure.message


def test_no_epochs_score_the_untrained_network(train):
    trial = train(epochs=0).trials[0]
    assert trial.state == "complete"
    assert [item.step for item in trial.measurements] == [0]
    assert 0.0 <= trial.metrics["val_acc"] < 0.4


class Counting(Callback):
    def __init__(self) -> None:
        self.seen = 0

    def on_train_epoch_end(self, trainer, pl_module):
        self.seen += 1
        pl_module.log("seen", float(self.seen))


def test_callbacks_are_made_anew_for_every_trial(train):
    study = train(trials=2, epochs=3, callbacks=[Counting()])
    assert [trial.measurements[-1].metrics["seen"] for trial in study.trials] == [3.0, 3.0]


class Grows(Callback):
    """Changes the structure of the network in the middle of the training."""

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 4:
            pl_module.network.append(torch.nn.Linear(10, 10).requires_grad_(False))
            torch.nn.init.zeros_(pl_module.network[-1].weight)


def test_epochs_before_a_change_of_structure_do_not_count(train):
    study = train(epochs=5, callbacks=[Grows()], module_args={"lr": 0.03})
    trial = study.trials[0]
    values = [item.metrics["val_acc"] for item in trial.measurements]
    assert max(values[:4]) > values[4]
    assert trial.failure.kind == "structure"  # the callback did not say what it did to the network
    assert "run.edit" in trial.failure.message


def test_trainer_options_reach_the_trainer(train):
    evaluator = nas.component("lightning", trainer={"limit_train_batches": 2, "gradient_clip_val": 1.0})
    few = train(evaluator=evaluator).trials[0]
    assert few.metrics != train().trials[0].metrics


def test_validation_every_other_epoch(train):
    evaluator = nas.component("lightning", trainer={"check_val_every_n_epoch": 2})
    trial = train(epochs=5, evaluator=evaluator).trials[0]
    assert [item.step for item in trial.measurements] == [2, 4]


@pytest.mark.parametrize("every", [0.25, 0.4, 3, 5])
def test_kept_weights_are_those_of_a_validation_in_the_middle_of_an_epoch(train, project, every):
    """Of eight batches; the last validation of an epoch counts, however many batches come after it."""
    study = train(epochs=4, evaluator=nas.component("lightning", trainer={"val_check_interval": every}))
    trial = study.trials[0]
    assert [item.step for item in trial.measurements] == [1, 2, 3, 4]
    assert accuracy(study.network(trial), project.DigitsData()) == pytest.approx(trial.metrics["val_acc"], abs=1e-6)


class Validates(Callback):
    """Validates with weights of its own, and gives the trained ones back."""

    def __init__(self, begin: str, end: str) -> None:
        setattr(self, f"on_validation_{begin}", self.exchange)
        setattr(self, f"on_validation_{end}", self.back)

    def exchange(self, trainer, pl_module, *batch):
        self.trained = {name: value.clone() for name, value in pl_module.network.state_dict().items()}
        with torch.no_grad():
            for value in pl_module.network.parameters():
                value.mul_(0.5).add_(0.01)

    def back(self, trainer, pl_module):
        pl_module.network.load_state_dict(self.trained)


@pytest.mark.parametrize(
    "averages",
    [
        WeightAveraging(avg_fn=get_ema_avg_fn(0.9)),
        WeightAveraging(),
        Validates("start", "end"),
        Validates("epoch_start", "epoch_end"),
        Validates("epoch_start", "end"),
    ],
    ids=["moving average", "average", "around", "within", "late"],
)
@pytest.mark.parametrize("options", [{}, {"val_check_interval": 0.4}], ids=["epochs", "in the middle"])
def test_kept_weights_are_those_that_were_validated(train, project, averages, options):
    evaluator = nas.component("lightning", trainer=options)
    study = train(epochs=4, evaluator=evaluator, callbacks=[averages], module_args={"lr": 0.05})
    trial = study.trials[0]
    assert accuracy(study.network(trial), project.DigitsData()) == pytest.approx(trial.metrics["val_acc"], abs=1e-6)


class Draws:
    """Takes random numbers wherever a plugin is asked between the building of a network and its training."""

    @nas.hookimpl(wrapper=True)
    def build(self, run):
        network = yield
        torch.rand(1)
        return network

    @nas.hookimpl(wrapper=True)
    def configure_data(self, run):
        torch.rand(1)
        return (yield)

    @nas.hookimpl
    def configure_callbacks(self, run):
        torch.rand(1)
        return []

    @nas.hookimpl
    def cost(self, candidate):
        return {"draws": candidate.network is not None and float(torch.rand(1).item() < 2)}


def test_plugins_that_draw_random_numbers_do_not_change_a_training(train):
    alone, beside = (train(trials=2, costs=costs).trials for costs in ([], [Draws()]))
    assert [trial.costs for trial in beside] == [{"draws": 1.0}] * 2
    assert [trial.measurements for trial in beside] == [trial.measurements for trial in alone]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"trainer": {"limit_train_batchs": 2}}, "did you mean 'limit_train_batches'"),
        ({"trainer": {"max_epochs": 2}}, "budget.epochs"),
        ({"trainer": {"devices": 2}}, "run.gpus"),
        ({"trainer": {"gradient_clip_val": "much"}}, "the Trainer refuses"),
        ({"precision": "16-mix"}, "did you mean '16-mixed'"),
        ({"keep": "all"}, "best, last or none"),
        ({"score": "top"}, "best, last or mean"),
    ],
)
def test_bad_options_are_refused_at_once(options, says):
    with pytest.raises(SpecError, match=says):
        LightningEvaluator(**options)


def test_a_missing_gpu_stops_the_run(train, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(SpecError, match="'cuda' is not available"):
        train(device="cuda")
    with pytest.raises(SpecError, match="did you mean 'cuda'"):
        train(device="cude")
    assert train(device="auto").trials[0].state == "complete"


@pytest.mark.parametrize("precision", ["16-mixed", "transformer-engine"])
def test_a_precision_of_gpus_is_refused_on_a_processor(train, monkeypatch, precision):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(SpecError, match=f"{precision} needs a GPU") as caught:
        train(evaluator=LightningEvaluator(precision=precision))
    assert "bf16-mixed" in str(caught.value)


def test_a_processor_trains_in_bf16(train):
    trial, exact = (train(evaluator=LightningEvaluator(precision=each)).trials[0] for each in ("bf16-mixed", "32-true"))
    assert trial.state == "complete"
    assert trial.values["val_loss"] != exact.values["val_loss"]


def test_a_module_without_the_objective_fails_with_what_it_logs(train, project):
    task = nas.LightningTask(
        project.LitDigits,
        project.DigitsData(),
        input_shape=(1, 8, 8),
        outputs=10,
        objectives={"val_auc": "max"},
    )
    trial = train(task=task, rehearse=False).trials[0]
    assert trial.failure.kind == "metric"
    assert "val_acc" in trial.failure.message


class Warns(Callback):
    def on_train_start(self, trainer, pl_module):
        warnings.warn("the user's own warning", UserWarning, stacklevel=1)


def test_lightning_is_quiet_and_the_user_is_not(train, capfd, caplog):
    with caplog.at_level(logging.INFO), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(callbacks=[Warns()])
    assert [str(item.message) for item in caught] == ["the user's own warning"]
    assert "GPU" not in caplog.text
    assert "max_epochs" not in caplog.text
    out, err = capfd.readouterr()
    assert not out
    assert not err
    assert logging.getLogger("pytorch_lightning").level == logging.INFO


class Interrupts(Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_reaches_the_driver_and_still_works_afterwards(train):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(callbacks=[Interrupts()])
    assert signal.getsignal(signal.SIGINT) is before


def test_a_stopped_trial_is_pruned_with_its_measurements(train):
    class After2:
        @nas.hookimpl
        def should_prune(self, run, measurement):
            assert [item.step for item in run.measurements] == list(range(1, measurement.step))
            return "enough" if measurement.step >= 2 else None

    trial = train(epochs=6, stoppers=[After2()]).trials[0]
    assert trial.state == "pruned"
    assert trial.reason == "enough"
    assert [item.step for item in trial.measurements] == [1, 2]
    assert train(epochs=2, stoppers=[After2()]).trials[0].state == "complete"  # nothing left to stop


def test_costs_of_trained_weights_see_the_best_weights(train, project):
    class Probe:
        needs_trained_weights = True

        @nas.hookimpl
        def cost(self, candidate):
            return {"probe": accuracy(candidate.network, data)}

    data = project.DigitsData()
    trial = train(epochs=4, costs=[Probe()], module_args={"lr": 0.1}).trials[0]
    assert next(iter(trial.costs.values())) == pytest.approx(trial.metrics["val_acc"], abs=1e-6)
    assert math.isfinite(trial.metrics["val_loss"])

from __future__ import annotations

import multiprocessing
import pickle

import pytest
import torch
from torch import nn

from nasplug.contract.errors import DataError, SpecError, TaskError
from nasplug.contract.protocols import Task
from nasplug.data import Digits, ImageDataModule, Loading, Npz, Split
from nasplug.tasks import ClassificationModule, ImageClassification, Training


def small_network(outputs: int = 2) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, outputs))


def test_is_a_task_that_reads_once(stripes):
    task = ImageClassification(stripes)
    assert stripes.loads == 0
    assert isinstance(task, Task)
    assert (task.input_shape, task.outputs, task.class_names) == ((1, 8, 8), 2, ("rows", "columns"))
    assert list(task.objectives)[:2] == ["val_acc", "val_loss"]
    first, second = task.datamodule(), task.datamodule()
    assert first is not second
    assert first.prepared is second.prepared
    assert stripes.loads == 1


def test_the_arguments_reach_the_data_module(stripes):
    task = ImageClassification(stripes, 16, 50, "crop", Split(val_fraction=0.3, seed=4), Loading(pad=2))
    data = task.datamodule()
    assert isinstance(data, ImageDataModule)
    assert (data.batch_size, data.augment, data.pad, data.seed) == (16, "crop", 2, 4)
    assert (len(data.prepared.train), len(data.prepared.val)) == (35, 15)
    again = ImageDataModule(stripes, val_fraction=0.3, limit=50, seed=4)
    assert (again.prepared.val.index == data.prepared.val.index).all()


def test_digits_are_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("NASPLUG_CACHE", str(tmp_path))
    task = ImageClassification()
    assert isinstance(task.data, Digits)
    assert (task.input_shape, task.outputs) == ((1, 8, 8), 10)


def test_hyperparameters_replace_the_settings(stripes):
    task = ImageClassification(
        stripes, training=Training(lr=0.5, weight_decay=0.25, optimizer="rmsprop", schedule="none")
    )
    module = task.module(small_network(), {"decay": 0.5, "momentum": 0.0, "weight_decay": 0.125})
    group = module.configure_optimizers().param_groups[0]
    assert (group["lr"], group["alpha"], group["momentum"], group["weight_decay"]) == (0.5, 0.5, 0.0, 0.125)
    assert task.training.weight_decay == 0.25
    task.check_hyperparameters(Training.names())
    with pytest.raises(TaskError, match="did you mean 'momentum'"):
        task.check_hyperparameters(["lr", "momentun"])
    with pytest.raises(TaskError, match="there is no hyperparameter 'depth'"):
        task.module(small_network(), {"depth": 3})
    with pytest.raises(TaskError, match="lr is -1"):
        task.module(small_network(), {"lr": -1})


def test_bad_arguments_are_refused_when_the_task_is_made(tmp_path):
    with pytest.raises(SpecError, match="did you mean 'flip'"):
        ImageClassification(augment="flop")
    with pytest.raises(TaskError, match="no optimizer 'adamm'"):
        ImageClassification(training=Training(optimizer="adamm"))
    with pytest.raises(SpecError, match="batch_size"):
        ImageClassification(batch_size=0)
    with pytest.raises(DataError, match="does not exist"):
        ImageClassification(Npz(str(tmp_path / "no.npz"))).check()


def test_data_do_not_travel(stripes):
    task = ImageClassification(stripes)
    _ = task.outputs
    stripes.junk = None
    assert len(pickle.dumps(task)) < 2000
    assert pickle.loads(pickle.dumps(task)).input_shape == (1, 8, 8)


def _shape(task, queue):
    queue.put((task.input_shape, task.outputs))


@pytest.mark.slow
def test_travels_to_a_spawned_process(tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    worker = context.Process(target=_shape, args=(ImageClassification(Digits()), queue))
    worker.start()
    assert queue.get(timeout=120) == ((1, 8, 8), 10)
    worker.join()


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop"])
def test_a_network_learns(stripes, make_trainer, optimizer):
    torch.manual_seed(0)
    task = ImageClassification(stripes, batch_size=16, training=Training(optimizer=optimizer, lr=0.01))
    module, data = task.module(small_network(), {}), task.datamodule()
    trainer = make_trainer(max_epochs=4)
    trainer.fit(module, datamodule=data)
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert set(metrics) == {"train_loss", *task.objectives}
    assert metrics["val_acc"] == 1.0
    assert metrics["val_loss"] < 0.3
    (tested,) = trainer.test(module, datamodule=data, verbose=False)
    assert set(tested) == {name.replace("val", "test") for name in task.objectives}
    assert tested["test_acc"] == 1.0
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


def test_the_metrics_are_right(stripes, make_trainer):
    torch.manual_seed(0)
    task = ImageClassification(stripes, split=Split(val_fraction=0.5), loading=Loading(eval_batch_size=7))
    network, data = small_network().eval(), task.datamodule()
    (found,) = make_trainer().validate(task.module(network, {}), datamodule=data, verbose=False)
    batches = list(data.val_dataloader())
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    with torch.no_grad():
        logits = network(images)
    assert len(batches[-1][0]) < 7  # a short last batch must not weigh more
    assert found["val_loss"] == pytest.approx(float(nn.functional.cross_entropy(logits, labels)), rel=1e-5)
    assert found["val_acc"] == pytest.approx(float((logits.argmax(1) == labels).float().mean()))


def test_the_training_loss_is_the_mean_over_images(stripes, make_trainer):
    torch.manual_seed(0)
    task = ImageClassification(stripes, batch_size=50, training=Training(optimizer="sgd", lr=1e-12, schedule="none"))
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    trainer, data = make_trainer(max_epochs=1), task.datamodule()
    trainer.fit(task.module(network, {}), datamodule=data)
    images, labels = (torch.cat(parts) for parts in zip(*data.train_dataloader(), strict=True))
    expected = float(nn.functional.cross_entropy(network(images), labels).detach())
    assert float(trainer.callback_metrics["train_loss"]) == pytest.approx(expected, rel=1e-5)


def test_l2_of_all_variables():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.BatchNorm1d(2))
    network[1].bias.requires_grad_(False)
    batch = torch.randn(6, 1, 2, 2), torch.tensor([0, 1] * 3)
    plain = ClassificationModule(network, 2, Training(weight_decay=0.5))
    penalised = ClassificationModule(network, 2, Training(weight_decay=0.5, l2_all=True))
    variables = [network[1].weight, network[2].weight, network[2].bias]
    expected = 0.25 * sum(float(variable.square().sum().detach()) for variable in variables)
    difference = penalised.training_step(batch, 0) - plain.training_step(batch, 0)
    assert float(difference.detach()) == pytest.approx(expected, rel=1e-5)


def test_l2_in_the_loss_is_weight_decay_of_sgd():
    weights = []
    for l2_all in (False, True):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
        settings = Training(lr=0.1, weight_decay=0.5, optimizer="sgd", schedule="none", l2_all=l2_all)
        module = ClassificationModule(network, 2, settings)
        optimizer = module.configure_optimizers()
        for _ in range(3):
            optimizer.zero_grad()
            module.training_step((torch.ones(2, 1, 2, 2), torch.tensor([0, 1])), 0).backward()
            optimizer.step()
        weights.append(network[1].weight.detach())
    torch.testing.assert_close(weights[0], weights[1])


def test_label_smoothing_is_for_training_only(stripes, make_trainer):
    torch.manual_seed(0)
    network, batch = small_network().eval(), (torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 0, 1]))
    smooth = ClassificationModule(network, 2, Training(label_smoothing=0.5))
    plain = ClassificationModule(network, 2)
    assert float(smooth.training_step(batch, 0).detach()) != pytest.approx(
        float(plain.training_step(batch, 0).detach())
    )
    scores = [
        make_trainer().validate(module, ImageDataModule(stripes).val_dataloader(), verbose=False)[0]
        for module in (smooth, plain)
    ]
    assert scores[0] == scores[1]


def test_a_network_with_other_outputs(stripes, make_trainer):
    task = ImageClassification(stripes)
    with pytest.raises(TaskError, match=r"returned shape \(\d+, 3\)[\s\S]*2 outputs"):
        make_trainer(max_epochs=1).fit(task.module(small_network(3), {}), datamodule=task.datamodule())


def test_a_network_without_parameters(stripes, make_trainer):
    task = ImageClassification(stripes)
    network = nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(2))
    with pytest.raises(TaskError, match="no trainable parameters"):
        make_trainer(max_epochs=1, num_sanity_val_steps=0).fit(task.module(network, {}), datamodule=task.datamodule())


def test_a_schedule_without_an_end(stripes, make_trainer):
    task = ImageClassification(stripes)
    with pytest.raises(TaskError, match="number of epochs"):
        make_trainer(max_epochs=-1).fit(task.module(small_network(), {}), datamodule=task.datamodule())


def test_the_same_seed_gives_the_same_training(stripes, make_trainer):
    def losses(seed):
        torch.manual_seed(seed)
        task = ImageClassification(stripes, augment="crop_flip", batch_size=16)
        trainer = make_trainer(max_epochs=2)
        trainer.fit(task.module(small_network(), {}), datamodule=task.datamodule())
        return float(trainer.callback_metrics["train_loss"])

    assert losses(1) == losses(1) != losses(2)


def test_a_training_continues_from_a_checkpoint_with_more_epochs(stripes, make_trainer, tmp_path):
    torch.manual_seed(0)
    task = ImageClassification(stripes, batch_size=16, training=Training(lr=0.25, optimizer="sgd"))
    trainer = make_trainer(max_epochs=1)
    trainer.fit(task.module(small_network(), {}), datamodule=task.datamodule())
    trainer.save_checkpoint(tmp_path / "it.ckpt")
    more = make_trainer(max_epochs=4)
    rates = []
    module = task.module(small_network(), {})
    module.on_train_batch_start = lambda *_: rates.append(more.optimizers[0].param_groups[0]["lr"])
    more.fit(module, datamodule=task.datamodule(), ckpt_path=tmp_path / "it.ckpt", weights_only=True)
    assert len(rates) == 3 * len(task.datamodule().train_dataloader())
    assert rates[1] > 0.19  # a quarter of the way down half a cosine, not at its end
    assert more.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)

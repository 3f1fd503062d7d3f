"""Recipes, and that what a search evolves or a retraining replaces arrives at the optimiser."""

from __future__ import annotations

from typing import get_args

import pytest
import pytorch_lightning as pl
import torch
from nasplug_qnas.networks.optimisers import OPTIMISERS
from nasplug_qnas.networks.schedules import SCHEMES
from nasplug_qnas.spaces import ConvSpace
from nasplug_qnas.training.recipe import Optimizer, Recipe, Schedule
from nasplug_qnas.training.task import RecipeClassification

from nasplug.contract.errors import TaskError

torch.set_num_threads(1)


def trained(task, hyperparameters, epochs=1):
    """The module after a training on a few digits, and its learning rate after each step."""
    rates = []

    class Rates(pl.Callback):
        def on_train_batch_start(self, trainer, module, batch, index):
            rates.append(module.optimizers().param_groups[0]["lr"])

    space = ConvSpace(["conv_3_1_4", "max_pool_2_2"], nodes=2)
    network = space.build(space.architecture(["conv_3_1_4", "max_pool_2_2"]), task)
    module = task.module(network, hyperparameters)
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[Rates()],
    )
    trainer.fit(module, datamodule=task.datamodule())
    return module, rates


def test_names_are_those_of_the_networks():
    assert set(get_args(Schedule)) == set(SCHEMES)
    assert set(get_args(Optimizer)) == set(OPTIMISERS)


def test_evolved_hyperparameters_arrive_at_the_optimiser():
    task = RecipeClassification(limit=100, batch_size=30)
    module, rates = trained(task, {"lr": 0.0123, "decay": 0.71, "momentum": 0.33, "weight_decay": 0.0004})
    group = module.optimizers().param_groups[0]
    assert type(module.optimizers().optimizer).__name__ == "RMSpropTF"
    assert (group["alpha"], group["momentum"], group["weight_decay"]) == (0.71, 0.33, 0.0004)
    assert set(rates) == {0.0123}
    assert sum(len(group["params"]) for group in module.optimizers().param_groups) == len(list(module.parameters()))


@pytest.mark.parametrize("optimiser", [None, *get_args(Optimizer)])
@pytest.mark.parametrize("scheme", get_args(Schedule))
def test_every_scheme_takes_a_whole_recipe_with_any_optimiser(scheme, optimiser):
    if scheme == "cyclic" and optimiser == "adam2sgd":
        pytest.skip("two courses of the learning rate at once; refused by the optimiser")
    from nasplug_qnas.networks import configure

    recipe = Recipe(schedule=scheme, optimizer=optimiser, lr=0.002, decay=0.8, momentum=0.5, weight_decay=1e-5)
    name = optimiser or SCHEMES[scheme][0]
    parameters = [torch.nn.Parameter(torch.ones(3))]
    plan = configure(scheme, parameters, 10, 5, optimiser=name, **recipe.arguments(OPTIMISERS[name][1]))
    assert plan.optimiser.param_groups[0]["weight_decay"] == 1e-5


def test_a_retraining_scheme_takes_the_weight_decay_and_nothing_else_from_the_search():
    evolved = {"lr": 0.5, "decay": 0.2, "momentum": 0.1, "weight_decay": 2e-4}
    task = RecipeClassification(limit=100, batch_size=30)
    module, rates = trained(task, {**evolved, "schedule": "cosine"}, epochs=2)
    group = module.optimizers().param_groups[0]
    assert isinstance(module.optimizers().optimizer, torch.optim.SGD)
    assert (group["momentum"], group["weight_decay"]) == (0.9, 2e-4)
    assert rates[0] == 0.1
    assert rates == sorted(rates, reverse=True)
    assert group["lr"] == pytest.approx(0.0, abs=1e-12)


def test_schedules_by_epoch_and_by_step():
    task = RecipeClassification(limit=100, batch_size=30, training=Recipe(schedule="special", max_lr=0.2))
    _, rates = trained(task, {}, epochs=4)
    assert rates == pytest.approx([0.02] * 3 + [0.2] * 3 + [0.02] * 3 + [0.002] * 3)
    task = RecipeClassification(limit=100, batch_size=30)
    _, rates = trained(task, {"schedule": "cyclic", "half_cycle": 2, "base_lr": 0.001, "max_lr": 0.003}, epochs=2)
    assert rates == pytest.approx([0.001, 0.002, 0.003, 0.002, 0.001, 0.002])


def test_adam_changes_to_sgd_in_the_given_epoch():
    task = RecipeClassification(limit=100, batch_size=30, training=Recipe(schedule="adam2sgd", switch_epoch=2))
    module, _ = trained(task, {})
    assert module.optimizers().param_groups[0]["switch_step"] == 6


def test_unknown_names_and_values_are_refused():
    task = RecipeClassification()
    task.check_hyperparameters(Recipe.names())
    with pytest.raises(TaskError, match=r"'dekay'(.|\n)*'decay'"):
        task.module(torch.nn.Linear(1, 1), {"dekay": 1})
    for arguments, message in (
        ({"schedule": "cosinus"}, "did you mean 'cosine'"),
        ({"optimizer": "sgd"}, "no optimizer 'sgd'"),
        ({"lr": 0.0}, "more than 0"),
        ({"lr": float("nan")}, "more than 0"),
        ({"decay": 1.0}, "less than 1"),
        ({"weight_decay": -1e-4}, "at least 0"),
        ({"half_cycle": 0.5}, "integer"),
        ({"switch_epoch": True}, "integer"),
        ({"schedule": "cyclic", "base_lr": 0.2}, "base_lr=0.2 is above max_lr=0.1"),
    ):
        with pytest.raises(TaskError, match=message):
            Recipe(**arguments)


def test_a_network_without_weights_is_refused():
    with pytest.raises(TaskError, match="no trainable"):
        RecipeClassification().module(torch.nn.Flatten()).configure_optimizers()

"""One round of a search: from the state of a supernet to the next one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nasplug.contract.errors import SpecError, TrialError
from nasplug.contract.protocols import Task
from nasplug.evaluate.trainer import DEFAULTS, device_options, fit, lightning_of
from nasplug_darts_lp.supernet.base import Supernet
from nasplug_darts_lp.supernet.capability import HasSupernet
from nasplug_darts_lp.supernet.division import divided
from nasplug_darts_lp.supernet.isolation import isolated
from nasplug_darts_lp.supernet.module import SupernetModule
from nasplug_darts_lp.supernet.options import SupernetOptions
from nasplug_darts_lp.supernet.progress import Progress, Tell
from nasplug_darts_lp.supernet.settings import SearchSettings

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule

_LOG = logging.getLogger("nasplug_darts_lp")

#: Tensors of a supernet and its optimisers, by name.
State = dict[str, Tensor]


@dataclass(frozen=True)
class Plan:
    """What all rounds of a search have in common.

    Attributes:
        space: Space whose networks are searched.
        task: Task that gives training data and loss.
        options: Options of the supernet.
        settings: Settings of its training.
        epochs: Number of epochs per round.
        division_seed: Random seed of the division of the training data between weights and logits.
        device: Device, `cpu`, `cuda`, or `auto`.
        threads: Number of torch threads.
        trainer: Further options of Lightning's Trainer.
        data: Function that gives the training data; default: the task's.
    """

    space: HasSupernet
    task: Task
    options: SupernetOptions
    settings: SearchSettings
    epochs: int
    division_seed: int = 0
    device: str = "cpu"
    threads: int = 1
    trainer: Mapping[str, Any] = field(default_factory=dict)
    data: Callable[[], LightningDataModule] | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """What came out of a round.

    Attributes:
        supernet: Trained supernet on the CPU; that of the start of the round if it diverged.
        state: State that the next round needs; empty if this one diverged.
        losses: Mean training loss of every epoch.
        diverged: Reason why the training was given up, or None.
    """

    supernet: Supernet
    state: State
    losses: tuple[float, ...]
    diverged: str | None = None


def train_round(plan: Plan, state: State, seed: int, number: int, rounds: int, progress: Tell | None = None) -> Round:
    """Trains the supernet for the epochs of one round.

    The same arguments give the same result, bit by bit, on the same machine. Global random generators are left alone.

    Args:
        plan: Plan of the search.
        state: State after the round before; empty starts from fresh weights.
        seed: Random seed of the round.
        number: Number of rounds that this search has trained already, since its weights were fresh.
        rounds: Number of rounds that it will have trained in the end.
        progress: Function that is told how far the round is.

    Raises:
        SpecError: The task lacks training data, or the device is not available.
        TaskError: The data cannot be divided.
    """
    with isolated(seed, plan.threads):
        module, loader = _module(plan, number, rounds)
        restore(module, state)
        lightning = lightning_of(module)
        trainer = lightning.Trainer(
            **{**DEFAULTS, "enable_checkpointing": False, **plan.trainer, **device_options(plan.device)},
            max_epochs=plan.epochs,
            callbacks=[] if progress is None else [Progress(progress)],
        )
        try:
            fit(trainer, lambda: trainer.fit(module, train_dataloaders=loader))
        except TrialError as error:
            if error.kind != "nan":
                raise
            _LOG.warning("supernet round %d diverged: %s", number + 1, error.what)
            module, _ = _module(plan, number, rounds)
            restore(module, state)
            return Round(module.supernet, {}, (), " ".join(str(error).split()))
        module.cpu()
        return Round(module.supernet, captured(module), tuple(module.losses))


def captured(module: SupernetModule) -> State:
    """Returns weights, buffers and the state of both optimisers."""
    state = {f"supernet.{name}": value.detach().clone() for name, value in module.supernet.state_dict().items()}
    for owner, optimizer in _optimizers(module).items():
        for index, values in optimizer.state_dict()["state"].items():
            for name, value in values.items():
                if isinstance(value, Tensor):
                    state[f"{owner}.{index}.{name}"] = value.detach().cpu().clone()
    return state


def restore(module: SupernetModule, state: State) -> None:
    """The inverse of `captured`; an empty state changes nothing."""
    if not state:
        return
    module.supernet.load_state_dict(
        {name.removeprefix("supernet."): value for name, value in state.items() if name.startswith("supernet.")}
    )
    for owner, optimizer in _optimizers(module).items():
        values: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            if name.startswith(f"{owner}."):
                _, index, key = name.split(".")
                values.setdefault(int(index), {})[key] = value.clone()
        optimizer.load_state_dict({"state": values, "param_groups": optimizer.state_dict()["param_groups"]})


def _optimizers(module: SupernetModule) -> dict[str, torch.optim.Optimizer]:
    found = {"weight_optimizer": module.weight_optimizer}
    return found if module.logits_optimizer is None else found | {"logits_optimizer": module.logits_optimizer}


def _module(plan: Plan, number: int, rounds: int) -> tuple[SupernetModule, Any]:
    """The module of a round, and its data."""
    from pytorch_lightning.utilities import CombinedLoader

    supernet = plan.space.supernet(plan.task.input_shape, plan.task.outputs, plan.options)
    data = plan.task.datamodule() if plan.data is None else plan.data()
    data.prepare_data()
    data.setup("fit")
    loader = data.train_dataloader()
    if plan.settings.training.optimisation == "bilevel":
        first, second = divided(loader, plan.settings.logits.fraction, plan.division_seed)
        loader = CombinedLoader({"weights": first, "logits": second}, "max_size_cycle")
        length = max(len(first), len(second))
    else:
        length = len(loader)
    if not length:
        raise SpecError("the task does not give training data", where="darts_lp.search")
    steps = length * plan.epochs
    task_module = plan.task.module(supernet, {})
    return SupernetModule(supernet, task_module, plan.settings, rounds * steps, number * steps), loader

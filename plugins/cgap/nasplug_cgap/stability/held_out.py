"""Held-out samples that the stability of a trained network is measured on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nasplug.contract.errors import SpecError
from nasplug.run.seeding import undisturbed
from nasplug_cgap.sequence.loaders import Indexed
from nasplug_cgap.sequence.schedule import ClassSequence, ScheduleLike

if TYPE_CHECKING:
    from nasplug.contract.protocols import Task

Batches = list[tuple[Tensor, Tensor]]


def held_out(
    task: Task | None,
    where: str,
    *,
    samples: int | None = None,
    schedule: ScheduleLike | None = None,
    stages: int = 1,
    order: int | None = 0,
) -> Batches:
    """Returns batches of validation samples.

    Args:
        task: Classification task.
        where: Name of the cost, for messages.
        samples: Number of samples at most, evenly from all of them; None means all.
        schedule: Number of classes of every stage; None means the samples of all classes.
        stages: Number of stages whose classes are there.
        order: Seed that shuffles the classes; None means the order of the labels.

    Raises:
        SpecError: There is no task, or its data cannot be divided by class.
    """
    if task is None:
        raise SpecError("stability is measured on validation data", where=where, fix="add a task")
    with undisturbed():
        data: Any = task.datamodule()
        data.prepare_data()
        data.setup("fit")
        indexed = Indexed(data.val_dataloader(), where)
        chosen = np.arange(len(indexed))
        if schedule is not None:
            chosen = indexed.of(ClassSequence.of(schedule, task.outputs, order, where).seen(stages - 1))
        if samples is not None and samples < len(chosen):
            chosen = chosen[np.linspace(0, len(chosen) - 1, samples).round().astype(np.int64)]
        return [(inputs, targets) for inputs, targets in indexed.take(chosen)]


@contextmanager
def judged(network: nn.Module) -> Iterator[nn.Module]:
    """Gives the network in inference, without gradients or effects on random generators, and puts its modes back."""
    modes = [(module, module.training) for module in network.modules()]
    try:
        with undisturbed(), torch.inference_mode():
            yield network.eval()
    finally:
        for module, training in modes:
            module.training = training


def accuracy(network: nn.Module, batches: Batches) -> float:
    """Returns the fraction of right answers."""
    right = sum(int((network(x.to(_device(network))).argmax(1).cpu() == y).sum()) for x, y in batches)
    return right / sum(len(y) for _, y in batches)


def loss(network: nn.Module, batches: Batches) -> float:
    """Returns the mean cross-entropy."""
    total = sum(
        float(functional.cross_entropy(network(x.to(_device(network))).float().cpu(), y, reduction="sum"))
        for x, y in batches
    )
    return total / sum(len(y) for _, y in batches)


def _device(network: nn.Module) -> torch.device:
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))

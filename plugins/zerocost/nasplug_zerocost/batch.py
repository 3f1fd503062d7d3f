"""The one batch that proxies look at, and the loss on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasplug.contract.errors import SpecError

if TYPE_CHECKING:
    from nasplug.contract.io import Inputs
    from nasplug.contract.protocols import Task


@dataclass(frozen=True)
class Batch:
    """Inputs of a network, and what it should answer.

    Attributes:
        args: Inputs by position, (N, ...) each.
        kwargs: Inputs by name.
        targets: Classes, (N,) or (N, ...) of integers; numbers of the shape of the output; None draws random classes
            once the output is known.
        seed: Seed of random classes.
    """

    args: tuple[Tensor, ...]
    kwargs: dict[str, Tensor]
    targets: Tensor | None = None
    seed: int = 0

    @property
    def size(self) -> int:
        """Number of samples."""
        return len(next(iter((*self.args, *self.kwargs.values()))))

    def output(self, network: nn.Module) -> Tensor:
        """The answer of a network, (N, C, ...); the first tensor of several.

        Raises:
            SpecError: It returns no tensor.
        """
        found = network(*self.args, **self.kwargs)
        while not isinstance(found, Tensor):
            parts = list(found.values()) if isinstance(found, dict) else found
            if not isinstance(parts, (list, tuple)) or not parts:
                raise SpecError(
                    f"the network returns a {type(found).__name__}", where="zerocost", fix="return a tensor"
                )
            found = parts[0]
        return found

    def loss(self, output: Tensor) -> Tensor:
        """Cross-entropy with classes, mean squared error with numbers.

        Args:
            output: Answer of the network, (N, C) or (N, C, ...).
        """
        targets = self.targets
        if targets is None:
            generator = torch.Generator().manual_seed(self.seed)
            shape = (output.shape[0], *output.shape[2:])
            targets = torch.randint(output.shape[1], shape, generator=generator)
        if targets.is_floating_point():
            return functional.mse_loss(output.reshape(targets.shape), targets.to(output.dtype))
        return functional.cross_entropy(output, targets)


def noise(inputs: Inputs, size: int, seed: int) -> Batch:
    """Random inputs: normal numbers, or integers below the bound that the task states.

    Args:
        inputs: Inputs of the network.
        size: Number of samples.
        seed: Seed of inputs and classes.
    """
    args, kwargs = inputs.example(size, seed=seed)
    return Batch(args, kwargs, seed=seed)


def of_task(task: Task, size: int, seed: int) -> Batch:
    """The first training samples of a task, in the order of a seed.

    Args:
        task: Task with a LightningDataModule whose batches are pairs of inputs and targets.
        size: Number of samples.
        seed: Seed of the order, and of augmentations.

    Raises:
        SpecError: Batches of the task are something else.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        data = task.datamodule()
        data.prepare_data()
        data.setup("fit")
        inputs: list[Tensor] = []
        targets: list[Tensor] = []
        batches: Any = data.train_dataloader()
        for batch in batches:
            if not _is_pair(batch):
                raise SpecError(
                    "batches of the task are not pairs of inputs and targets",
                    where="zerocost",
                    why=f"a batch is a {type(batch).__name__}",
                    fix="write `source: noise`",
                )
            inputs.append(batch[0])
            targets.append(batch[1])
            if sum(map(len, inputs)) >= size:
                break
    return Batch((torch.cat(inputs)[:size],), {}, torch.cat(targets)[:size], seed)


def _is_pair(batch: object) -> bool:
    return isinstance(batch, (list, tuple)) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)

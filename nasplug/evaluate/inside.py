"""Whether the network of a trial is what its LightningModule trains: its parameters are inside, and they change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nasplug.contract.errors import TaskError
from nasplug.contract.wording import plural

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer


#: How to hand the candidate network to a module, for messages.
RECIPE = (
    'LightningTask(..., network_argument="net") names the argument of the module that takes the network; '
    'network_attribute="model" puts the network in place of the one that the module builds itself; or give, in place '
    "of the class, a function make(network, **arguments) that returns the module (docs/own_data.md)"
)

_Print = dict[str, tuple[torch.Size, torch.Tensor]]


def check_inside(network: nn.Module, module: Any, where: str, attribute: str | None = None) -> None:
    """Refuses a module that does not train all of the network.

    Args:
        network: Candidate network.
        module: LightningModule that is said to train it.
        where: Name of the task.
        attribute: Path of the attribute that the network was put into, if it was.

    Raises:
        TaskError: A parameter of the network is not among the module's.
    """
    inside = {id(parameter) for parameter in module.parameters()}
    own = list(network.named_parameters())
    absent = [name for name, parameter in own if id(parameter) not in inside]
    if not absent:
        return
    if len(absent) < len(own):
        raise TaskError(
            f"the module holds only a part of the candidate network: of {plural(len(own), 'parameter')}, {len(absent)} "
            f"are not among its own, the first is {absent[0]!r}",
            where=where,
            why="they would be counted and exported, and never trained",
            fix="keep the whole network in the module, or build networks without that part in the space's `build`",
        )
    if attribute is not None:
        raise TaskError(
            f"the module does not keep the candidate network that network_attribute put into {attribute!r}",
            where=where,
            why="it builds another one later, such as in on_fit_start, and every trial would measure that",
            fix="build it in __init__, setup or configure_model, where the candidate takes its place, or give a "
            "function make(network, **arguments) that returns the module",
        )
    raise TaskError(
        "the module does not train the candidate network: none of its parameters is among the module's",
        where=where,
        why=_own_network(module),
        fix=RECIPE,
    )


def _own_network(module: Any) -> str:
    sizes = {name: sum(p.numel() for p in child.parameters()) for name, child in module.named_children()}
    largest = max(sizes, key=lambda name: sizes[name], default=None)
    if largest is None or not sizes[largest]:
        return "the module has no layers of its own either: was the network stored in a list or a dictionary?"
    kind = type(getattr(module, largest)).__name__
    return f"what it trains is its own {largest!r}, a {kind}; every trial would measure the same network"


class Watching:
    """Looks during a training whether it changes the network. A mixin for the `Callback` of the Lightning at hand.

    Args:
        network: Candidate network.
        where: Name of the task.
        attribute: Path of the attribute that the network was put into, if it was.
    """

    def __init__(self, network: nn.Module, where: str, attribute: str | None = None) -> None:
        super().__init__()
        self._network, self._where, self._attribute = network, where, attribute
        self._before: _Print | None = None
        self._moving = self._changed = False
        self._steps, self._optimised = 0, True

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Refuses a module without the network, now that all hooks which make layers have run.

        Raises:
            TaskError: A parameter of the network is not among the module's.
        """
        check_inside(self._network, module, self._where, self._attribute)

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Notes what the network is before the first step."""
        self._before = _print(self._network)

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: object, batch_idx: int) -> None:
        """Notes whether the step can change the network at all: a warm-up may begin with a learning rate of 0."""
        if not self._moving:
            groups = self._groups(trainer.optimizers)
            self._optimised = bool(groups) or not trainer.optimizers
            self._moving = not groups or any(float(group.get("lr", 1.0)) != 0.0 for group in groups)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Notes the number of steps, and compares."""
        self._steps = trainer.global_step
        self.look()

    def look(self) -> bool:
        """Returns whether the network has changed since the training began."""
        if not self._changed and self._before is not None:
            self._changed = _differs(self._before, _print(self._network))
        return self._changed

    def check(self, module: Any) -> None:
        """Refuses what the training made of the network.

        Args:
            module: LightningModule after the training.

        Raises:
            TaskError: The network is not in the module any more, or no step has changed it.
        """
        if self._before is None:
            return
        check_inside(self._network, module, self._where, self._attribute)
        if self._changed or not self._before or not self._steps or not self._moving:
            return
        if not self._optimised:
            what, fix = (
                "no optimiser has the parameters of the candidate network",
                "give them to an optimiser in configure_optimizers, such as Adam(self.parameters()); a network that is "
                "meant to stay as it is needs requires_grad_(False)",
            )
        else:
            what, fix = (
                f"the candidate network did not change in {plural(self._steps, 'training step')}",
                "call it in training_step, and do not detach what it returns; a network that is meant to stay as it is "
                f"needs requires_grad_(False). Otherwise: {RECIPE}",
            )
        raise TaskError(what, where=self._where, why="the metrics are not those of a trained candidate", fix=fix)

    def _groups(self, optimizers: Sequence[Any]) -> list[Any]:
        """The parameter groups that hold a trainable parameter of the network."""
        own = {id(parameter) for parameter in self._network.parameters() if parameter.requires_grad}
        return [
            group
            for optimizer in optimizers
            for group in optimizer.param_groups
            if any(id(parameter) in own for parameter in group["params"])
        ]


def _print(network: nn.Module) -> _Print:
    """Shape, sum and norm of every trainable parameter: what a step would change."""
    found: _Print = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad or isinstance(parameter, nn.parameter.UninitializedParameter):
            continue
        values = parameter.detach()
        values = torch.view_as_real(values) if values.is_complex() else values
        sums = values.sum(dtype=torch.float64), torch.linalg.vector_norm(values, dtype=torch.float64)
        found[name] = parameter.shape, torch.stack(sums)
    return found


def _differs(before: _Print, after: _Print) -> bool:
    if before.keys() != after.keys() or any(before[name][0] != after[name][0] for name in before):
        return True
    if not before:
        return False
    first, second = (torch.stack([values.cpu() for _, values in prints.values()]) for prints in (before, after))
    return not torch.equal(first, second)  # NaN differs from itself: a network of NaN has changed

"""A second loss beside that of a user's module, on what its network was given and answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasplug.contract.errors import TrialError

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer

#: Inputs by position and by name of the last call of a network, and its answer.
Call: TypeAlias = tuple[tuple[Any, ...], dict[str, Any], Any]


class ExtraLoss:
    """Mixin of a Lightning callback that adds a loss to what `training_step` returns; the module is not changed.

    Args:
        network: Network inside the module.
        extra: Function of a call of the network that gives the second loss.
        share: Share of the second loss; the module's own has the rest.
    """

    def __init__(self, network: nn.Module, extra: Callable[[Call], Tensor], share: float) -> None:
        super().__init__()
        self._network, self._extra, self._share = network, extra, share
        self._call: Call | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Puts the second loss beside the first.

        Raises:
            TrialError: The module steps its optimizers itself.
        """
        if not pl_module.automatic_optimization:
            raise TrialError(
                "error",
                f"{type(pl_module).__name__} steps its optimizers itself, and takes no second loss",
                where="reduction",
                fix="train without distillation",
            )
        inner = pl_module.training_step

        def step(*args: Any, **kwargs: Any) -> Any:
            # What the network is given comes first: hooks of its own may scale it. What it answers comes last.
            before = self._network.register_forward_pre_hook(self._given, prepend=True, with_kwargs=True)
            behind = self._network.register_forward_hook(self._answered)
            try:
                answer = inner(*args, **kwargs)
            finally:
                before.remove()
                behind.remove()
            call, self._call = self._call, None
            if call is None or answer is None:
                return answer
            own = answer["loss"] if isinstance(answer, Mapping) else answer
            loss = (1 - self._share) * own + self._share * self._extra(call)
            return {**answer, "loss": loss} if isinstance(answer, Mapping) else loss

        object.__setattr__(pl_module, "training_step", step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the second loss away."""
        pl_module.__dict__.pop("training_step", None)

    def _given(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._call = (args, kwargs, None)

    def _answered(self, _: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        assert self._call is not None
        self._call = (*self._call[:2], output)


def difference(answer: Any, wanted: Any, temperature: float = 1.0) -> Tensor:
    """How far an answer is from that of a teacher.

    Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, arXiv 1503.02531.

    Args:
        answer: Scores (N, C, ...), or something that holds tensors.
        wanted: The same of the teacher.
        temperature: Temperature of the probabilities.

    Returns:
        Divergence of the probabilities over C, times the squared temperature; squared error for C = 1.
    """
    from nasplug.surgery.state import tensors_in

    losses = []
    for one, other in zip(tensors_in(answer), tensors_in(wanted), strict=True):
        if not one.is_floating_point():
            continue
        if one.ndim < 2 or one.shape[1] == 1:
            losses.append(functional.mse_loss(one, other.detach()))
            continue
        logs, teacher = (functional.log_softmax(each / temperature, dim=1) for each in (one, other.detach()))
        divergence = functional.kl_div(logs, teacher, log_target=True, reduction="none").sum(dim=1)
        losses.append(temperature**2 * divergence.mean())
    return torch.stack(losses).sum()

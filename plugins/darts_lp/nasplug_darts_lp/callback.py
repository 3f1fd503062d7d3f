"""Schedules of quantisation in a Trainer: warm-up in floating point, falling bits, distillation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.functional import kl_div, log_softmax, softmax

from nasplug.errors import SpecError, did_you_mean
from nasplug_darts_lp.quantise import quantised_layers, quantisers
from nasplug_darts_lp.quantisers.base import checked_bits

_WHERE = "darts_lp.schedule"


class QuantisationSchedule(Callback):
    """Leads a quantised network through its training.

    For `warmup_epochs` it trains in floating point. Then come `bits`, each for `epochs_per_stage` epochs, and at last the bits
    that every layer was made with; a stage never has fewer bits than those. With a teacher the loss becomes

        (1 - weight) loss + weight T^2 KL(softmax(teacher / T) || softmax(student / T)),

    with T the temperature (Hinton et al., 2015, arXiv 1503.02531).

    It works on a network that is quantised already, such as by the wrapper `darts_lp.quantise` before it in the same
    `nasplug.Plugins`. The stage follows from the epoch alone, so that a continued training goes on as before.

    Args:
        warmup_epochs: In floating point.
        bits: Falling numbers of bits before the own ones, of weights and activations alike.
        epochs_per_stage: Epochs for each of `bits`.
        teacher: None; `float`: the network as it is in floating point when quantisation begins, kept still; or a module
            that takes the same inputs and gives logits.
        weight: Share of the distillation in the loss.
        temperature: Of the distillation.
        attribute: Where the LightningModule has its network.

    Raises:
        SpecError: A number out of range, or an unknown teacher.
    """

    def __init__(
        self,
        warmup_epochs: int = 0,
        bits: Sequence[int] = (),
        epochs_per_stage: int = 1,
        teacher: str | nn.Module | None = None,
        weight: float = 0.5,
        temperature: float = 2.0,
        attribute: str = "network",
    ) -> None:
        if warmup_epochs < 0 or epochs_per_stage < 1:
            raise SpecError(
                f"warmup_epochs={warmup_epochs}, epochs_per_stage={epochs_per_stage}",
                where=_WHERE,
                fix="give at least 0 and at least 1",
            )
        if not 0 <= weight <= 1 or temperature <= 0:
            raise SpecError(
                f"weight={weight}, temperature={temperature}", where=_WHERE, fix="give a share, and a positive temperature"
            )
        if isinstance(teacher, str) and teacher != "float":
            raise SpecError(f"there is no teacher {teacher!r}", where=_WHERE, fix=did_you_mean(teacher, ["float"]))
        self._warmup, self._length = warmup_epochs, epochs_per_stage
        self._stages = tuple(checked_bits(value, _WHERE) for value in bits)
        self._teacher, self._weight, self._temperature = teacher, weight, temperature
        self._attribute = attribute
        self._own: dict[int, int] = {}
        self._frozen: nn.Module | None = None
        self._undo: list[Callable[[], Any]] = []
        self._seen: list[tuple[Tensor, Tensor]] = []

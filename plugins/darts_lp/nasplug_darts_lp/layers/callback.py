"""Schedules of quantisation in a Trainer: warm-up in floating point, falling bits, distillation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.functional import kl_div, log_softmax, softmax

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.wording import plural
from nasplug_darts_lp.layers.quantise import quantisers
from nasplug_darts_lp.quantisers.base import checked_bits

_WHERE = "darts_lp.callback"


class QuantisationSchedule(Callback):
    """Leads a quantised network through its training.

    For `warmup_epochs` it trains in floating point. Then come `bits`, each for `epochs_per_stage` epochs, and at last
    the bits that every layer was made with; a stage never has fewer bits than those. With a teacher the loss becomes

        (1 - weight) loss + weight T^2 KL(softmax(teacher / T) || softmax(student / T)),

    with T the temperature (Hinton et al., 2015, arXiv 1503.02531).

    It works on a network that is quantised already, such as by the wrapper `darts_lp.quantise` before it in the same
    `nasplug.Plugins`. The stage follows from the epoch alone, so that a continued training goes on as before.

    Args:
        warmup_epochs: Number of epochs in floating point.
        bits: Falling numbers of bits before the own ones, of weights and activations alike.
        epochs_per_stage: Epochs for each of `bits`.
        teacher: None; `float`: the network as it is in floating point when quantisation begins, kept still; or a module
            that takes the same inputs and gives logits.
        weight: Share of the distillation in the loss.
        temperature: Temperature of the distillation.
        attribute: Attribute of the LightningModule that holds its network.

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
                f"weight={weight}, temperature={temperature}",
                where=_WHERE,
                fix="give a share, and a positive temperature",
            )
        if isinstance(teacher, str) and teacher != "float":
            raise SpecError(f"unknown teacher {teacher!r}", where=_WHERE, fix=did_you_mean(teacher, ["float"]))
        self._warmup, self._length = warmup_epochs, epochs_per_stage
        self._stages = tuple(checked_bits(value, _WHERE) for value in bits)
        self._teacher, self._weight, self._temperature = teacher, weight, temperature
        self._attribute = attribute
        self._own: dict[int, int] = {}  # bits by index of the quantiser in the network
        self._now: dict[int, int] = {}
        self._judge: nn.Module | None = None
        self._restored: dict[str, Any] = {}
        self._undo: list[Callable[[], Any]] = []
        self._seen: list[tuple[tuple[Any, ...], Tensor]] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuses what cannot work before anything is trained.

        Raises:
            SpecError: The module does not have a quantised network, the training ends before the schedule, or a loss
                that only the module knows cannot be mixed with the teacher's.
        """
        if stage != "fit":
            return
        network = self._network(pl_module)
        if not any(True for _ in quantisers(network)):
            raise SpecError(
                "the network is not quantised",
                where=_WHERE,
                fix='put the wrapper before: Plugins("darts_lp.quantise", "darts_lp.callback")',
            )
        needed = self._warmup + self._length * len(self._stages)
        if trainer.max_epochs is not None and 0 <= trainer.max_epochs <= needed:
            raise SpecError(
                f"the training ends after {plural(trainer.max_epochs, 'epoch')}, before the final bits are reached",
                where=_WHERE,
                why=f"warm-up and stages take {needed}",
                fix=f"train for more than {plural(needed, 'epoch')}",
            )
        if self._teacher is not None and not pl_module.automatic_optimization:
            raise SpecError("a teacher cannot be mixed into a module that optimises by hand", where=_WHERE)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Notes the bits that quantisers have of their own, and takes the teacher in."""
        network = self._network(pl_module)
        restored = dict(enumerate(self._restored.get("bits", [])))
        for index, quantiser in enumerate(quantisers(network)):
            self._own[index] = quantiser.bits
            quantiser.bits = restored.get(index, quantiser.bits)  # which restored parameters belong to
        if self._teacher is not None:
            self._listen(pl_module, network)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Sets the stage of this epoch."""
        network = self._network(pl_module)
        epoch = trainer.current_epoch - self._warmup
        if epoch >= 0 and self._teacher is not None and self._judge is None:
            self._judge = self._make_teacher(network, pl_module)
        stage = epoch // self._length
        floor = self._stages[stage] if 0 <= stage < len(self._stages) else 1
        for index, quantiser in enumerate(quantisers(network)):
            quantiser.enabled = epoch >= 0
            wanted = self._now[index] = max(floor, self._own[index])
            if quantiser.bits != wanted:
                quantiser.set_bits(wanted)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves a network with its own bits, also where the training was stopped early."""
        for index, quantiser in enumerate(quantisers(self._network(pl_module))):
            quantiser.enabled = True
            if quantiser.bits != self._own[index]:
                quantiser.set_bits(self._own[index])
        self._forget()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Takes the teacher out again."""
        self._forget()

    def state_dict(self) -> dict[str, Any]:
        """Goes into checkpoints: the bits the parameters belong to, and a teacher made on the way."""
        state: dict[str, Any] = {"bits": [self._now[index] for index in sorted(self._now)]}
        if self._judge is not None and self._teacher == "float":
            state["teacher"] = self._judge.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse."""
        self._restored = state_dict

    def _listen(self, pl_module: LightningModule, network: nn.Module) -> None:
        """Sees what goes through the network, and mixes the losses."""
        original = pl_module.training_step

        def look(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
            if module is network and pl_module.training and self._judge is not None:
                self._seen.append((arguments, output))

        def training_step(*arguments: Any, **keywords: Any) -> Any:
            self._seen.clear()
            return self._mixed(original(*arguments, **keywords))

        handle = network.register_forward_hook(look)
        pl_module.training_step = training_step  # type: ignore[method-assign]
        self._undo += [handle.remove, lambda: pl_module.__dict__.pop("training_step", None)]

    def _mixed(self, output: Any) -> Any:
        """The result of a training step with the teacher's part in its loss."""
        if not self._seen or self._judge is None or output is None:
            return output
        parts = [self._distance(arguments, logits) for arguments, logits in self._seen]
        self._seen.clear()
        part = self._weight * torch.stack(parts).mean()
        if isinstance(output, dict):
            return {**output, "loss": (1 - self._weight) * output["loss"] + part}
        return (1 - self._weight) * output + part

    def _distance(self, arguments: tuple[Any, ...], logits: Tensor) -> Tensor:
        assert self._judge is not None
        with torch.no_grad():
            wanted = self._judge(*arguments)
        if wanted.shape != logits.shape:
            raise SpecError(
                f"the teacher gives {tuple(wanted.shape)} and the network {tuple(logits.shape)}", where=_WHERE
            )
        scale = self._temperature
        student, judged = log_softmax(logits / scale, -1), softmax(wanted / scale, -1)
        return scale**2 * kl_div(student, judged, reduction="batchmean")

    def _make_teacher(self, network: nn.Module, pl_module: LightningModule) -> nn.Module:
        if isinstance(self._teacher, nn.Module):
            judge = self._teacher
        else:
            judge = copy.deepcopy(network)
            for quantiser in quantisers(judge):
                quantiser.enabled = False
            if "teacher" in self._restored:
                judge.load_state_dict(self._restored["teacher"])
        return judge.to(pl_module.device).eval().requires_grad_(False)

    def _forget(self) -> None:
        for undo in self._undo:
            undo()
        self._undo, self._judge = [], None
        self._seen.clear()

    def _network(self, pl_module: LightningModule) -> nn.Module:
        found = getattr(pl_module, self._attribute, None)
        if not isinstance(found, nn.Module):
            names = [name for name, _ in pl_module.named_children()]
            raise SpecError(
                f"{type(pl_module).__name__} does not have a network {self._attribute!r}",
                where=_WHERE,
                fix=f"give attribute=...: {did_you_mean(self._attribute, names)}",
            )
        return found

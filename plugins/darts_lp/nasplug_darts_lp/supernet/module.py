"""The training of a supernet: weights and logits, in turns or together, as a LightningModule."""

from __future__ import annotations

import logging
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from nasplug.contract.errors import TrialError
from nasplug_darts_lp.supernet.base import Supernet
from nasplug_darts_lp.supernet.lookahead import second_order
from nasplug_darts_lp.supernet.schedules import learning_rate
from nasplug_darts_lp.supernet.settings import SearchSettings

_LOG = logging.getLogger("nasplug_darts_lp")
#: Betas of Adam for logits, from DARTS.
_BETAS = (0.5, 0.999)


class SupernetModule(LightningModule):
    """Trains weights and logits of a supernet.

    The loss is the one of the task's own module: whatever its `training_step` returns for the supernet. Batches are
    those of the task for `joint`; for `bilevel`, a dictionary with one for the `weights` and one for the `logits`.

    Args:
        supernet: Supernet to train.
        task_module: LightningModule of the task around the supernet.
        settings: Settings of the training.
        steps: Number of steps of the whole search.
        done: Number of steps that earlier rounds have done.

    Attributes:
        weight_optimizer, logits_optimizer: Optimisers, made here so that their state can be taken over.
        losses: Mean training loss of every epoch.
    """

    def __init__(
        self, supernet: Supernet, task_module: LightningModule, settings: SearchSettings, steps: int, done: int = 0
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.supernet, self.settings = supernet, settings
        # In a tuple, and so no part of this module: Lightning would have it log through the Trainer of this one, whose
        # hooks it does not run in.
        self._task_module = (task_module,)
        self.steps, self.done = max(1, steps), done
        parameters = supernet.network_parameters()
        self.weight_optimizer: torch.optim.Optimizer
        own, rules = settings.training, settings.logits
        if own.optimizer == "sgd":
            self.weight_optimizer = torch.optim.SGD(
                parameters, own.lr, momentum=own.momentum, weight_decay=own.weight_decay
            )
        else:
            self.weight_optimizer = torch.optim.Adam(parameters, own.lr, weight_decay=own.weight_decay)
        logits = list(supernet.logits.parameters())
        self.logits_optimizer = (
            torch.optim.Adam(logits, rules.lr, betas=_BETAS, weight_decay=rules.weight_decay) if logits else None
        )
        self.losses: list[float] = []
        self._sum, self._count = 0.0, 0

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Both optimisers."""
        return [self.weight_optimizer] + ([] if self.logits_optimizer is None else [self.logits_optimizer])

    def on_fit_start(self) -> None:
        """Takes what the task's module has of its own to the device, and shows it the Trainer; it logs nothing."""
        module = self._task_module[0]
        module.to(self.device).train()
        module.trainer = self.trainer
        module.log = _not_logged  # type: ignore[method-assign]

    def training_step(self, batch: Any, batch_index: int) -> None:
        """One step of the weights, and one of the logits unless they are still warming up.

        Raises:
            TrialError: The loss or the logits are not finite.
        """
        progress = self.done / self.steps
        self.supernet.temperature = self.supernet.options.mixing.temperature_at(progress)
        self._set_rates(progress)
        learns = self.logits_optimizer is not None and progress >= self.settings.logits.warmup
        if self.settings.training.optimisation == "joint":
            loss = self._joint(batch, batch_index, learns)
        else:
            if learns:
                self._step_logits(batch, batch_index)
            loss = self._step_weights(batch["weights"], batch_index)
        self._sum += loss
        self._count += 1
        self.done += 1

    def on_train_epoch_end(self) -> None:
        """Keeps the mean loss of the epoch.

        Raises:
            TrialError: Some logits are not finite.
        """
        self.losses.append(self.mean_loss)
        self._sum, self._count = 0.0, 0
        _LOG.info("supernet: %d of %d steps, loss %.4f", self.done, self.steps, self.losses[-1])
        if not self.supernet.logits.finite():
            raise TrialError("nan", "the logits of the supernet are not finite", where="darts_lp.search")

    @property
    def mean_loss(self) -> float:
        """Mean training loss of the epoch so far."""
        return self._sum / max(1, self._count)

    # -- steps ---------------------------------------------------------------------------------------------------

    def loss(self, batch: Any, batch_index: int) -> Tensor:
        """Computes the task's loss of the supernet on a batch, with newly sampled mixing weights.

        Raises:
            TrialError: It is not finite.
        """
        answer: Any = self._task_module[0].training_step(batch, batch_index)
        value: Tensor = answer["loss"] if isinstance(answer, dict) else answer
        if not bool(torch.isfinite(value)):
            raise TrialError(
                "nan",
                f"the loss of the supernet is {float(value.detach())} in step {self.done}",
                where="darts_lp.search",
                fix="lower training.lr or logits.lr",
            )
        return value

    def with_cost(self, loss: Tensor) -> Tensor:
        """Returns the loss with the cost of the last sample, or of the most probable network.

        Args:
            loss: Loss () of the task.
        """
        settings = self.settings.cost
        if not settings.weight:
            return loss
        sampled = settings.priced == "sample"
        weights = self.supernet.mixing_weights if sampled else self.supernet.logits.derived()
        cost = self.supernet.cost(weights)
        if settings.loss == "add":
            return loss + settings.weight * cost
        relative = cost / settings.target
        if settings.loss == "multiply":
            return loss * relative**settings.weight
        if settings.loss == "two_sided":
            return loss + settings.weight * (relative - 1.0).abs()
        return loss + settings.weight * torch.relu(relative - 1.0)

    def _joint(self, batch: Any, batch_index: int, learns: bool) -> float:
        loss = self.loss(batch, batch_index)
        self._clear()
        self.manual_backward(self.with_cost(loss) if learns else loss)
        self._clip()
        self.weight_optimizer.step()
        if learns and self.logits_optimizer is not None:
            self.logits_optimizer.step()
        return float(loss.detach())

    def _step_weights(self, batch: Any, batch_index: int) -> float:
        for logits in self.supernet.logits.parameters():  # spares what only their gradient needs
            logits.requires_grad_(False)
        try:
            loss = self.loss(batch, batch_index)
            self._clear()
            self.manual_backward(loss)
        finally:
            for logits in self.supernet.logits.parameters():
                logits.requires_grad_(True)
        self._clip()
        self.weight_optimizer.step()
        return float(loss.detach())

    def _step_logits(self, batch: Any, batch_index: int) -> None:
        assert self.logits_optimizer is not None
        self._clear()
        if self.settings.training.order == 2:
            second_order(self, batch["weights"], batch["logits"], batch_index)
        else:
            weights = self.supernet.network_parameters()
            for parameter in weights:
                parameter.requires_grad_(False)
            try:
                self.manual_backward(self.with_cost(self.loss(batch["logits"], batch_index)))
            finally:
                for parameter in weights:
                    parameter.requires_grad_(True)
        self.logits_optimizer.step()

    def _clear(self) -> None:
        for parameter in self.supernet.parameters():
            parameter.grad = None

    def _clip(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.supernet.network_parameters(), self.settings.training.gradient_clip)

    def _set_rates(self, progress: float) -> None:
        own, rules = self.settings.training, self.settings.logits
        rate = learning_rate(own.schedule, progress, own.lr, own.lr_min)
        for group in self.weight_optimizer.param_groups:
            group["lr"] = rate
        if self.logits_optimizer is not None:
            for group in self.logits_optimizer.param_groups:
                group["lr"] = learning_rate(rules.schedule, progress, rules.lr)


def _not_logged(*_: Any, **__: Any) -> None:
    """Figures of a supernet are not those of a trial."""

"""One phase of a stage: a Lightning Trainer with the task's own module, on chosen samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nasplug.contract.errors import TrialError
from nasplug.evaluate.trainer import DEFAULTS, as_callback, device_options, fit
from nasplug.lightning.distribution import lightning_of
from nasplug.run.seeding import seed_everything
from nasplug_cgap.learners.course import Course, Phase

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer


def train(course: Course, phase: Phase, stage: int) -> None:
    """Trains the network of a course for one phase, and adds the work to its meter.

    Args:
        course: The trial on its way.
        phase: The phase.
        stage: Index of the stage, for seeds and messages.

    Raises:
        TrialError: The loss is not finite.
    """
    if not phase.epochs:
        return
    network, run = course.network, course.run
    torch.set_num_threads(run.threads)
    head = course.layers.need_head(course.where) if phase.head_only else None
    frozen = [] if head is None else _all_but(network, head, norms=phase.body_trains)
    try:
        for parameter in frozen:
            parameter.requires_grad_(False)
        own = run.callbacks()
        module = run.task.module(network, run.trial.task_hyperparameters)
        lightning = lightning_of(module)
        loader = Epochs(course, phase)
        watch = as_callback(Watch, lightning)(course, phase, loader)
        trainer = lightning.Trainer(
            **DEFAULTS,
            **device_options(run.device),
            max_epochs=phase.epochs,
            limit_val_batches=0,
            enable_checkpointing=False,
            default_root_dir=run.folder,
            callbacks=[watch, *own, *(make(lightning) for make in phase.callbacks)],
        )
        seed_everything(course.seed(f"stage:{stage}:{phase.name}"))
        fit(trainer, lambda: trainer.fit(module, train_dataloaders=loader))
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)
    if watch.not_finite:
        raise TrialError("nan", f"the training loss was not finite in stage {stage}, phase {phase.name}")
    network.to(course.device)


class Epochs:
    """A loader whose samples may be others in every epoch.

    Args:
        course: The trial on its way.
        phase: Phase that says which samples an epoch has.

    Attributes:
        epoch: Number of the epoch that begins next.
    """

    def __init__(self, course: Course, phase: Phase) -> None:
        self._course, self._phase = course, phase
        self.epoch = 0

    @cached_property
    def _length(self) -> int:
        """Largest number of batches in an epoch, which is where Lightning would cut a longer one."""
        return max(len(self._of(epoch)) for epoch in range(self._phase.epochs))

    def _of(self, epoch: int) -> Any:
        return self._course.data.take(self._phase.data(epoch))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        yield from self._of(min(epoch, self._phase.epochs - 1))


class Watch:
    """Counts the images of a training, looks at its loss and keeps its learning rate. A mixin for a `Callback`.

    Args:
        course: The trial on its way.
        phase: The phase.
        loader: Loader of the phase.
    """

    def __init__(self, course: Course, phase: Phase, loader: Epochs) -> None:
        super().__init__()
        self._course, self._phase, self._loader = course, phase, loader
        self.not_finite = False

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Replaces the schedule of the task, if the phase has one of its own."""
        self._loader.epoch = 0
        if self._phase.decay is not None:
            trainer.strategy.lr_scheduler_configs = []
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] *= self._phase.rate
                if "initial_lr" in group:
                    group["initial_lr"] *= self._phase.rate
        for config in trainer.lr_scheduler_configs:
            base = getattr(config.scheduler, "base_lrs", None)
            if base is not None:
                config.scheduler.base_lrs = [rate * self._phase.rate for rate in base]

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Lets the rate fall; puts the normalisation of a body that is not trained into inference."""
        decay, epoch = self._phase.decay, trainer.current_epoch
        if decay is not None and epoch and epoch % decay == 0:
            for optimizer in trainer.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] *= 0.1
        if self._phase.head_only and not self._phase.body_trains:
            for layer in self._course.network.modules():
                if isinstance(layer, (_BatchNorm, nn.Dropout)):
                    layer.eval()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Counts, and ends a training whose loss is not finite."""
        free = self._phase.free
        if self._phase.head_only:
            free = {layer.name: float(layer.name == self._course.layers.head) for layer in self._course.layers.layers}
        self._course.meter.train(len(batch[1]), free)
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, Tensor) and not torch.isfinite(loss):
            self.not_finite = True
            trainer.should_stop = True


def _all_but(network: nn.Module, head: str, *, norms: bool) -> list[nn.Parameter]:
    """The trainable parameters that are not the head's; without those of batch normalisation, if that goes on."""
    modules = [network.get_submodule(head)]
    if norms:
        modules += [module for module in network.modules() if isinstance(module, _BatchNorm)]
    kept = {id(parameter) for module in modules for parameter in module.parameters()}
    return [item for item in network.parameters() if id(item) not in kept and item.requires_grad]

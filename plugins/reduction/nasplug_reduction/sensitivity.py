"""Work that measures how much every layer matters, and gives each the width that its sensitivity earns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpecError, TrialError
from nasplug.contract.jsondata import Json
from nasplug.evaluate.recalibration import normalisations, silent, step
from nasplug_reduction.allocation import allocated, pooled, scale
from nasplug_reduction.planning import reduction_of
from nasplug_reduction.pricing import Pricer

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer

    from nasplug.evaluate.workrun import WorkRun
    from nasplug_reduction.space import ReductionSpace


def analyse(
    run: WorkRun, uniform: Sequence[int], limits: Mapping[str, float], probes: int, batches: int
) -> dict[str, Json]:
    """Measures the damage of narrowing each layer alone, and allocates widths under the limits.

    The allocated network has no more multiply-accumulates than the uniform one either, so that it is as cheap to train.

    Forward passes only: the loss of the module's own `training_step` over the same training batches, normalised by
    their own statistics, for the original network and for every network in which one group is narrower, one block is
    passed by, or one convolution or the resolution is another one.

    Args:
        run: The work.
        uniform: Vector of the uniform network of the limits, around whose widths groups are probed.
        limits: Limits by cost.
        probes: Number of widths at which each group is probed.
        batches: Number of training batches.

    Returns:
        `vector` of the allocated network; `loss` of the original network, and `losses` by choice, as pairs of an index
        of its options and the loss.
    """
    space = reduction_of(run.space)
    loss, losses = probed(run, space, uniform, probes, batches)
    found = {name: [(index, max(0.0, value - loss)) for index, value in pairs] for name, pairs in losses.items()}
    others = {
        choice.name: [damage for _, damage in sorted(found.pop(choice.name))]
        for choice in space.choices[len(space.groups) :]
    }
    scales = pooled({name: scale(_cuts(space, name, pairs)) for name, pairs in found.items()})
    narrow = space.from_vector(uniform)
    pricer = Pricer(space, run.target, [*limits, "macs"])
    best = allocated(pricer, {"macs": pricer.price(narrow)["macs"], **limits}, scales, others, narrow)
    return cast("dict[str, Json]", {"vector": list(space.vector(best)), "loss": loss, "losses": losses})


def probed(
    run: WorkRun, space: ReductionSpace, uniform: Sequence[int], probes: int, batches: int
) -> tuple[float, dict[str, list[tuple[int, float]]]]:
    """Returns the loss of the original network, and the losses of the probes by choice."""
    from nasplug.run.seeding import seed_everything

    if run.task is None:
        raise SpecError("sensitivity is measured on a task", where="reduction", fix="add `task:`")
    torch.set_num_threads(run.threads)
    full = [int(index) for index in space.vector(space.full)]
    asked = list(to_probe(space, uniform, probes))
    losses: dict[str, list[tuple[int, float]]] = {}
    reference = float("nan")
    for number, (position, index) in enumerate([(-1, -1), *asked]):
        run.progress(number / (len(asked) + 1))
        seed_everything(run.seed("batches"))  # the same batches for all
        vector = full if position < 0 else [*full[:position], index, *full[position + 1 :]]
        loss = _loss(run, space.build(space.from_vector(vector)), batches)
        if position < 0:
            reference = loss
        else:
            losses.setdefault(space.choices[position].name, []).append((index, loss))
    return reference, losses


def to_probe(space: ReductionSpace, uniform: Sequence[int], probes: int) -> list[tuple[int, int]]:
    """Returns positions of choices and indices of the options at which each is probed; all of what is not a width.

    Args:
        space: Space of the networks.
        uniform: Vector of the uniform network.
        probes: Number of widths of each group: the middle one is about that of the uniform network.
    """
    found = []
    for position, choice in enumerate(space.choices):
        options = cast("tuple[int, ...]", choice.options)
        if position >= len(space.groups):
            found += [(position, index) for index in range(len(options) - 1)]
            continue
        share = options[int(uniform[position])] / options[-1]
        wanted = [share ** (2 * each / (probes + 1)) * options[-1] for each in range(1, probes + 1)]
        indices = {int(np.argmin([abs(np.log(width / each)) for width in options[:-1]])) for each in wanted}
        found += [(position, index) for index in sorted(indices, reverse=True)]
    return found


def _cuts(space: ReductionSpace, name: str, pairs: Sequence[tuple[int, float]]) -> list[tuple[float, float]]:
    """Depths of the cuts, as logarithms of the factors that widths lose, beside the damages."""
    options = next(cast("tuple[int, ...]", choice.options) for choice in space.choices if choice.name == name)
    return [(float(np.log(options[-1] / options[index])), damage) for index, damage in pairs]


def _loss(run: WorkRun, network: nn.Module, batches: int) -> float:
    """Loss of a network over training batches; the network is used up."""
    from nasplug.evaluate.trainer import DEFAULTS, as_callback, device_options, quiet
    from nasplug.lightning.distribution import data_for, lightning_of

    assert run.task is not None
    module = run.task.module(network, {})
    lightning = lightning_of(module)
    measured = as_callback(TrainingLoss, lightning)(network, batches)
    with quiet():
        trainer = lightning.Trainer(
            **{**DEFAULTS, **device_options(run.device), "num_sanity_val_steps": 0, "limit_val_batches": 1},
            callbacks=[measured],
            default_root_dir=run.folder,
            enable_checkpointing=False,
        )
        trainer.validate(module, datamodule=data_for(run.data(), module, lightning), verbose=False)
    return float(measured.loss)


class TrainingLoss:
    """Mixin of a Lightning callback that measures the loss of `training_step`, with statistics of the batches.

    Args:
        network: Network inside the module.
        batches: Number of training batches.

    Attributes:
        loss: Mean over the batches.
    """

    def __init__(self, network: nn.Module, batches: int) -> None:
        super().__init__()
        self._network, self._batches = network, batches
        self.loss = float("nan")

    @torch.no_grad()
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures before the validation, which is not needed.

        Raises:
            TrialError: `training_step` gives no loss.
        """
        if not pl_module.automatic_optimization:
            raise _no_loss(pl_module, "it steps its optimizers itself")
        trainer.datamodule.setup("fit")  # type: ignore[attr-defined]
        for norm in normalisations(self._network):
            norm.train()
        losses = []
        with silent(pl_module):
            for index, batch in enumerate(trainer.datamodule.train_dataloader()):  # type: ignore[attr-defined]
                if index >= self._batches:
                    break
                losses.append(self._of(pl_module, step(pl_module, batch, index)))
        self.loss = sum(losses) / max(len(losses), 1)

    def _of(self, pl_module: LightningModule, answer: Any) -> float:
        loss = answer.get("loss") if isinstance(answer, Mapping) else answer
        if not isinstance(loss, Tensor):
            raise _no_loss(pl_module, f"it answers {type(answer).__name__}")
        return float(loss)


def _no_loss(pl_module: LightningModule, why: str) -> TrialError:
    return TrialError(
        "error",
        f"training_step of {type(pl_module).__name__} returns no loss to measure sensitivities by",
        where="reduction.sensitivity",
        why=why,
        fix="take a strategy that asks the validation, such as reduction.evolution",
    )

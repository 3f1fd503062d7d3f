"""The callback `reduction.distillation`: the original network teaches the smaller one."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug_reduction.planning import reduction_of

if TYPE_CHECKING:
    from pytorch_lightning import Callback
    from torch import Tensor

    from nasplug.evaluate.trialrun import TrialRun
    from nasplug_reduction.extra_loss import Call


class Distillation:
    """Adds to the loss of every reduced network how far its answers are from those of the original network.

    The user's module stays as it is: what its network was given is shown to the original too. Works for outputs with
    channels on the second axis, such as classes, masks and values.

    Args:
        share: Share of this loss; the module's own has the rest.
        temperature: Temperature of the probabilities.

    Raises:
        SpecError: A number is out of range.
    """

    def __init__(self, share: float = 0.5, temperature: float = 2.0) -> None:
        if not 0 < share <= 1 or not temperature > 0:
            raise SpecError(
                f"share must lie between 0 and 1 and temperature be > 0, got {share} and {temperature}",
                where="reduction.distillation",
            )
        self.share, self.temperature = share, temperature

    @hookimpl
    def configure_callbacks(self, run: TrialRun) -> list[Callback]:
        """One callback; none for the original network."""
        import torch

        from nasplug.evaluate.trainer import as_callback
        from nasplug.lightning.distribution import lightning_of
        from nasplug_reduction.extra_loss import ExtraLoss, difference

        space = reduction_of(run.space)
        if run.trial.architecture.key == space.full.key:
            return []
        teacher = space.build(space.full).eval().requires_grad_(requires_grad=False)

        def extra(call: Call) -> Tensor:
            args, kwargs, answer = call
            device = next(run.network.parameters()).device
            with torch.no_grad():
                wanted = teacher.to(device)(*args, **kwargs)
            return difference(answer, wanted, self.temperature)

        lightning = lightning_of(space.model.owner)
        return [cast("Callback", as_callback(ExtraLoss, lightning)(run.network, extra, self.share))]

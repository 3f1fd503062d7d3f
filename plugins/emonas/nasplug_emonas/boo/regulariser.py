"""A penalty on one bits while training, as a Lightning callback."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from nasplug.contract.errors import SpecError
from nasplug_emonas.boo.bits import bounds, encode, popcount, scale_of
from nasplug_emonas.boo.counting import counted
from nasplug_emonas.boo.formats import BitFormat, Code


class BooRegulariser(Callback):
    """Pulls weights towards values with fewer one bits, by a term added to their gradients.

    The number of ones C(q) of an integer q is not a smooth function. Between neighbouring integers it is drawn as a
    straight line: for a weight w on the scale s, with x = w / s and q = floor(x),

        R(x) = C(q) + (x - q) (C(q + 1) - C(q)),

    which is the count itself at integers, and whose slope C(q + 1) - C(q) says in which direction fewer bits are. The
    penalty is `strength` times the sum of s R(w / s) over all weights, so that every weight is pushed by `strength`
    times that slope, whatever its scale; the scale is taken as a constant, and rounding as the identity, as a
    straight-through estimator does. Weights come to rest where both neighbours have more ones: at 0, and at numbers
    that end in zeros.

    It acts right before the optimiser's step, after gradients were unscaled. The logged loss leaves the penalty out.

    Args:
        strength: Strength in units of gradients. Useful values lie around those of the gradients, 1e-4 to 1e-2.
        format: `intN` or `Qm.n`.
        code: `sign_magnitude` or `twos_complement`; the latter has many ones in small negative numbers, and drives
            weights to positive ones.
        per_channel: One scale per output channel for `intN`.
        include_bias: Biases, too.
        include_bn: Scales and shifts of normalisation layers, too.
        start_epoch: Epochs without it in the beginning.

    Raises:
        SpecError: There is no such format, it is a floating-point one, or a number is negative.
    """

    def __init__(
        self,
        strength: float = 1e-3,
        format: str = "int8",
        code: Code = "sign_magnitude",
        per_channel: bool = False,
        include_bias: bool = False,
        include_bn: bool = False,
        start_epoch: int = 0,
    ) -> None:
        self.format = BitFormat.parse(format, code, per_channel)
        where = "emonas.boo_regulariser"
        if self.format.is_float:
            raise SpecError(
                f"the bits of {format} follow no scale",
                where=where,
                why="neighbours differ in many bits",
                fix="use intN",
            )
        if strength < 0 or start_epoch < 0:
            raise SpecError(f"strength={strength} and start_epoch={start_epoch} must not be negative", where=where)
        self.strength, self.start_epoch = strength, start_epoch
        self._options = {"include_bias": include_bias, "include_bn": include_bn}

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Adds the term to the gradients of the weights that this optimiser changes."""
        if self.strength == 0 or trainer.current_epoch < self.start_epoch:
            return
        own = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        for weights in counted(pl_module, **self._options):
            tensor = weights.tensor
            if id(tensor) in own and tensor.grad is not None:
                tensor.grad.add_(slope(tensor, self.format, weights.axis), alpha=self.strength)


@torch.no_grad()
def slope(weights: Tensor, form: BitFormat, axis: int = 0) -> Tensor:
    """C(q + 1) - C(q) at q = floor(w / s): by how many ones the next integer differs.

    Args:
        weights: Any shape.
        form: An `intN` or `Qm.n` format.
        axis: Dimension of the output channels.

    Returns:
        Whole numbers in the type and shape of the weights. Beyond the largest integer they are those just below it, and
        where the scale is 0 they are 0.
    """
    scale = scale_of(weights, form, axis)
    lowest, highest = bounds(form)
    steps = weights.double() / torch.where(scale > 0, scale, 1.0)
    below = steps.floor().clamp(lowest, highest - 1).long()
    change = popcount(encode(below + 1, form)) - popcount(encode(below, form))
    return torch.where(scale > 0, change, 0).to(weights.dtype)

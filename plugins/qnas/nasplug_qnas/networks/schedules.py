"""Training schemes by name: an optimiser together with the course of its learning rate.

==============  ======================================================================  ===========  =================
scheme          learning rate                                                           optimiser    published epochs
==============  ======================================================================  ===========  =================
`constant`      fixed; how a candidate is trained in the search                         rmsprop_tf   50
`cosine`        0.1 to 0 along half a cosine (SMASH, arXiv 1708.05344)                  momentum     300
`cosine500`     the same over more epochs                                               momentum     500
`special`       0.01, 0.1, 0.01, 0.001, changing at epochs 5, 250 and 375 of 500        momentum     500
                (CGP-CNN, arXiv 1704.00764)
`cyclic`        triangle between 0.01 and 0.1, 20 steps up and 20 down (Smith,          swats        300
                arXiv 1506.01086; Enhanced Q-NAS)
`swats`         fixed for Adam, then found by SWATS (arXiv 1712.07628)                  swats        300
`adam2sgd`      fixed for Adam, times `lr_boost` for SGD from `switch_epoch` on         adam2sgd     300
==============  ======================================================================  ===========  =================
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, CyclicLR, LambdaLR, LRScheduler
from torch.optim.optimizer import ParamsT

from nasplug.contract.errors import SpecError, UnknownNameError, did_you_mean
from nasplug_qnas.networks.optimisers import build_optimiser


class Plan(NamedTuple):
    """An optimiser and its schedule.

    Attributes:
        optimiser: The optimiser.
        scheduler: The schedule; None for a fixed learning rate.
        interval: Whether `scheduler.step()` is called after every step or after every epoch.
    """

    optimiser: Optimizer
    scheduler: LRScheduler | None
    interval: Literal["step", "epoch"]


#: Optimiser and epochs of each scheme where nothing else is asked for.
SCHEMES: dict[str, tuple[str, int]] = {
    "constant": ("rmsprop_tf", 50),
    "cosine": ("momentum", 300),
    "cosine500": ("momentum", 500),
    "special": ("momentum", 500),
    "cyclic": ("swats", 300),
    "swats": ("swats", 300),
    "adam2sgd": ("adam2sgd", 300),
}

_SPECIAL_EPOCHS = 500
_SPECIAL_BOUNDARIES = (5, 250, 375)
_SPECIAL_FACTORS = (0.1, 1.0, 0.1, 0.01)


def configure(
    scheme: str,
    parameters: ParamsT,
    epochs: int | None = None,
    steps_per_epoch: int = 1,
    *,
    optimiser: str | None = None,
    **hyperparameters: Any,
) -> Plan:
    """Makes the optimiser and the schedule of a scheme.

    With fewer or more epochs than published, the cosine ends at the last step and the boundaries of `special` keep
    their share of the epochs. The triangle of `cyclic` counts steps and is not stretched.

    Args:
        scheme: One of `SCHEMES`.
        parameters: Parameters or parameter groups.
        epochs: Epochs of the training; the published number by default.
        steps_per_epoch: Optimiser steps per epoch.
        optimiser: Another optimiser than the scheme's own, see `nasplug_qnas.networks.optimisers`.
        **hyperparameters: Hyperparameters of the optimiser. `lr` is the highest rate of `cosine` and `special`.
            `cyclic` takes `base_lr`, `max_lr` and `half_cycle` (steps) instead; `adam2sgd` takes
            `switch_epoch`, half the epochs by default.

    Returns:
        The plan.

    Raises:
        UnknownNameError: If a scheme, optimiser or hyperparameter is not known.
        SpecError: If a value is out of range.
    """
    if scheme not in SCHEMES:
        raise UnknownNameError(
            f"there is no training scheme {scheme!r}", where="Q-NAS", fix=did_you_mean(scheme, SCHEMES)
        )
    own_optimiser, published_epochs = SCHEMES[scheme]
    name = optimiser or own_optimiser
    epochs = published_epochs if epochs is None else epochs
    if epochs < 1 or steps_per_epoch < 1:
        raise SpecError(
            f"a schedule needs at least one epoch and one step per epoch, got {epochs} and {steps_per_epoch}",
            where="Q-NAS",
        )
    if scheme == "cyclic":
        return _cyclic(name, parameters, hyperparameters)
    if name == "adam2sgd" and "switch_step" not in hyperparameters:
        hyperparameters["switch_step"] = int(hyperparameters.pop("switch_epoch", epochs // 2) * steps_per_epoch)
    if scheme in ("cosine", "cosine500", "special"):
        hyperparameters.setdefault("lr", 0.1)
    made = build_optimiser(name, parameters, **hyperparameters)
    if scheme in ("cosine", "cosine500"):
        return Plan(made, CosineAnnealingLR(made, T_max=epochs * steps_per_epoch), "step")
    if scheme == "special":
        boundaries = special_boundaries(epochs)
        return Plan(
            made, LambdaLR(made, lambda epoch: _SPECIAL_FACTORS[sum(epoch >= end for end in boundaries)]), "epoch"
        )
    return Plan(made, None, "epoch")


def special_boundaries(epochs: int) -> tuple[int, int, int]:
    """Epochs at which `special` changes its rate: 5, 250 and 375 of 500, in proportion, and all different."""
    first, second, third = (max(1, round(boundary * epochs / _SPECIAL_EPOCHS)) for boundary in _SPECIAL_BOUNDARIES)
    second = max(second, first + 1)
    return first, second, max(third, second + 1)


def _cyclic(name: str, parameters: ParamsT, hyperparameters: dict[str, Any]) -> Plan:
    if "lr" in hyperparameters:
        raise SpecError(
            "the scheme 'cyclic' sets the learning rate itself",
            where="Q-NAS",
            fix="give base_lr and max_lr instead of lr",
        )
    base, highest = hyperparameters.pop("base_lr", 0.01), hyperparameters.pop("max_lr", 0.1)
    half_cycle = hyperparameters.pop("half_cycle", 20)
    if not 0.0 < base <= highest or half_cycle < 1:
        raise SpecError(
            f"'cyclic' needs 0 < base_lr <= max_lr and half_cycle >= 1, got {base}, {highest} and {half_cycle}",
            where="Q-NAS",
        )
    made = build_optimiser(name, parameters, lr=base, **hyperparameters)
    scheduler = CyclicLR(made, base, highest, step_size_up=half_cycle, mode="triangular", cycle_momentum=False)
    return Plan(made, scheduler, "step")

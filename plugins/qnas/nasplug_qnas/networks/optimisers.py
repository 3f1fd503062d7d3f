"""Optimisers by name, with one vocabulary of hyperparameters.

===============  ==========================================  ==============================================
name             class                                       hyperparameters
===============  ==========================================  ==============================================
`momentum`       torch.optim.SGD                             lr, momentum (0.9), weight_decay, nesterov
`rmsprop_tf`     timm's RMSpropTF, as published Q-NAS        lr, decay (0.9), momentum (0), eps, weight_decay
`rmsprop`        torch.optim.RMSprop                         lr, decay (0.9), momentum (0), eps, weight_decay
`adam`           torch.optim.Adam                            lr, betas, eps, weight_decay
`adamw`          torch.optim.AdamW (decoupled decay)         lr, betas, eps, weight_decay
`swats`          SWATS                                       lr, betas, eps, weight_decay, switch_tolerance
`adam2sgd`       AdamToSGD                                   switch_step, lr, lr_boost, momentum, betas, eps,
                                                             weight_decay
===============  ==========================================  ==============================================

Except in `adamw`, `weight_decay` is added to the gradient. Over all parameters that equals the published loss term,
weight_decay times half the sum of all squared weights, biases and batch normalisation included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from nasplug.contract.errors import SpecError, UnknownNameError, did_you_mean
from nasplug.optional import require
from nasplug_qnas.networks.adam_step import check_hyperparameters
from nasplug_qnas.networks.adam_to_sgd import AdamToSGD
from nasplug_qnas.networks.swats import SWATS

_ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}
_RMSPROP = {"lr": 1e-3, "decay": 0.9, "momentum": 0.0, "weight_decay": 0.0}


_CHECKED = ("eps", "weight_decay")


def _torch_rmsprop(params: ParamsT, decay: float, **others: Any) -> Optimizer:
    return torch.optim.RMSprop(params, alpha=decay, **others)


def _tf_rmsprop(params: ParamsT, decay: float, **others: Any) -> Optimizer:
    """RMSProp with the arithmetic of TensorFlow, which the published ranges refer to.

    The mean square starts at 1, eps stands
    inside the root, and the learning rate inside the momentum.
    """
    optim = require("timm.optim", extra="timm", purpose="train with rmsprop_tf")
    check_hyperparameters("rmsprop_tf", others["lr"], (decay, others["momentum"]), **{k: others[k] for k in _CHECKED})
    made: Optimizer = optim.RMSpropTF(params, alpha=decay, **others)
    return made


#: Constructor and default hyperparameters of each optimiser.
OPTIMISERS: dict[str, tuple[Callable[..., Optimizer], dict[str, Any]]] = {
    "momentum": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0, "nesterov": False}),
    "rmsprop_tf": (_tf_rmsprop, {**_RMSPROP, "eps": 1e-10}),
    "rmsprop": (_torch_rmsprop, {**_RMSPROP, "eps": 1e-8}),
    "adam": (torch.optim.Adam, _ADAM),
    "adamw": (torch.optim.AdamW, {**_ADAM, "weight_decay": 0.01}),
    "swats": (SWATS, {**_ADAM, "eps": 1e-9, "switch_tolerance": 1e-5}),
    "adam2sgd": (AdamToSGD, {**_ADAM, "switch_step": None, "lr_boost": 10.0, "momentum": 0.9}),
}


def build_optimiser(name: str, params: ParamsT, **hyperparameters: Any) -> Optimizer:
    """Makes an optimiser.

    Args:
        name: One of `OPTIMISERS`.
        params: Parameters or parameter groups.
        **hyperparameters: Overrides of the defaults in the table above.

    Returns:
        The optimiser.

    Raises:
        UnknownNameError: If there is no such optimiser, or it has no such hyperparameter.
        SpecError: If a hyperparameter is out of range, or `switch_step` is missing for `adam2sgd`.
    """
    if name not in OPTIMISERS:
        raise UnknownNameError(f"there is no optimiser {name!r}", where="Q-NAS", fix=did_you_mean(name, OPTIMISERS))
    make, defaults = OPTIMISERS[name]
    for key in hyperparameters:
        if key not in defaults:
            raise UnknownNameError(
                f"the optimiser {name!r} has no hyperparameter {key!r}", where="Q-NAS", fix=did_you_mean(key, defaults)
            )
    arguments = {**defaults, **hyperparameters}
    missing = [key for key, value in arguments.items() if value is None]
    if missing:
        raise SpecError(f"the optimiser {name!r} needs a value for {', '.join(missing)}", where="Q-NAS")
    try:
        return make(params, **arguments)
    except ValueError as error:
        raise SpecError(f"the optimiser {name!r} refuses its hyperparameters", where="Q-NAS", why=str(error)) from error

"""Quantisers of activations and weights, and how to get them by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from nasplug.contract.errors import SpecError, UnknownNameError, did_you_mean
from nasplug_darts_lp.quantisers.base import ActivationQuantiser, Codes, Levels, Static, count
from nasplug_darts_lp.quantisers.baselines import LSQ, PACT, Fixed
from nasplug_darts_lp.quantisers.squeeze import LearnableThreshold, SqueezeThreshold
from nasplug_darts_lp.quantisers.weights import Gaussian, LSQWeights, Uniform, WeightQuantiser

__all__ = [
    "ACTIVATIONS",
    "WEIGHTS",
    "ActivationQuantiser",
    "Codes",
    "Levels",
    "Static",
    "WeightQuantiser",
    "activation_quantiser",
    "count",
    "weight_quantiser",
]

ACTIVATIONS: Mapping[str, Callable[..., ActivationQuantiser]] = {
    "double_st": partial(SqueezeThreshold, stages="double"),
    "single_st": partial(SqueezeThreshold, stages="single"),
    "threshold_st": partial(SqueezeThreshold, stages="threshold"),
    "fixed": Fixed,
    "learnable": LearnableThreshold,
    "lsq": LSQ,
    "pact": PACT,
}

WEIGHTS: Mapping[str, Callable[..., WeightQuantiser]] = {"uniform": Uniform, "lsq": LSQWeights, "gaussian": Gaussian}


def activation_quantiser(kind: str, bits: int, channels: int, **options: Any) -> ActivationQuantiser:
    """A quantiser of activations.

    Args:
        kind: `double_st`, `single_st`, `threshold_st`, `fixed`, `learnable`, `lsq` or `pact`.
        bits: 1 to 8.
        channels: Channels C of the tensors (N, C, ...) it will see.
        **options: `levels` and `surrogate` of all kinds; `squeeze`, `momentum`, `rho` and `reduction` of the first
            three.

    Raises:
        UnknownNameError: No such kind.
        SpecError: Bits out of range, or an unknown option.
    """
    return _made("activations", ACTIVATIONS, kind, bits, channels, options)  # type: ignore[no-any-return]


def weight_quantiser(kind: str, bits: int, channels: int, **options: Any) -> WeightQuantiser:
    """A quantiser of weights.

    Args:
        kind: `uniform`, `lsq` or `gaussian`.
        bits: 1 to 8.
        channels: Output channels O of the weights (O, ...).
        **options: None of the kinds has any.

    Raises:
        UnknownNameError: No such kind.
        SpecError: Bits out of range, or an unknown option.
    """
    return _made("weights", WEIGHTS, kind, bits, channels, options)  # type: ignore[no-any-return]


def _made(what: str, known: Mapping[str, Any], kind: str, bits: int, channels: int, options: dict[str, Any]) -> Any:
    if kind not in known:
        raise UnknownNameError(
            f"there is no quantiser of {what} {kind!r}", where="darts_lp", fix=did_you_mean(str(kind), known)
        )
    factory = known[kind]
    taken = _options(factory)
    for name in options:
        if name not in taken:
            raise SpecError(
                f"the quantiser {kind!r} has no option {name!r}", where="darts_lp", fix=did_you_mean(name, taken)
            )
    return factory(bits, channels, **options)


def _options(factory: Any) -> list[str]:
    """Names of the options of a quantiser, with those of its base class."""
    set_already = getattr(factory, "keywords", {})
    names = {*inspect.signature(getattr(factory, "func", factory)).parameters}
    if "options" in names:
        names |= {*inspect.signature(ActivationQuantiser).parameters}
    return sorted(names - {"bits", "channels", "options", *set_already})

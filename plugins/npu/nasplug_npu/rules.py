"""What every unit must keep to. The rules work on one configuration and on arrays of values alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Rule:
    """A condition on some fields.

    Attributes:
        fields: The fields it reads; the first is named in the advice.
        message: Message if it does not hold.
        condition: Function from an object with the fields to a truth value, or to an array of them.
    """

    fields: tuple[str, ...]
    message: str
    condition: Callable[[Any], Any]

    def holds(self, values: Any) -> bool:
        """Whether it holds everywhere."""
        return bool(np.all(self.condition(values)))

    def because(self, values: Any) -> str:
        """The values, for a message."""
        return ", ".join(f"{name} is {getattr(values, name)}" for name in self.fields)


def _positive(name: str) -> Rule:
    return Rule((name,), f"{name} must be above zero", lambda v: np.asarray(getattr(v, name)) > 0)


def _amount(name: str) -> Rule:
    return Rule((name,), f"{name} must not be negative", lambda v: np.asarray(getattr(v, name)) >= 0)


def _power_of_two(name: str) -> Rule:
    def condition(v: Any) -> Any:
        whole = np.asarray(getattr(v, name), dtype=np.int64)
        return (whole > 0) & (whole & (whole - 1) == 0)

    return Rule((name,), f"{name} must be a power of two", condition)


def _shape_fits(v: Any) -> Any:
    fits = np.asarray(True)
    for r, c, p in v.named_shapes:
        fits = fits & (np.asarray(v.macs) == r * c * p) & (r * c * p > 0)
    return fits


def _pow2_macs(v: Any) -> Any:
    if v.shapes != "pow2":
        return True
    whole = np.asarray(v.macs, dtype=np.int64)
    return whole & (whole - 1) == 0


def _whole_bits(v: Any) -> Any:
    return np.asarray(v.brick_bits) <= np.asarray(v.max_bits)


def _nm(v: Any) -> Any:
    return v.nm is None or v.nm[0] <= v.nm[1]


def _systolic(v: Any) -> Any:
    if not v.dataflow.startswith("systolic"):
        return True
    return v.shape is not None and v.shape[2] == 1 and v.precision == "none"


def _skips_in_tree(v: Any) -> Any:
    return v.dataflow == "tree" or v.sparsity in ("none", "gate") or (v.nm is not None and v.dataflow == "systolic_ws")


def _ethos(v: Any) -> Any:
    known = _ETHOS.get(v.dataflow)
    return known is None or (np.isin(np.asarray(v.macs), known) & (v.precision == "none"))


#: Multipliers of Arm's products.
_ETHOS = {"ethos_u55": (32, 64, 128, 256, 512), "ethos_u85": (128, 256, 512, 1024, 2048)}


RULES: tuple[Rule, ...] = (
    *(
        _positive(name)
        for name in (
            *("freq_hz", "macs", "acc_bits", "sync", "window", "weight_kb", "input_kb", "output_kb"),
            *("weight_port_bits", "input_port_bits", "output_port_bits", "act_bytes_per_cycle"),
            *(
                "weight_bytes_per_cycle",
                "act_burst_bytes",
                "weight_burst_bytes",
                "align_channels",
                "ppu_per_cycle",
                "fusion",
            ),
            *("node_nm", "vdd"),
        )
    ),
    *(
        _amount(name)
        for name in (
            *("pipeline_depth", "act_latency", "weight_latency", "act_pj_per_bit", "weight_pj_per_bit"),
            *("layer_cycles", "tile_cycles", "gate_fraction"),
        )
    ),
    _power_of_two("brick_bits"),
    _power_of_two("max_bits"),
    Rule(("brick_bits", "max_bits"), "the narrowest operand is wider than the native one", _whole_bits),
    Rule(("macs", "shapes"), "an array of all shapes needs a power of two of multipliers", _pow2_macs),
    Rule(("shapes", "macs"), "the shape does not use the multipliers there are", _shape_fits),
    Rule(("encoding",), "N of N:M is larger than M", _nm),
    Rule(
        ("shapes", "dataflow", "precision"),
        "a systolic array has one shape fixed:RxCx1 and the precision none",
        _systolic,
    ),
    Rule(("sparsity", "dataflow"), "this dataflow cannot skip zeros (systolic_ws can with nmN:M)", _skips_in_tree),
    Rule(
        ("inner", "dataflow"),
        "only a tree has a loop order of its own",
        lambda v: v.inner == "sum" or v.dataflow == "tree",
    ),
    Rule(
        ("macs", "dataflow", "precision"),
        "an Ethos-U55 has 32 to 256 multipliers, a U65 256 or 512, a U85 128 to 2048, and all have the precision none",
        _ethos,
    ),
)

"""Area of a unit: its parts in gate equivalents, its buffers in square millimetres.

The array's area is a regression on synthesised samples, see `nasplug_npu.rtl`; the other blocks were synthesised
once each. What has not been synthesised (multiplexers that reshape the array, address generators) is counted in
gates of two inputs and flip-flops, and is an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from nasplug_npu import constants
from nasplug_npu.config import NPUConfig
from nasplug_npu.model.points import Points

Array = npt.NDArray[np.float64]

#: Gate equivalents of a flip-flop, and of a multiplexer of two bits; as in the synthesis.
FLIP_FLOP, MULTIPLEXER = 5.33, 2.33
#: Flip-flops of address generators and descriptors: three channels with five counters of 16 bits and four of 32.
CONTROL_FLIP_FLOPS = 3 * (5 * 16 + 4 * 32)
#: Features of the array's regression.
FEATURES = ("products", "operands", "multipliers", "columns", "constant")


@dataclass(frozen=True)
class Fit:
    """A fitted regression.

    Attributes:
        coefficients: Gate equivalents per unit of each of `FEATURES`.
        error: Relative errors of the samples when each tenth was predicted from the others.
    """

    coefficients: Array
    error: Array

    @property
    def mape(self) -> float:
        """Mean absolute relative error in cross-validation."""
        return float(np.mean(np.abs(self.error)))

    @property
    def sigma(self) -> float:
        """Standard deviation of the relative error in cross-validation."""
        return float(np.std(self.error))


@dataclass(frozen=True)
class Area:
    """Area of a unit; values may be arrays over hardware points.

    Attributes:
        gates: Gate equivalents by part.
        logic_mm2, memory_mm2: Square millimetres.
        sigma_mm2: Standard deviation of the total that the array's regression leaves.
    """

    gates: dict[str, Any]
    logic_mm2: Any
    memory_mm2: Any
    sigma_mm2: Any

    @property
    def total_mm2(self) -> Any:
        """Logic and memory."""
        return self.logic_mm2 + self.memory_mm2


def features(rows: Any, columns: Any, weight_bits: Any, input_bits: Any) -> Array:
    """What an array's area is made of: cells, operand registers, multipliers, accumulators; (S, features)."""
    rows, columns, weight_bits, input_bits = (
        np.asarray(value, dtype=np.float64) for value in (rows, columns, weight_bits, input_bits)
    )
    multipliers = rows * columns
    parts = (
        multipliers * weight_bits * input_bits,
        multipliers * (weight_bits + input_bits),
        multipliers,
        columns,
        np.ones(()),
    )
    return np.stack(np.broadcast_arrays(*parts), axis=-1)


def fit(matrix: Array, gates: Array, folds: int = 10, seed: int = 0) -> Fit:
    """Least squares of relative errors, with its error in cross-validation.

    Args:
        matrix: Features, (S, features).
        gates: Gate equivalents, (S,).
        folds: Parts of the cross-validation.
        seed: Seed of its order.
    """

    def solve(which: npt.NDArray[np.intp]) -> Array:
        weighted = matrix[which] / gates[which, None]
        return np.asarray(np.linalg.lstsq(weighted, np.ones(len(which)), rcond=None)[0])

    order = np.random.default_rng(seed).permutation(len(gates))
    error = np.empty(len(gates))
    for part in np.array_split(order, folds):
        rest = np.setdiff1d(order, part)
        error[part] = matrix[part] @ solve(rest) / gates[part] - 1
    return Fit(solve(np.arange(len(gates))), error)


def samples(block: str) -> list[dict[str, float]]:
    """The synthesised samples of a block, in gate equivalents."""
    return [
        {name: float(value) for name, value in row.items() if name != "block" and value}
        for row in constants.table("synthesis")
        if row["block"] == block
    ]


@lru_cache(maxsize=1)
def array_fit() -> Fit:
    """The regression of the array on the samples that come with the package."""
    found = samples("array")
    matrix = features(*([row[name] for row in found] for name in ("rows", "columns", "weight_bits", "input_bits")))
    return fit(matrix, np.array([row["ge"] for row in found]))


@lru_cache(maxsize=1)
def _blocks() -> tuple[float, float, tuple[float, float]]:
    """A fused multiplier relative to a plain one, a post-process lane, and a zero skipper as a + b * window."""
    plain = array_fit().coefficients @ features(1, 1, 8, 8) - FLIP_FLOP * 24
    (fused,), (lane,) = samples("fused_multiplier"), samples("post_lane")
    skippers = samples("skipper")
    slope, offset = np.polyfit([row["rows"] for row in skippers], [row["ge"] for row in skippers], 1)
    return float(fused["ge"] / plain), lane["ge"], (float(offset), float(slope))


def has_area(config: Any) -> TypeGuard[NPUConfig]:
    """Whether the model knows what a configuration is made of: not for rates, and not for products of others."""
    return isinstance(config, NPUConfig) and not config.dataflow.startswith("ethos")


def costs_of_area(config: Any, totals: Mapping[str, float]) -> dict[str, float]:
    """Area of a unit, and how much of a network it does per second and area; nothing where its parts are not known.

    Args:
        config: Any configuration.
        totals: Costs of a network, with `gops_dense`.
    """
    if not has_area(config):
        return {}
    size = area(config).total_mm2
    return {"area_mm2": size, "tops_per_mm2": 1e-3 * totals["gops_dense"] / size}


def area(hw: NPUConfig | Points) -> Area:
    """The area of a unit, or of many.

    * array: the regression, for the squarest shape, with multipliers that fuse as large as was synthesised.
    * accumulators: what is wider than the samples' 24 bits.
    * reshaping: for every operand a multiplexer for every halving of the array, or of the number of its shapes.
    * skipping: a zero skipper per lane, with a window of `window` elements.
    * post: lanes of the post-process unit.
    * control: address generators.
    """
    points = hw if isinstance(hw, Points) else Points.of(hw)
    found = array_fit()
    named = points.named_shapes
    if named:
        columns = np.full_like(points.macs, float(max(c * p for _, c, p in named)))
        turns = np.full_like(points.macs, np.log2(len(named)))
    else:
        columns = 2.0 ** np.floor(np.log2(points.macs) / 2)
        turns = np.log2(points.macs)
    rows = points.macs / columns
    bits = points.max_bits
    array = features(rows, columns, bits, bits) @ found.coefficients
    larger, lane, (offset, slope) = _blocks()
    if points.precision == "full2d":
        array = array * larger
    elif points.precision in ("weight_only", "symmetric"):  # one of two operands is divided
        array = array * (1 + larger) / 2
    skips = points.sparsity in ("weight_skip", "act_skip", "dual_skip") and points.nm is None
    gates = {
        "array": array,
        "accumulators": columns * FLIP_FLOP * np.maximum(points.acc_bits - 24, 0),
        "reshaping": 2 * points.macs * bits * turns * MULTIPLEXER,
        "skipping": points.macs * (offset + slope * points.window) if skips else np.zeros_like(points.macs),
        "post": np.ceil(points.ppu_per_cycle) * lane,
        "control": np.full_like(points.macs, CONTROL_FLIP_FLOPS * FLIP_FLOP),
    }
    known = constants.of(points)
    gate = known.gate_area(points.node_nm)
    logic = sum(gates.values()) * gate
    buffers = (points.weight_kb, points.input_kb, points.output_kb)
    memory = sum(known.memory("area", size, node_nm=points.node_nm) for size in buffers)
    sigma = array * found.sigma * gate
    one = isinstance(hw, NPUConfig)

    def plain(value: Any) -> Any:
        whole = np.broadcast_to(value, (len(points),))
        return float(whole[0]) if one else whole

    return Area({name: plain(value) for name, value in gates.items()}, plain(logic), plain(memory), plain(sigma))

"""One network on many hardware points at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from nasplug.contract.errors import SpecError, TrialError, did_you_mean
from nasplug.workloads.workload import Workload
from nasplug_npu.config import NPUConfig
from nasplug_npu.model.energy import coefficients
from nasplug_npu.model.layers import AMOUNTS, UNITS, layers
from nasplug_npu.model.points import NUMBERS, Points
from nasplug_npu.model.rows import Array, Batch
from nasplug_npu.rates import RateConfig
from nasplug_npu.unit import summary

#: Layers times points that are evaluated together: few enough for the caches of a processor.
CELLS = 16_384
#: What points must share for a layer to take the same clocks and to move the same bits.
PERFORMANCE = tuple(name for name in NUMBERS if name not in UNITS)
#: What points must share for every amount to cost the same energy.
ENERGY = (
    *("macs", "max_bits", "acc_bits", "weight_kb", "input_kb", "output_kb", "node_nm", "vdd", "gate_fraction"),
    *("weight_port_bits", "input_port_bits", "output_port_bits", "act_pj_per_bit", "weight_pj_per_bit"),
)


def grid(base: NPUConfig, axes: Mapping[str, Sequence[Any]]) -> Iterator[Points]:
    """All combinations, as few sets of points: those of one set share everything but numbers.

    Args:
        base: Configuration that the axes vary.
        axes: Values by field.

    Raises:
        SpecError: An axis that is not a field, or has no values.
    """
    fields = base.to_json() | {"ppu_operations": base.ppu_operations}
    for name, values in axes.items():
        if name not in fields or name in ("name", "source"):
            raise SpecError(f"there is no field {name!r} to vary", where="npu explore", fix=did_you_mean(name, fields))
        if not len(values):
            raise SpecError(f"the axis {name!r} has no values", where="npu explore")
    others = [name for name in axes if name not in NUMBERS]
    numbers = [name for name in axes if name in NUMBERS]
    meshes = np.meshgrid(*(np.asarray(axes[name], dtype=np.float64) for name in numbers), indexing="ij")
    for combination in product(*(axes[name] for name in others)):
        changed = dict(zip(others, combination, strict=True))
        changed |= {name: mesh.ravel() for name, mesh in zip(numbers, meshes, strict=True)}
        yield Points(fields | changed)


def sweep(network: Workload | Batch, points: Points, *, cpu: RateConfig | None = None) -> dict[str, Array]:
    """Costs of one network on every point, (P,) by key; the same numbers as `nasplug_npu.NPU.totals`.

    Points where a layer does not fit the buffers have the latency infinity. Layers that the unit cannot do go to `cpu`,
    or cost nothing and are counted.

    Args:
        network: The network; a batch of one saves preparing it again.
        points: Valid points.
        cpu: Processor for layers that the unit cannot do.
    """
    batch = network if isinstance(network, Batch) else Batch.of([network])
    counts = np.bincount(batch.index, minlength=len(batch.rows)).astype(np.float64)
    if np.any(points.fusion > 1):
        return _one_by_one(batch, points, cpu)
    few, inverse = points.distinct(PERFORMANCE)
    size = max(CELLS // len(batch.rows), 1)
    sums, fits = [], []
    for begin in range(0, len(few), size):
        part = few if len(few) <= size else few.take(slice(begin, begin + size))
        found = layers(batch.rows, part, cpu=cpu)
        sums.append(np.stack(np.broadcast_arrays(*(counts @ found.amounts[name] for name in AMOUNTS))))
        fits.append(np.broadcast_to(found.fits.all(axis=0), (len(part),)))
    total, possible = np.concatenate(sums, axis=1), np.concatenate(fits)
    if inverse is not None:
        total, possible = total[:, inverse], possible[inverse]
    unlike, which = points.distinct(ENERGY)
    coefficient = {
        item: {name: np.ravel(value) if which is None else _picked(value, which) for name, value in parts.items()}
        for item, parts in coefficients(unlike).items()
    }
    totals = summary(points, total, batch.peak_bits(points.align_channels), coefficient)
    for name in ("latency_s", "cycles", "energy_j"):
        totals[name] = np.where(possible, totals[name], np.inf)
    return {name: np.broadcast_to(np.ravel(value), (len(points),)) for name, value in totals.items()}


def _one_by_one(batch: Batch, points: Points, cpu: RateConfig | None) -> dict[str, Array]:
    """Points whose layers are computed together: which ones is a matter of the whole network."""
    from nasplug_npu.unit import NPU

    found: list[dict[str, float]] = []
    for place in range(len(points)):
        unit = NPU(points.config(place), "zero" if cpu is None else "cpu")
        try:
            found.append(unit.totals(batch.workloads[0]))
        except TrialError:  # a layer that fits no buffer
            found.append({"latency_s": np.inf, "cycles": np.inf, "energy_j": np.inf})
    whole: dict[str, float] = max(found, key=len)
    return {key: np.array([costs.get(key, 0.0) for costs in found]) for key in whole}


def _picked(value: Any, which: Any) -> Any:
    flat = np.ravel(value)
    return flat[which] if len(flat) > 1 else flat

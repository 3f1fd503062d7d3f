"""A configured unit: asks the model about workloads, one or many, layer by layer or in total."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug.contract.errors import SpecError, TrialError, did_you_mean
from nasplug.workloads.workload import OPERATIONS, Workload
from nasplug_npu.config import NPUConfig
from nasplug_npu.model.energy import coefficients, joules
from nasplug_npu.model.layers import AMOUNTS, BOUNDS, Layers, layers
from nasplug_npu.model.points import Points
from nasplug_npu.model.rows import Array, Batch, Memo, Rows, last_readers, pack
from nasplug_npu.presets import POLICIES, Config, parse, preset
from nasplug_npu.rates import RateConfig

if TYPE_CHECKING:
    pass


_INDEX = {name: index for index, name in enumerate(AMOUNTS)}
_CONCAT = OPERATIONS.index("concat")


@dataclass(frozen=True)
class CostTable:
    """What a network costs on a unit.

    Attributes:
        names: Names of the layers.
        operations: Kinds of the layers.
        layers: Amounts of each layer, (L,), by name; `bound` says what it waits for, `shape` is (r, c, p) of the array,
            `unpriced` is 1 where its work costs no time.
        totals: Totals of the network, with units in their names.
        freq_hz: Clock of the unit.
    """

    names: tuple[str, ...]
    operations: tuple[str, ...]
    layers: Mapping[str, Any]
    totals: Mapping[str, float]
    freq_hz: float

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary per layer."""
        columns = {key: np.asarray(value).tolist() for key, value in self.layers.items()}
        return [
            {"name": name, "operation": self.operations[row], **{key: value[row] for key, value in columns.items()}}
            for row, name in enumerate(self.names)
        ]

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Layers whose work costs no time, as the unit cannot do them or has no rate for them."""
        return tuple(name for name, free in zip(self.names, self.layers["unpriced"], strict=True) if free)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"totals": dict(self.totals), "unpriced": list(self.unpriced), "layers": self.rows()}


class NPU:
    """A unit, or a processor described by rates.

    Equal layers are evaluated once in the life of the object, as networks of one search space share most of them.

    Args:
        config: A configuration, or its name: a preset with changes, such as `wu32,freq_hz=400e6`.
        unsupported: Policy for layers it cannot do: `error`, `cpu` (they run on the preset `cortex_m7_xcubeai`)
            or `zero` (they cost nothing and are counted as `unsupported_layers`). A name may say it as well.

    Raises:
        SpecError: No such policy, or a name that cannot be read.
    """

    def __init__(self, config: Config | str, unsupported: str = "error") -> None:
        self.config, named = parse(config) if isinstance(config, str) else (config, "error")
        self.unsupported = named if unsupported == "error" else unsupported
        if self.unsupported not in POLICIES:
            raise SpecError(f"unsupported is {unsupported!r}", where="npu", fix=did_you_mean(unsupported, POLICIES))
        self._memo, self._amounts = Memo(), np.empty((0, len(AMOUNTS)))
        self._coefficients = coefficients(self.config) if isinstance(self.config, NPUConfig) else None
        self._points = Points.of(self.config) if isinstance(self.config, NPUConfig) else None
        cpu = preset("cortex_m7_xcubeai")
        assert isinstance(cpu, RateConfig)
        self._cpu = cpu if self.unsupported == "cpu" else None

    def totals(self, workload: Workload) -> dict[str, float]:
        """Costs of a network, by keys with units.

        Raises:
            TrialError: A layer that the unit cannot do (under the policy `error`), or that fits no buffer.
        """
        matrix = self._packed(workload)
        known = len(self._memo)
        numbers = self._memo.numbers(matrix)
        if len(self._memo) > known:
            self._extend(matrix, numbers, known, workload)
        amounts = self._amounts[numbers].sum(axis=0).tolist()
        return summary(self.config, amounts, _peak(matrix, workload, self.config.align_channels), self._coefficients)

    def many(self, workloads: Batch | Iterable[Workload]) -> dict[str, Array]:
        """Costs of many networks, (A,) by key; the same numbers as `totals`.

        Args:
            workloads: Networks, or a batch made of them beforehand.

        Raises:
            TrialError: See `totals`.
        """
        batch = workloads if isinstance(workloads, Batch) else Batch.of(workloads)
        if self._fuses:  # a layer costs what its neighbours make of it
            each = [self.totals(workload) for workload in batch.workloads]
            return {key: np.array([costs[key] for costs in each]) for key in each[0]}
        sums = batch.sums(self._evaluate(batch.rows))
        return summary(self.config, sums.T, batch.peak_bits(self.config.align_channels), self._coefficients)

    def evaluate(self, workload: Workload) -> CostTable:
        """Costs of a network and of each of its layers.

        Raises:
            TrialError: See `totals`.
        """
        rows = Rows(self._packed(workload))
        found: dict[str, Any]
        if self._points is None:
            amounts = self._rates(rows)
            own = ("cycles", "macs", "flash_bytes", "processor_j", "unpriced")
            found = {name: amounts[:, _INDEX[name]] for name in own}
        else:
            model = self._model(rows, workload.names)
            amount = {name: np.broadcast_to(model.amounts[name], (len(rows), 1))[:, 0] for name in AMOUNTS}
            found = {name: amount[name] for name in (*AMOUNTS[:8], "unpriced")}
            for name in ("weight_memory_bits", "map_memory_bits"):
                found[name.replace("bits", "bytes")] = amount[name] / 8
            assert self._coefficients is not None
            spent = joules(amount, amount["cycles"] / self.config.freq_hz, self._coefficients)
            found |= {f"energy_{item}_j": value for item, value in spent.items()}
            found["bound"] = [
                BOUNDS[int(index)] if not unsupported else "unsupported"
                for index, unsupported in zip(model.bound[:, 0].tolist(), model.unsupported[:, 0].tolist(), strict=True)
            ]
            found["shape"] = np.concatenate([np.broadcast_to(lane, (len(rows), 1)) for lane in model.shape], axis=1)
        found["latency_s"] = found["cycles"] / self.config.freq_hz
        return CostTable(workload.names, workload.operations, found, self.totals(workload), self.config.freq_hz)

    @property
    def _fuses(self) -> bool:
        return isinstance(self.config, NPUConfig) and self.config.fusion > 1

    def _packed(self, workload: Workload) -> Array:
        """The layers, those that are computed together marked."""
        matrix = pack(workload)
        if not self._fuses:
            return matrix
        from nasplug_npu.fusion import fused

        config, points = self.config, self._points
        assert isinstance(config, NPUConfig)
        assert points is not None
        return fused(matrix, config, lambda rows: layers(rows, points, cpu=self._cpu))

    def _extend(self, matrix: Array, numbers: Sequence[int], known: int, workload: Workload) -> None:
        """Evaluates the layers that were never seen before."""
        fresh = {index: row for row, index in enumerate(numbers) if index >= known}
        which = [fresh[index] for index in sorted(fresh)]
        try:
            amounts = self._evaluate(Rows(matrix[which]), [workload.names[row] for row in which])
        except TrialError:
            self._memo, self._amounts = Memo(), np.empty((0, len(AMOUNTS)))  # the numbers given out are void
            raise
        self._amounts = np.concatenate([self._amounts, amounts])

    def _evaluate(self, rows: Rows, names: Sequence[str] = ()) -> Array:
        if self._points is None:
            return self._rates(rows)
        amounts = self._model(rows, names).amounts
        return np.concatenate([np.broadcast_to(amounts[name], (len(rows), 1)) for name in AMOUNTS], axis=1)

    def _model(self, rows: Rows, names: Sequence[str]) -> Layers:
        assert self._points is not None
        found = layers(rows, self._points, cpu=self._cpu)
        if self.unsupported == "error" and found.unsupported.any():
            raise _refused(rows, int(np.argmax(found.unsupported)), names, self.config)
        if not found.fits.all():
            row = int(np.argmin(found.fits[:, 0]))
            raise TrialError(
                "shape",
                f"{_called(rows, row, names)} does not fit the buffers of {self.config.name}",
                where=f"npu:{self.config.name}",
                fix="larger weight_kb, input_kb or output_kb",
            )
        return found

    def _rates(self, rows: Rows) -> Array:
        assert isinstance(self.config, RateConfig)
        cycles, joules = (part[:, 0] for part in self.config.cost(rows))
        amounts = np.zeros((len(rows), len(AMOUNTS)))
        amounts[:, _INDEX["cycles"]], amounts[:, _INDEX["processor_j"]] = cycles, joules
        amounts[:, _INDEX["macs"]] = amounts[:, _INDEX["computed_macs"]] = rows.macs[:, 0]
        stored = rows.stored * (rows.weights * rows.weight_bits + (rows.bias > 0) * rows.co * 32) / 8
        amounts[:, _INDEX["flash_bytes"]] = stored[:, 0]
        amounts[:, _INDEX["unpriced"]] = ((cycles <= 0) & ~rows.kind("concat")[:, 0]).astype(np.float64)
        return amounts


def summary(hw: Any, sums: Any, peak: Any, coefficient: Any) -> dict[str, Any]:
    """Keys with units, of amounts that are summed over networks.

    Args:
        hw: A configuration, or points of which the amounts have one value each.
        sums: One number, or array over networks, for each of `AMOUNTS`.
        peak: Bits alive at the same time.
        coefficient: Coefficient of the energy, see `nasplug_npu.model.energy.coefficients`; none for rates.
    """
    amount = dict(zip(AMOUNTS, sums, strict=True))
    rates = isinstance(hw, RateConfig)
    cycles = amount["cycles"] + hw.network_cycles if rates else amount["cycles"]
    latency = cycles / hw.freq_hz
    found = {
        "latency_s": latency,
        "cycles": cycles,
        "energy_j": 0.0,
        "peak_sram_bytes": peak / 8,
        "flash_bytes": amount["flash_bytes"],
        "macs": amount["macs"],
        "gops_dense": _over(2e-9 * amount["macs"], latency),
        "unpriced_layers": amount["unpriced"],
    }
    if rates:
        found["energy_j"] = amount["processor_j"] + (hw.network_pj + hw.network_cycles * hw.pj_per_cycle) * 1e-12
        return found | _rates_of_energy(found)
    spent = joules(amount, latency, coefficient)
    found["energy_j"] = sum(spent.values())
    compute = amount["compute_cycles"]
    found |= {
        "compute_cycles": compute,
        "utilisation": _over(amount["slots"], hw.macs * cycles),
        "array_utilisation": _over(amount["slots"], hw.macs * compute),
        "gops_effective": _over(2e-9 * amount["computed_macs"], latency),
        "traffic_bytes": (amount["weight_memory_bits"] + amount["map_memory_bits"]) / 8,
        "unsupported_layers": amount["unsupported"],
    }
    for item, value in spent.items():
        found[f"energy_{item}_j"] = value
    return found | _rates_of_energy(found)


def _rates_of_energy(found: Mapping[str, Any]) -> dict[str, Any]:
    """Mean power, and operations of the dense layers per joule; 0 where no energy is known."""
    tera = 2e-12 * found["macs"] * (np.asarray(found["energy_j"]) > 0)
    return {"power_w": _over(found["energy_j"], found["latency_s"]), "tops_per_w": _over(tera, found["energy_j"])}


def _over(amount: Any, divisor: Any) -> Any:
    """A rate; 0 where nothing is divided by nothing, as for a network of which the unit does no layer."""
    return amount / (divisor + (divisor == 0))


def _peak(matrix: Array, workload: Workload, align: int) -> float:
    """As `nasplug_npu.model.rows.peak_bits`, for one network."""
    channels = matrix[:, 5] if align == 1 else np.ceil(matrix[:, 5] / align) * align
    sizes = (matrix[:, 1] * channels * matrix[:, 6] * matrix[:, 7] * matrix[:, 17]).tolist()
    last, first = last_readers(workload)
    for row in np.flatnonzero(matrix[:, 0] == _CONCAT).tolist():
        sizes[row] = 0.0
    ends = [0.0] * len(sizes)
    for row, end in enumerate(last):
        ends[end] += sizes[row]
    alive = peak = float(matrix[0, 1:5].prod() * matrix[0, 16])
    ends[first] += alive
    for size, gone in zip(sizes, ends, strict=True):
        alive += size
        if alive > peak:
            peak = alive
        alive -= gone
    return peak


def _called(rows: Rows, row: int, names: Sequence[str]) -> str:
    kind = OPERATIONS[int(rows.operation[row, 0])]
    return f"the layer {names[row]!r} ({kind})" if names else f"a layer ({kind})"


def _refused(rows: Rows, row: int, names: Sequence[str], config: Config) -> TrialError:
    return TrialError(
        "error",
        f"{_called(rows, row, names)} cannot run on {config.name}",
        where=f"npu:{config.name}",
        fix=f"npu:{config.name},unsupported=cpu gives it to a Cortex-M7; unsupported=zero only counts it",
    )

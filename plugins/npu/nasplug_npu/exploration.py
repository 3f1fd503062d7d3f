"""Searching hardware in layers: cheap tests first, the full model only where it can matter.

Invalid points go first, then those over the area budget, then those whose lower bounds of latency and energy are no
better than what some other point really has. Nothing that belongs to the front is lost, so that the answer is that of
an exhaustive search.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.wording import plural
from nasplug.workloads.workload import Workload
from nasplug_npu.area_model import area
from nasplug_npu.bounds import lower_bounds
from nasplug_npu.config import NPUConfig
from nasplug_npu.model.points import Points
from nasplug_npu.model.rows import Array, Batch
from nasplug_npu.rates import RateConfig
from nasplug_npu.surrogates import Errors, Surrogate
from nasplug_npu.sweeping import grid, sweep

#: What can be minimised.
OBJECTIVES = ("area_mm2", "latency_s", "energy_j")
#: How costs of several networks become one.
COMBINATIONS = ("sum", "worst")
#: Area, latency and energy of some points of a set.
Evaluate = Callable[[int, npt.NDArray[np.intp]], Array]
#: Points that are evaluated before the next look at which others still matter.
STEP = 512
#: Points of the front that others are compared with at once.
_TOGETHER = 64


@dataclass(frozen=True)
class Exploration:
    """What an exploration found.

    Attributes:
        objectives: Names of what was minimised.
        configs: The front, in the order of the first objective.
        values: Objectives of the points, (F, objectives).
        area_sigma_mm2: Standard deviation of their area from the regression, (F,).
        counts: Points of the space, and how many each layer removed or kept.
        seconds: Time by layer.
        axes: Axes that were varied.
        evaluated: Objectives of all points that the full model saw, (E, objectives).
        unpriced: Layers of the networks whose work costs no time on some of the units.
        surrogate: Errors of the surrogate that screened; None without one.
    """

    objectives: tuple[str, ...]
    configs: tuple[NPUConfig, ...]
    values: Array
    area_sigma_mm2: Array
    counts: Mapping[str, int]
    seconds: Mapping[str, float]
    axes: Mapping[str, Sequence[Any]]
    evaluated: Array
    unpriced: tuple[str, ...] = ()
    surrogate: Errors | None = None

    @property
    def knee(self) -> int:
        """The point of the front that is nearest to the best of each objective, all scaled to the front's range."""
        spread = np.ptp(self.values, axis=0)
        scaled = (self.values - self.values.min(axis=0)) / np.where(spread > 0, spread, 1.0)
        return int(np.argmin(np.linalg.norm(scaled, axis=1)))

    def hypervolume(self, reference: Sequence[float] | None = None) -> float:
        """Volume that the front dominates, up to a point; the worst of what was evaluated if none is given."""
        import moocore

        worst = self.evaluated.max(axis=0) if reference is None else reference
        return float(moocore.hypervolume(self.values, ref=worst))

    def rows(self) -> list[dict[str, Any]]:
        """The front, one dictionary per point: what was varied, and the objectives."""
        return [
            {name: getattr(config, name) for name in self.axes}
            | dict(zip(self.objectives, (float(value) for value in values), strict=True))
            for config, values in zip(self.configs, self.values, strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain data, with the full configurations."""
        return {
            "objectives": list(self.objectives),
            "axes": {name: list(values) for name, values in self.axes.items()},
            "counts": dict(self.counts),
            "seconds": {name: round(value, 4) for name, value in self.seconds.items()},
            "unpriced": list(self.unpriced),
            "surrogate": None if self.surrogate is None else self.surrogate.to_json(),
            "knee": self.knee if len(self.configs) else None,
            "front": [
                {"values": row, "area_sigma_mm2": float(sigma), "config": config.to_json()}
                for row, sigma, config in zip(self.rows(), self.area_sigma_mm2, self.configs, strict=True)
            ],
        }


def explore(
    networks: Workload | Mapping[str, Workload],
    base: NPUConfig,
    axes: Mapping[str, Sequence[Any]],
    *,
    max_area: float = np.inf,
    objectives: Sequence[str] = OBJECTIVES,
    combine: str = "sum",
    cpu: RateConfig | None = None,
    prune: bool = True,
    surrogate: int = 0,
    seed: int = 0,
) -> Exploration:
    """All non-dominated units for one or several networks.

    With a surrogate, units that it predicts to be beaten, by more than it errs, are not priced either. Every number
    that is returned is the model's, but a unit of the front may be missing.

    Args:
        networks: One, or several by name.
        base: Configuration that the axes vary.
        axes: Values to try, by field; all combinations are meant.
        max_area: Budget, mm2.
        objectives: Objectives to minimise: `area_mm2`, `latency_s`, `energy_j`.
        combine: Latency and energy of several networks: their `sum`, or the `worst`.
        cpu: Takes the layers that units cannot do; without one they cost nothing. A warning, and `unpriced` of what
            is returned, name layers that cost nothing.
        prune: False evaluates every point that is valid and small enough, for tests.
        surrogate: Number of units that a surrogate learns from before it screens the others; 0 for none.
        seed: Seed of these units.

    Raises:
        SpecError: An unknown axis, objective or way to combine, no point that is valid, small enough and fits, or too
            few to learn from.
    """
    for name in objectives:
        if name not in OBJECTIVES:
            raise SpecError(f"there is no objective {name!r}", where="explore", fix=did_you_mean(name, OBJECTIVES))
    if combine not in COMBINATIONS:
        raise SpecError(f"cannot combine by {combine!r}", where="explore", fix=did_you_mean(combine, COMBINATIONS))
    workloads = {"": networks} if isinstance(networks, Workload) else dict(networks)
    batches = [Batch.of([workload]) for workload in workloads.values()]
    free = _free_layers(workloads, base, axes.get("ppu_operations", ()), cpu)
    clock = _Clock()
    counts = dict.fromkeys(("space", "invalid", "too_large", "dominated", "unfit", "evaluated", "front"), 0)
    left = _candidates(base, axes, max_area, batches, combine, cpu, counts, clock)

    def evaluate(number: int, members: npt.NDArray[np.intp]) -> Array:
        return _values(left.sets[number].take(members), left.bounds[number][members, 0], batches, combine, cpu)

    columns = [OBJECTIVES.index(name) for name in objectives]
    front, evaluated = _Front(len(columns)), []
    errors = None
    if surrogate and left.sets:
        left, learned, errors = _screened(left, evaluate, surrogate, seed, clock)
        counts["learned"] = errors.units
        for number, members, values in learned.asked:
            fits = np.isfinite(values).all(axis=1)
            counts["unfit"] += int((~fits).sum())
            counts["evaluated"] += len(members)
            evaluated.append(values[fits][:, columns])
            front.add(evaluated[-1], [(number, int(index)) for index in members[fits]])
    for rank in range(len(left.order)):
        # Points of one set share everything but numbers, so that the model sees each step as one.
        members = left.order[rank]
        bounds = left.bounds[left.owner[rank]][members][:, columns]
        with clock("bound"):
            beaten = front.dominate(bounds) if prune else np.zeros(len(members), dtype=bool)
        counts["dominated"] += int(beaten.sum())
        if beaten.all():
            continue
        with clock("model"):
            chosen = members[~beaten]
            values = evaluate(left.owner[rank], chosen)
        fits = np.isfinite(values).all(axis=1)
        counts["unfit"] += int((~fits).sum())
        counts["evaluated"] += len(chosen)
        values = values[fits][:, columns]
        evaluated.append(values)
        with clock("front"):
            front.add(values, [(left.owner[rank], int(index)) for index in chosen[fits]])
    if not len(front):
        raise SpecError(
            "no unit is valid, small enough and able to hold the networks",
            where="explore",
            why=", ".join(f"{name} {count}" for name, count in counts.items()),
            fix="widen the axes or the area budget",
        )
    order = np.lexsort(front.values.T[::-1])
    configs = tuple(left.sets[front.labels[index][0]].config(front.labels[index][1]) for index in order)
    counts["front"] = len(front)
    sigma = np.array([area(config).sigma_mm2 for config in configs])
    return Exploration(
        objectives=tuple(objectives),
        configs=configs,
        values=front.values[order],
        area_sigma_mm2=sigma,
        counts=counts,
        seconds=clock.seconds,
        axes=axes,
        evaluated=np.concatenate(evaluated),
        unpriced=free,
        surrogate=errors,
    )


def _free_layers(
    workloads: Mapping[str, Workload], base: NPUConfig, sets: Sequence[Sequence[str]], cpu: RateConfig | None
) -> tuple[str, ...]:
    """Layers that cost no time on the base or with a varied set of post operations; warns of them."""
    units = [base, *(base.replace(ppu_operations=tuple(some)) for some in sets)]
    refused = {name for unit in units for name in unit.unpriced}
    kinds = refused if cpu is None else refused & set(cpu.unpriced)
    free = tuple(
        name
        for workload in workloads.values()
        for name, kind in zip(workload.names, workload.operations, strict=True)
        if kind in kinds
    )
    if free:
        taker = base.name if cpu is None else f"{base.name} with {cpu.name}"
        fix = "give them to a processor with cpu=preset('cortex_m7_xcubeai')" if cpu is None else "give it a rate"
        warnings.warn(
            f"{taker} has no price for {plural(len(free), 'layer')}, such as {free[0]!r}: they cost nothing in this "
            f"exploration; {fix}",
            stacklevel=3,
        )
    return free


@dataclass(frozen=True)
class _Candidates:
    """Valid points within the budget, in steps that are evaluated together."""

    sets: list[Points]
    bounds: list[Array]  # area, and lower bounds of latency and energy, (P, 3)
    owner: list[int]
    order: list[npt.NDArray[np.intp]]


def _candidates(
    base: NPUConfig,
    axes: Mapping[str, Sequence[Any]],
    max_area: float,
    batches: Sequence[Batch],
    combine: str,
    cpu: RateConfig | None,
    counts: dict[str, int],
    clock: _Clock,
) -> _Candidates:
    sets, bounds = [], []
    for points in grid(base, axes):
        counts["space"] += len(points)
        with clock("rules"):
            valid = points.valid()
            counts["invalid"] += int((~valid).sum())
            points = points.take(np.flatnonzero(valid))
        if not len(points) or not valid.any():
            continue
        with clock("area"):
            size = np.asarray(area(points).total_mm2)
            small = size <= max_area
            counts["too_large"] += int((~small).sum())
        if not small.any():
            continue
        points, size = points.take(np.flatnonzero(small)), size[small]
        with clock("bound"):
            each = [lower_bounds(batch, points, cpu=cpu) for batch in batches]
            latency, energy = (_combined([one[part] for one in each], combine) for part in (0, 1))
            sets.append(points)
            bounds.append(np.stack([size, latency, energy], axis=1))
    return _ordered(sets, bounds)


def _ordered(
    sets: list[Points], bounds: list[Array], known: Mapping[int, npt.NDArray[np.intp]] | None = None, size: int = STEP
) -> _Candidates:
    """Small and fast ones first: they are what others are dominated by; without those that are known."""
    steps = []
    for number, bound in enumerate(bounds):
        order = np.argsort(bound[:, 0] * bound[:, 1], kind="stable")
        order = order if known is None else order[~np.isin(order, known.get(number, ()))]
        for begin in range(0, len(order), size):
            part = order[begin : begin + size]
            steps.append((float(bound[part[0], 0] * bound[part[0], 1]), number, part))
    steps.sort(key=lambda step: step[:2])
    return _Candidates(sets, bounds, [number for _, number, _ in steps], [part for _, _, part in steps])


def _screened(
    left: _Candidates, evaluate: Evaluate, units: int, seed: int, clock: _Clock
) -> tuple[_Candidates, Surrogate, Errors]:
    """The points that it did not learn from, with bounds raised to what a surrogate predicts, less its margin."""
    with clock("surrogate"):
        learned = Surrogate(left.sets, left.bounds, seed)
        errors = learned.learn(units, evaluate)
        raised = []
        for number, bound in enumerate(left.bounds):
            predicted = learned.predict(number) / np.array(errors.margin)
            raised.append(np.column_stack([bound[:, 0], np.maximum(bound[:, 1:], predicted)]))
        known = {number: members for number, members, _ in learned.asked}
        return _ordered(left.sets, raised, known, STEP // 8), learned, errors


def _values(points: Points, size: Array, batches: Sequence[Batch], combine: str, cpu: RateConfig | None) -> Array:
    """Area, latency and energy, (P, 3); infinite where a network does not fit."""
    found = [sweep(batch, points, cpu=cpu) for batch in batches]
    latency = _combined([one["latency_s"] for one in found], combine)
    energy = _combined([one["energy_j"] for one in found], combine)
    return np.stack([size, latency, energy], axis=1)


def _combined(parts: Sequence[Array], combine: str) -> Array:
    stacked = np.stack(parts)
    return stacked.sum(axis=0) if combine == "sum" else stacked.max(axis=0)


class _Front:
    """Points that nothing dominates; of equal ones all are kept."""

    def __init__(self, objectives: int) -> None:
        self.values = np.empty((0, objectives))
        self.labels: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self.labels)

    def dominate(self, bounds: Array) -> npt.NDArray[np.bool_]:
        """Which points are worse than one of the front even at their lower bounds."""
        beaten = np.zeros(len(bounds), dtype=bool)
        for start in range(0, len(self.values), _TOGETHER):
            left = np.flatnonzero(~beaten)
            if not len(left):
                break
            some, others = self.values[start : start + _TOGETHER, None], bounds[None, left]
            beaten[left] = ((some <= others).all(axis=2) & (some < others).any(axis=2)).any(axis=0)
        return beaten

    def add(self, values: Array, labels: Sequence[tuple[int, int]]) -> None:
        """Takes points in and drops what they dominate."""
        import moocore

        if not len(values):
            return
        together, named = np.concatenate([self.values, values]), [*self.labels, *labels]
        kept = np.flatnonzero(moocore.is_nondominated(together, keep_weakly=True))
        self.values, self.labels = together[kept], [named[index] for index in kept]


class _Clock:
    """Adds up time by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running: list[tuple[str, float]] = []

    def __call__(self, name: str) -> _Clock:
        self._running.append((name, 0.0))
        return self

    def __enter__(self) -> None:
        name, _ = self._running.pop()
        self._running.append((name, time.perf_counter()))

    def __exit__(self, *_: object) -> None:
        name, start = self._running.pop()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

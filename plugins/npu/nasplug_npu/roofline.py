"""Rooflines (Williams et al., Communications of the ACM 52(4), 2009): what multipliers and memories allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasplug.contract.wording import plural
from nasplug.optional import require
from nasplug_npu.config import NPUConfig
from nasplug_npu.unit import CostTable


@dataclass(frozen=True)
class Spot:
    """A layer in a roofline; rates in 1e9 operations per second, two of which are a multiply-accumulate.

    Attributes:
        name: Name of the layer.
        intensity: Operations per byte that is moved from or to the memories outside.
        attainable: Throughput that the unit allows without skipping zeros.
        achieved: Operations of the dense layer over its time; skipping may lift it above the roof.
        effective: Operations that were really computed over its time; never above the roof.
        bound: Resource that limits the layer.
        seconds: Duration of the layer.
    """

    name: str
    intensity: float
    attainable: float
    achieved: float
    effective: float
    bound: str
    seconds: float = 0.0

    @property
    def fraction(self) -> float:
        """Achieved over attainable."""
        return self.achieved / self.attainable


def peak_gops(config: NPUConfig, speedup: float = 1.0) -> float:
    """The flat roof; `speedup` is what narrow operands gain."""
    return 2e-9 * config.macs * config.freq_hz * speedup


def bandwidth(config: NPUConfig) -> float:
    """The slope of the roof in 1e9 bytes per second: both memories together, or the one port there is."""
    per_cycle = config.act_bytes_per_cycle + config.weight_bytes_per_cycle
    if config.ports == "shared":
        per_cycle = max(config.act_bytes_per_cycle, config.weight_bytes_per_cycle)
    elif config.ports == "separate":  # loads and stores at the same time
        per_cycle += config.act_bytes_per_cycle
    return 1e-9 * per_cycle * config.freq_hz


def roofline(table: CostTable, config: NPUConfig) -> list[Spot]:
    """The layers of a network that multiply."""
    spots = []
    for row, name in enumerate(table.names):
        macs = float(table.layers["macs"][row])
        if not macs:
            continue
        moved = float(table.layers["weight_memory_bytes"][row] + table.layers["map_memory_bytes"][row])
        seconds = float(table.layers["latency_s"][row])
        computed, slots = float(table.layers["computed_macs"][row]), float(table.layers["slots"][row])
        intensity = 2 * macs / max(moved, 1.0)
        speedup = computed / slots if slots else 1.0
        attainable = min(peak_gops(config, speedup), intensity * bandwidth(config))
        spots.append(
            Spot(
                name,
                intensity,
                attainable,
                2e-9 * macs / seconds,
                2e-9 * computed / seconds,
                str(table.layers["bound"][row]),
                seconds,
            )
        )
    return spots


_COLOURS = {"array": "#4269d0", "post": "#efb118", "weights": "#ff725c", "maps": "#6cc5b0", "control": "#9c6b4e"}


def draw_roofline(
    spots: Sequence[Spot], config: NPUConfig, path: str | Path, title: str = "", *, labels: int = 6
) -> Path:
    """Writes a picture; the ending of the path decides its format.

    Args:
        spots: See `roofline`.
        config: The unit.
        path: Path to write to.
        title: Above the picture.
        labels: Number of layers to name: those that take longest, and those farthest below the roof.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure()
    axes = figure.add_subplot()
    low = min([spot.intensity for spot in spots] + [1.0]) / 2
    ridge = peak_gops(config) / bandwidth(config)
    high = max([spot.intensity for spot in spots] + [2 * ridge]) * 2
    line = np.array([min(low, ridge), ridge, high])
    axes.loglog(line, np.minimum(peak_gops(config), line * bandwidth(config)), color="black", linewidth=1.2)
    for bound, colour in _COLOURS.items():
        some = [spot for spot in spots if spot.bound == bound]
        if some:
            label = f"bound by {bound}"
            x, y = [spot.intensity for spot in some], [spot.achieved for spot in some]
            axes.scatter(x, y, s=22, color=colour, label=label, alpha=0.8, zorder=3)
    _name(axes, spots, labels)
    label_inside_decades(axes)
    axes.set_xlabel("operations per byte moved outside")
    axes.set_ylabel("10⁹ operations of the dense layer per second")
    axes.set_title(title or config.name)
    axes.grid(visible=True, which="both", alpha=0.2)
    axes.legend(fontsize=8)
    figure.savefig(path)
    return Path(path)


def _name(axes: Any, spots: Sequence[Spot], count: int) -> None:
    """Names the spots that take longest and, as many, those farthest below the roof; one name where spots meet."""
    slowest = sorted(spots, key=lambda spot: -spot.seconds)
    farthest = sorted(spots, key=lambda spot: spot.fraction)
    chosen = list(dict.fromkeys([*slowest[: (count + 1) // 2], *farthest[: count // 2]]))
    places: list[tuple[Spot, int]] = []
    for spot in chosen:
        near = [other for other in spots if other is not spot and _near(spot, other)]
        if not any(_near(spot, other) for other, _ in places):
            places.append((spot, len(near)))
    # From top to bottom, below the roof and each at least a line below the one before.
    lowest = np.inf
    left, right = np.log(axes.get_xlim())
    line = 0.035 * float(np.ptp(np.log(axes.get_ylim())))
    for spot, more in sorted(places, key=lambda place: -place[0].achieved):
        text = f"{spot.name} and {plural(more, 'other')}" if more else spot.name
        lowest = min(np.log(spot.achieved) - line * (2 if spot.fraction > 0.6 else 1), lowest - line)
        to_the_left = np.log(spot.intensity) > (left + right) / 2
        axes.annotate(
            text,
            (spot.intensity, spot.achieved),
            (spot.intensity * (0.87 if to_the_left else 1.15), float(np.exp(lowest))),
            ha="right" if to_the_left else "left",
            va="center",
            fontsize=6.5,
            arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.5},
            zorder=4,
        )


def _near(one: Spot, other: Spot) -> bool:
    return all(abs(np.log(first / second)) < 0.1 for first, second in _distances(one, other))


def _distances(one: Spot, other: Spot) -> tuple[tuple[float, float], ...]:
    return (one.intensity, other.intensity), (one.achieved, other.achieved)


def new_figure() -> Any:
    """A figure without a window.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figures = require("matplotlib.figure", extra="report", distribution="nasplug-npu", purpose="draw pictures")
    return figures.Figure(figsize=(6.4, 4.4), dpi=150, layout="constrained")


def label_inside_decades(axes: Any) -> None:
    """Plain numbers at 1, 2, 3 and 5 times powers of ten; a single decade would have one label else."""
    ticker = require("matplotlib.ticker", extra="report", distribution="nasplug-npu", purpose="draw pictures")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(ticker.LogLocator(subs=(2, 3, 5)))
        axis.set_minor_formatter("{x:g}")

"""Networks drawn as boxes and arrows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from nasplug.contract.wording import plural
from nasplug.report.families import colour, family
from nasplug.report.figures import LIGHT, Picture, new_figure
from nasplug.report.formats import shorten
from nasplug.report.layout import Point, chain_layout, is_chain, layered_layout
from nasplug.spaces.graph import Graph

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Beyond this a drawing is a smear; `summary` says what is in it instead.
MOST_NODES = 160
_LONGEST_LABEL = 24
_FONT = 8.5  # points
_CHARACTER = 0.61 * _FONT / 72  # inches, of an average character
_HEIGHT = 0.34  # inches, of a box
_GAP = 0.3  # inches, between boxes along a row
_ROOM = 10.6  # inches, of the page
_MARGIN = 0.12


def drawable(graph: Graph) -> bool:
    """Whether a drawing would be readable."""
    return 0 < len(graph.labels) <= MOST_NODES


def summary(graph: Graph) -> str:
    """What the graph is made of, in words: for alternative texts and for graphs too large to draw."""
    counts = Counter(family(label) for label in graph.labels)
    parts = ", ".join(f"{count} × {name}" for name, count in counts.most_common())
    return f"{plural(len(graph.labels), 'node')} and {plural(len(graph.edges), 'edge')}: {parts}"


def families_of(graphs: Sequence[Graph]) -> dict[str, str]:
    """Family -> colour name, of all operations in the graphs, for a legend."""
    names = dict.fromkeys(family(label) for graph in graphs for label in graph.labels)
    return {name: colour(name) for name in names}


def draw_graph(graph: Graph, name: str, alt: str, salt: str = "") -> Picture:
    """Draws a graph: a chain in rows from left to right, any other graph in layers.

    Args:
        graph: Graph with at least one node; see `drawable`.
        name: File name of the picture.
        alt: Name of the network in the alternative text; a description of its parts is added.
        salt: Text that keeps its identifiers apart from those of a picture with the same name.
    """
    labels = [shorten(label, _LONGEST_LABEL) for label in graph.labels]
    plan = _plan(graph, labels)
    right = max(x for x, _ in plan.boxes) + plan.width / 2
    bottom = max(y for _, y in plan.boxes) + _HEIGHT / 2
    for route in plan.routes:  # an edge may pass outside of all boxes
        right, bottom = max(right, *(x for x, _ in route)), max(bottom, *(y for _, y in route))
    left = min(-plan.width / 2, *(x for route in plan.routes for x, _ in route)) if plan.routes else -plan.width / 2
    box = (left - _MARGIN, right + _MARGIN, bottom + _MARGIN, -_HEIGHT / 2 - _MARGIN)
    figure = new_figure(box[1] - box[0], box[2] - box[3])
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=box[:2], ylim=box[2:])
    _arrows(axes, plan)
    _boxes(axes, labels, plan)
    return Picture(name, figure, f"{alt}: {summary(graph)}", salt=salt)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A layout in inches, y downwards: centres of the boxes, and every edge from border to border."""

    boxes: list[Point]
    routes: list[list[Point]]
    width: float
    straight: bool
    vertical: bool


def _plan(graph: Graph, labels: Sequence[str]) -> _Plan:
    width = max(0.62, max(len(label) for label in labels) * _CHARACTER + 0.2)
    if is_chain(graph):
        columns = max(1, int((_ROOM - 2 * _MARGIN) / (width + _GAP)))
        layout = chain_layout(graph, min(columns, len(labels)))
        step, vertical, straight = (width + _GAP, _HEIGHT + 0.3), False, True
    else:
        layout, straight = layered_layout(graph), False
        vertical = (layout.length + 1) * (width + 0.42) > _ROOM
        step = (_HEIGHT + 0.26, width + 0.22) if vertical else (width + 0.42, _HEIGHT + 0.24)
    half = (_HEIGHT if vertical else width) / 2

    def place(point: Point, shift: float = 0.0) -> Point:
        along, across = point[0] * step[0] + shift, point[1] * step[1]
        return (across, along) if vertical else (along, across)

    routes = []
    for (source, target), via in zip(graph.edges, layout.routes, strict=True):
        route = [place(layout.nodes[source], half)]
        # Beside the boxes of a layer an edge runs straight; it bends only in the gaps between layers.
        route += [place(p) for p in via] if straight else [place(p, shift) for p in via for shift in (-half, half)]
        routes.append([*route, place(layout.nodes[target], -half)])
    return _Plan([place(point) for point in layout.nodes], routes, width, straight, vertical)


def _arrows(axes: Axes, plan: _Plan) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    for route in plan.routes:
        points, codes = [route[0]], [Path.MOVETO]
        for index, (start, end) in enumerate(pairwise(route)):
            if plan.straight or index % 2:
                points.append(end)
                codes.append(Path.LINETO)
                continue
            if plan.vertical:
                middle = (start[1] + end[1]) / 2
                points += [(start[0], middle), (end[0], middle), end]
            else:
                middle = (start[0] + end[0]) / 2
                points += [(middle, start[1]), (middle, end[1]), end]
            codes += [Path.CURVE4] * 3
        axes.add_patch(
            FancyArrowPatch(
                path=Path(points, codes),
                arrowstyle="-|>",
                mutation_scale=7,
                facecolor="none" if len(route) > 2 and plan.straight else LIGHT["muted"],
                edgecolor=LIGHT["muted"],
                linewidth=1.0,
                joinstyle="round",
                shrinkA=0,
                shrinkB=0,
                zorder=1,
            )
        )


def _boxes(axes: Axes, labels: Sequence[str], plan: _Plan) -> None:
    from matplotlib.patches import FancyBboxPatch

    for label, (x, y) in zip(labels, plan.boxes, strict=True):
        hue = LIGHT[colour(family(label))]
        axes.add_patch(
            FancyBboxPatch(
                (x - plan.width / 2, y - _HEIGHT / 2),
                plan.width,
                _HEIGHT,
                boxstyle="round,pad=0,rounding_size=0.08",
                facecolor=(hue, 0.16),
                edgecolor=hue,
                linewidth=1.1,
                zorder=2,
            )
        )
        axes.text(x, y, label, ha="center", va="center", fontsize=_FONT, color=LIGHT["ink"], zorder=3)

"""Drawings of all networks on the page, as data: the script draws the selected ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import HasGraph
from nasplug.contract.records import Trial
from nasplug.report.drawing import drawable, summary
from nasplug.report.families import colour, family
from nasplug.report.formats import shorten
from nasplug.report.labels import space_of
from nasplug.report.layout import is_chain, layered_layout
from nasplug.spaces.graph import Graph

if TYPE_CHECKING:
    from nasplug.ledger.study import Study

#: Most nodes and edges of all drawings on a page, and of the layouts that must be computed for them.
NUMBERS, LAYOUTS = 250_000, 20_000
_LONGEST_LABEL = 24


def drawings(study: Study, shown: Sequence[Trial], ordered: Iterable[Trial]) -> dict[str, Json] | None:
    """Returns the networks of trials as tables that refer to each other, or None if nothing can be drawn.

    `labels` holds [label, name of its colour]. `plans` holds the wirings: the number of nodes of a chain, or
    [nodes, edges, routes] in the coordinates of `layered_layout`. `nets` holds [plan, labels of its nodes], or the text
    that stands in for a network too large to draw. `of` has the position in `nets` for each shown trial, or None.
    Networks that differ in their operations alone share a plan.

    Args:
        study: The study.
        shown: Trials on the page.
        ordered: Trials in the order in which they get a drawing while there is room.
    """
    space = space_of(study)
    if not isinstance(space, HasGraph):
        return None
    tables = _Tables()
    at: dict[int, int | None] = {}
    present = {trial.number for trial in shown}
    for trial in ordered:
        if trial.number in present and trial.number not in at:
            try:
                at[trial.number] = tables.add(trial.architecture.key, space.graph(trial.architecture))
            except Exception:  # a space's own code: a report must not fail for it
                at[trial.number] = None
    of: list[Json] = [at.get(trial.number) for trial in shown]
    if all(place is None for place in of):
        return None
    labels: list[Json] = [[label, colour(family(label))] for label in tables.labels]
    return {"labels": labels, "plans": tables.plans, "nets": tables.nets, "of": of, "cut": tables.cut}


class _Tables:
    """Labels, plans and networks, each once."""

    def __init__(self) -> None:
        self.labels: dict[str, int] = {}
        self.plans: list[Json] = []
        self.nets: list[Json] = []
        self.cut = False
        self._plan_of: dict[tuple[int, tuple[tuple[int, int], ...]], int] = {}
        self._net_of: dict[str, int] = {}
        self._room, self._layouts = NUMBERS, LAYOUTS

    def add(self, key: str, graph: Graph) -> int | None:
        """Position of a network in `nets`; None where the page is full.

        Args:
            key: Key of the architecture.
            graph: Graph of the architecture.
        """
        if key not in self._net_of:
            made = self._made(graph)
            if made is None:
                return None
            self._net_of[key] = len(self.nets)
            self.nets.append(made)
        return self._net_of[key]

    def _made(self, graph: Graph) -> Json:
        if not drawable(graph):
            return f"Too large to draw: {summary(graph)}." if graph.labels else None
        wiring = (len(graph.labels), tuple(graph.edges))
        size = len(graph.labels) + len(graph.edges)
        if self._room < size or (wiring not in self._plan_of and not is_chain(graph) and self._layouts < size):
            self.cut = True
            return None
        self._room -= size
        if wiring not in self._plan_of:
            self._plan_of[wiring] = len(self.plans)
            self.plans.append(self._plan(graph, size))
        places = [self.labels.setdefault(shorten(each, _LONGEST_LABEL), len(self.labels)) for each in graph.labels]
        return [self._plan_of[wiring], list(places)]

    def _plan(self, graph: Graph, size: int) -> Json:
        if is_chain(graph):
            return len(graph.labels)
        self._layouts -= size
        layout = layered_layout(graph)
        return [
            [[_short(value) for value in point] for point in layout.nodes],
            [list(edge) for edge in graph.edges],
            [[[_short(value) for value in point] for point in route] for route in layout.routes],
        ]


def _short(value: float) -> float | int:
    rounded = round(value, 3)
    return int(rounded) if rounded.is_integer() else rounded

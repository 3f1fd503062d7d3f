"""Networks drawn with characters, for terminals. Needs no extra."""

from __future__ import annotations

from rich.cells import cell_len

from nasplug.report.formats import shorten
from nasplug.report.layout import is_chain
from nasplug.spaces.graph import Graph


def draw_text(graph: Graph, *, width: int = 80, unicode: bool = True) -> str:
    """Draws a graph as lines of at most `width` characters.

    A chain becomes a row of operations with arrows, wrapped; any other graph one line per node with the nodes it
    reads from.

    Args:
        graph: Graph to draw.
        width: Columns of the terminal; at least 20 are used.
        unicode: False draws with ASCII characters only; labels keep theirs where they are ASCII.
    """
    width = max(width, 20)
    labels = [_fit(label, width - 8, unicode=unicode) for label in graph.labels]
    if not labels:
        return "(empty)"
    if is_chain(graph):
        return _chain(labels, width, "→" if unicode else "->")
    return _nodes(graph, labels, width, "←" if unicode else "<-")


def _fit(label: str, room: int, *, unicode: bool) -> str:
    """The label in at most `room` columns; East Asian characters take two."""
    limit, fitted = room, shorten(label, room)
    while cell_len(fitted) > room:
        limit -= 1
        fitted = shorten(label, limit)
    return fitted if unicode else fitted.replace("…", "~").encode("ascii", "replace").decode("ascii")


def _chain(labels: list[str], width: int, arrow: str) -> str:
    lines = [labels[0]]
    for label in labels[1:]:
        extended = f"{lines[-1]} {arrow} {label}"
        if cell_len(extended) <= width:
            lines[-1] = extended
        else:
            lines.append(f"  {arrow} {label}")
    return "\n".join(lines)


def _nodes(graph: Graph, labels: list[str], width: int, arrow: str) -> str:
    digits = len(str(len(labels) - 1))
    widest = max(cell_len(label) for label in labels)
    lines = []
    for node, label in enumerate(labels):
        line = f"{node:>{digits}}  {label}"
        sources = ", ".join(map(str, graph.predecessors(node)))
        if sources:
            tail = f"{' ' * (widest - cell_len(label))}  {arrow} "
            indent = cell_len(line) + cell_len(tail)
            room = width - indent
            if room < 12:  # wide labels: the sources go below instead of beside
                lines.append(line)
                line, tail, indent = " " * (digits + 2), f"  {arrow} ", digits + 2 + 3 + cell_len(arrow)
                room = width - indent
            first, *rest = _wrap(sources, room)
            line += tail + first
            lines.append(line)
            lines.extend(" " * indent + more for more in rest)
        else:
            lines.append(line)
    return "\n".join(lines)


def _wrap(items: str, room: int) -> list[str]:
    lines, current = [], ""
    for item in items.split(" "):
        extended = f"{current} {item}" if current else item
        if current and len(extended) > room:
            lines.append(current)
            current = item
        else:
            current = extended
    return [*lines, current]

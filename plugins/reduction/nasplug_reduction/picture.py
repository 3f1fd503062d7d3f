"""A reduced network as a graph of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nasplug.spaces.graph import Graph
from nasplug_reduction.decisions import Decisions
from nasplug_reduction.layout import Layout, inside


def picture(layout: Layout, decided: Decisions) -> Graph:
    """Draws the layers that make channels, each joined to the later ones that read them.

    Args:
        layout: Layout of the original network.
        decided: Decisions of the smaller network.
    """
    widths, dropped = decided.widths, decided.dropped
    makes: dict[str, list[str]] = {}
    reads: dict[str, list[str]] = {}
    for name, group in layout.groups.items():
        if name not in widths:
            continue
        for member in group.members:
            if len(layout.shapes[member.tensor]) < 2 or inside(member.tensor, dropped):
                continue
            for role, roles in (("out", makes), ("in", reads)):
                if member.role == role:
                    roles.setdefault(member.tensor, []).append(name)
    order = [name for name in layout.shapes if name in makes or name in reads]
    number = {name: index + 1 for index, name in enumerate(order)}
    last = len(order) + 1
    edges = set()
    for name in order:
        sources = [other for other in order if number[other] < number[name]]
        wanted = set(reads.get(name, ()))
        found = [other for other in sources if wanted & set(makes.get(other, ()))]
        edges |= {(number[other], number[name]) for other in found} or {(0, number[name])}
    read = {source for source, _ in edges}
    edges |= {(number[name], last) for name in order if number[name] not in read}
    labels = [f"{_kind(name, layout.shapes[name], decided)}:{_width(makes.get(name, ()), widths)}" for name in order]
    return Graph(("input", *labels, "output"), tuple(sorted(edges or {(0, last)})))


def _kind(name: str, shape: tuple[int, ...], decided: Decisions) -> str:
    if len(shape) == 2:
        return "linear"
    path = name.removesuffix(".weight")
    side = decided.kernels.get(path, max(shape[2:], default=1))
    kind = "separable" if path in decided.separable else "conv"
    return f"{kind}{'x'.join(str(min(size, side)) for size in shape[2:])}"


def _width(groups: Sequence[str], widths: Mapping[str, int]) -> str:
    return "+".join(str(widths[name]) for name in groups) or "out"

"""Groups that code takes as equal pieces of one tensor, and that must change by the same number of channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nasplug.surgery.labels import Labels


def partners(
    pieces: Sequence[Sequence[Labels]], channels: Labels, names: Mapping[int, str]
) -> dict[str, tuple[str, ...]]:
    """Finds the groups that must be as large as each other.

    Args:
        pieces: Labels of the pieces of every tensor that was divided into equal ones.
        channels: Channel of every label.
        names: Name of its group for every channel that has one.

    Returns:
        Names of the other groups by group, for those that have any, in the order of the network.
    """
    sets: dict[str, set[str]] = {}
    for parts in pieces:
        inside = [{names.get(channel) for channel in channels[part].tolist()} for part in parts]
        common = inside[0].intersection(*inside[1:])
        own = [names_ - common for names_ in inside]
        if any(len(names_) != 1 for names_ in own):
            continue  # all of the same groups, or of several: nothing can be said about one of them
        joined = {name for names_ in own for name in names_ if name is not None}
        joined |= {other for name in joined for other in sets.get(name, ())}
        sets.update(dict.fromkeys(joined, joined))
    order = {name: index for index, name in enumerate(dict.fromkeys(names.values()))}
    return {
        name: tuple(sorted(found - {name}, key=lambda other: order[other]))
        for name, found in sets.items()
        if len(found) > 1
    }

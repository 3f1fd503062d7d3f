"""A found network leaves its study in one or several formats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasplug.export.exporter import Exporter, Found
    from nasplug.plugins.catalog import Catalog


def exporters_of(names: Iterable[str], catalog: Catalog, *, where: str) -> list[Exporter]:
    """Returns one exporter for each name, every name once.

    Args:
        names: Slugs of formats.
        catalog: Catalog to look them up in.
        where: Place of the names, for messages.

    Raises:
        UnknownNameError: A format is unknown.
    """
    from nasplug.plugins.component import Component, instantiate

    return [instantiate("exporter", Component(name), catalog, where=where) for name in dict.fromkeys(names)]


def write(found: Found, exporters: Sequence[Exporter], folder: Path) -> dict[str, Path]:
    """Writes a network in several formats into one folder; returns each path by what it is.

    Raises:
        NasplugError: The network cannot be written in a format.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, Path] = {}
    for exporter in exporters:
        written |= exporter.export(found, folder)
    return written

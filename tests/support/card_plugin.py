"""An exporter from a package of its own: writes what a network is as a text."""

from __future__ import annotations

import nasplug as nas


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    catalog.exporter("card", f"{__name__}:Card", summary="A text about the network.")


class Card:
    """A text about the network.

    Args:
        title: First line.
    """

    def __init__(self, title: str = "A network") -> None:
        self.title = title

    def export(self, found, folder):
        path = folder / "card.txt"
        count = sum(parameter.numel() for parameter in found.network.parameters())
        path.write_text(
            f"{self.title}\ntrial {found.trial.number}: {found.inputs.shape} -> {found.output.channels}, {count}\n"
        )
        return {"card": path}

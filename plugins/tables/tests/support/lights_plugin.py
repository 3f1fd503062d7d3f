"""A plugin in one file: a space of one's own, and a table of it."""

from __future__ import annotations

import nasplug as nas


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    catalog.space("lights", f"{__name__}:Lights", summary="Lamps that are on or off.")


class Lights(nas.ChoiceSpace):
    """Lamps that are on or off; only known from a table."""

    def __init__(self, lamps: int = 6) -> None:
        super().__init__("lights", [nas.Choice(f"lamp{lamp}", (0, 1)) for lamp in range(lamps)])

    def build(self, architecture, task):
        raise nas.NasplugError("lamps are not a network")

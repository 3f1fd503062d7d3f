"""Announces the plugin: names and locations only, so that listing plugins stays fast."""

from __future__ import annotations

import nasplug as nas

#: Version of the contract that this package was written for.
NASPLUG_CONTRACT = "2.1"


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    """Names what this package offers; nothing else is imported before somebody uses it."""
    catalog.cost("template", "nasplug_template.cost:Template", summary="Bytes of the weights at a number of bits.")

"""What the package announces."""

from __future__ import annotations

from nasplug_zerocost.plugin import register

import nasplug as nas
from nasplug.testing.installed import announcement


def test_what_is_announced():
    catalog = nas.Catalog()
    register(catalog)
    assert [(entry.kind, entry.name) for entry in catalog] == [("cost", "zerocost")]
    assert all(entry.load() is not None for entry in catalog)


def test_announcing_imports_nothing_heavy():
    assert announcement("nasplug_zerocost.plugin").heavy == ()

"""Tests of `nasplug_darts_lp.plugin`."""

from __future__ import annotations

import pytest
from nasplug_darts_lp import plugin

from nasplug.plugins.catalog import Catalog

NAMES = {
    "wrapper": ["darts_lp.quantise"],
    "callback": ["darts_lp.callback", "darts_lp.quantise_after"],
    "space": ["darts_lp.layers", "darts_lp.cell", "darts_lp.bits"],
    "strategy": ["darts_lp.search", "darts_lp.sensitivity"],
    "exporter": ["darts_lp.integer", "darts_lp.qdq"],
}


@pytest.mark.parametrize("kind", NAMES)
def test_every_name_leads_to_a_class(kind):
    catalog = Catalog()
    plugin.register(catalog)
    for name in NAMES[kind]:
        assert isinstance(catalog.get(kind, name).load(), type)

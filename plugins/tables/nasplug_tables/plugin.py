"""Announces tables, the NAS-Bench spaces and their commands to nasplug; imports none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.hookspecs import hookimpl

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog


@hookimpl
def register(catalog: Catalog) -> None:
    """Names and locations only."""
    catalog.evaluator(
        "tabular", "nasplug_tables.benchmark:TabularBenchmark", summary="Looks results up in a table; trains nothing."
    )
    catalog.space(
        "nasbench101", "nasplug_tables.spaces.nasbench101:NASBench101", summary="The 423,624 cells of NAS-Bench-101."
    )
    catalog.space(
        "nasbench201", "nasplug_tables.spaces.nasbench201:NASBench201", summary="The 15,625 cells of NAS-Bench-201."
    )
    catalog.space(
        "table",
        "nasplug_tables.spaces.columns:ColumnSpace",
        summary="The columns of a table as choices; trains nothing.",
    )
    catalog.target(
        "table",
        "nasplug_tables.hardware:TableHardware",
        summary="Published measurements of devices: table:FILE#DEVICE.",
    )
    catalog.cost("column", "nasplug_tables.hardware:TableCost", summary="Columns of a table, unchanged.")
    catalog.command("bench", "nasplug_tables.cli:bench", summary="compare strategies on a table of results")
    catalog.command(
        "table",
        "nasplug_tables.cli:table",
        summary="show a table of results, or convert the published file of a benchmark to one",
    )

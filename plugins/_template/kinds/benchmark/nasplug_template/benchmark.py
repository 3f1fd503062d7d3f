"""A benchmark: a space, and a table with the results of all its networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasplug_tables import Table, TabularBenchmark
from nasplug_tables.benchmark import Noise
from nasplug_tables.readers.columns import read

import nasplug as nas

#: The results: choices by their names, metrics as METRIC_EPOCHS or METRIC_EPOCHS_seedN.
RESULTS = Path(__file__).parent / "results.csv"
CHOICES = [nas.Choice("act", ("gelu", "relu", "tanh")), nas.Choice("width", (8, 16, 32)), nas.Choice("depth", (1, 2))]


class Space(nas.TableSpace):
    """The networks of the benchmark.

    Where you have the code of the networks, derive from `nasplug.ChoiceSpace` and write `build`: then what was
    found can be trained. Where several genotypes build one network, override `canonical`; one row of them is enough.
    """

    def __init__(self) -> None:
        super().__init__("template", CHOICES)


class Template(TabularBenchmark):
    """The results of the benchmark.

    Args:
        noise: `draw` answers one of the trainings, `mean` their mean.
    """

    def __init__(self, noise: Noise = "draw") -> None:
        super().__init__(table(), Space(), noise=noise)

    @classmethod
    def nasplug_examples(cls) -> list[Mapping[str, Any]]:
        """What `nasplug test-plugin` tests it with."""
        return [{}]

    @classmethod
    def nasplug_conformance(cls) -> Mapping[str, Any]:
        """What `nasplug test-plugin` tests it on."""
        return {"make_space": lambda self: Space()}


def table() -> Table:
    """The table, with its facts, for `nasplug bench` and for a file to publish: `table().write("template.parquet")`."""
    facts = {"space": "template", "unit": "percent", "source": "the name of your paper", "license": "CC-BY-4.0"}
    return Table(read(RESULTS).columns, facts)

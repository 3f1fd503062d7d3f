"""Hardware that others have measured: tables of latency and energy as hardware targets, and any column as a cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from nasplug.contract.errors import SpecError, TrialError, did_you_mean
from nasplug.contract.hookspecs import hookimpl
from nasplug.cost.candidate import Candidate
from nasplug_tables.rows import RowFinder, trained_part
from nasplug_tables.table import STRUCTURE, Table

#: Quantities without a unit in their name, as HW-NAS-Bench (arXiv 2103.10584) has them: milliseconds and millijoules.
_QUANTITIES = {
    "latency": ("latency_s", 1e-3),
    "energy": ("energy_j", 1e-3),
    "arithmetic_intensity": ("arithmetic_intensity_ops_per_bit", 1.0),
}
#: Units at the end of a column's name, and what they are in seconds or joules.
_UNITS = {
    "s": ("s", 1.0),
    "ms": ("s", 1e-3),
    "us": ("s", 1e-6),
    "j": ("j", 1.0),
    "mj": ("j", 1e-3),
    "wh": ("j", 3.6e3),
    "kwh": ("j", 3.6e6),
}


class TableTarget:
    """One device of a table.

    Args:
        name: Full name of the target.
        device: Start of the device's columns, or the name of its only column.
        finder: The table.

    Raises:
        SpecError: The table has no such device.
    """

    def __init__(self, name: str, device: str, finder: RowFinder) -> None:
        self.name, self._device, self._finder = name, device, finder
        self._columns = _columns_of(device, finder.table)
        if not self._columns:
            raise SpecError(
                f"there is no device {device!r}",
                where=finder.table.where,
                fix=did_you_mean(device, devices_of(finder.table)),
            )
        self.capabilities: Mapping[str, Any] = {
            "measured": False,
            "tabulated": True,
            "device": device,
            "columns": {key: column for key, (column, _) in self._columns.items()},
        }

    def estimate(self, candidate: Candidate) -> dict[str, float]:
        """Looks up the candidate; seconds and joules, whatever the table has.

        Raises:
            TrialError: The table has no row for it, or the device cannot run it.
            SpecError: The candidate is not an architecture of the table's space.
        """
        row = _row(candidate, self._finder)
        found = {}
        for key, (column, factor) in self._columns.items():
            value = float(self._finder.table.column(column)[row])
            if not value >= 0:  # NaN too
                raise TrialError(
                    "data",
                    f"{self._device} has no {key} of {_key(candidate)}",
                    where=self.name,
                    why=f"the table says {value:g}, for a network that the device does not support",
                )
            found[key] = value * factor
        return found


class TableHardware:
    """Finds targets such as `table:hw.parquet#eyeriss`: the columns of one device in a table.

    Columns that start with `eyeriss_` and go on with a quantity count: `latency` in milliseconds, `energy` in
    millijoules, `arithmetic_intensity`, or a name that ends with its unit, such as `energy_kwh`. A column that is
    called like the device holds its latency in milliseconds, as in the tables of HELP (arXiv 2106.08630); only
    `latency` itself, of NAS-Bench-201, is in seconds.
    Costs come in seconds and joules.

    Tables that name architectures by a number of another table say which: `table:energy.parquet#energy_kwh,index=T`.

    Args:
        index: The table whose rows column `index` counts, where the target's name does not say it; not needed for
            NAS-Bench-201.
    """

    family = "table"
    variants = ("table:FILE.parquet#DEVICE", "table:FILE.parquet#DEVICE,index=OTHER.parquet")

    def __init__(self, index: str | None = None) -> None:
        self._index = index

    @classmethod
    def nasplug_conformance(cls) -> Mapping[str, Any]:
        """What `nasplug test-plugin` tests it on."""
        from nasplug_tables.examples import example, suite

        return suite(names=(f"table:{example()}#chip",))

    @hookimpl
    def hardware_target(self, name: str) -> TableTarget | None:
        """See the hook.

        Raises:
            SpecError: No device is named, the table has no such device, or an unknown option.
            DataError: The table cannot be read.
        """
        family, _, rest = name.partition(":")
        if family != self.family:
            return None
        path, _, variant = rest.rpartition("#")
        device, *options = variant.split(",")
        if not path:
            raise SpecError(f"the target {name!r} names no device", where="target", fix=f"write {self.variants[0]}")
        index = self._index
        for option in options:
            key, _, value = option.partition("=")
            if key != "index" or not value:
                raise SpecError(f"the target {name!r} has no option {option!r}", where="target", fix="write index=FILE")
            index = value
        return TableTarget(name, device, RowFinder(Table.read(path), Table.read(index) if index else None))


class TableCost:
    """Columns of a table as costs, unchanged: zero-cost proxies, quantised accuracies; keys are `column/NAME`.

    Args:
        path: The table, a Parquet file.
        columns: Names of the columns.
        index: The table whose rows column `index` counts; not needed for NAS-Bench-201.

    Raises:
        DataError: The table cannot be read, or lacks a column.
        SpecError: No column is named, or one that holds text.
    """

    def __init__(self, path: str, columns: Sequence[str], index: str | None = None) -> None:
        if isinstance(columns, str) or not columns:
            raise SpecError("no columns are named", where="cost 'column'", fix="write columns: [NAME, ...]")
        self._path, self._names, self._index = Path(path), tuple(columns), index
        for name, column in self._finder.table.need(self._names).items():
            if column.dtype.kind not in "iufb":
                raise SpecError(f"column {name!r} holds text", where=self._finder.table.where, fix="name another")

    @classmethod
    def nasplug_examples(cls) -> list[Mapping[str, Any]]:
        """What `nasplug test-plugin` tests it with."""
        from nasplug_tables.examples import example

        return [{"path": example(), "columns": ["chip_latency", "val_acc_12"]}]

    @classmethod
    def nasplug_conformance(cls) -> Mapping[str, Any]:
        """What `nasplug test-plugin` tests it on."""
        from nasplug_tables.examples import suite

        return suite()

    @cached_property
    def _finder(self) -> RowFinder:
        return RowFinder(Table.read(self._path), Table.read(self._index) if self._index else None)

    @hookimpl
    def cost(self, candidate: Candidate) -> dict[str, float]:
        """See the hook.

        Raises:
            TrialError: The table has no row for the candidate, or no value in it.
        """
        row = _row(candidate, self._finder)
        found = {f"column/{name}": float(self._finder.table.column(name)[row]) for name in self._names}
        for key, value in found.items():
            if math.isnan(value):
                raise TrialError("data", f"there is no {key} of {_key(candidate)}", where=self._finder.table.where)
        return found


def devices_of(table: Table) -> list[str]:
    """Names that a target can have, in the order of the columns."""
    found = []
    for column in table.columns:
        if column in STRUCTURE:
            continue
        endings = [f"_{quantity}" for quantity in _QUANTITIES]
        device = next((column.removesuffix(ending) for ending in endings if column.endswith(ending)), column)
        found.append(device)
    return list(dict.fromkeys(found))


def _columns_of(device: str, table: Table) -> dict[str, tuple[str, float]]:
    """Key of every quantity of a device, with its column and the factor to seconds or joules."""
    found: dict[str, tuple[str, float]] = {}
    if device in table.columns and device not in STRUCTURE:
        key, factor = ("latency_s", 1.0) if device == "latency" else _quantity(device) or _QUANTITIES["latency"]
        found[key] = device, factor
    for column in table.columns:
        name = column.removeprefix(f"{device}_")
        quantity = None if name == column else _QUANTITIES.get(name) or _quantity(name)
        if quantity is not None:  # else another device, such as samsung_s7 for samsung
            found[quantity[0]] = column, quantity[1]
    return found


def _quantity(name: str) -> tuple[str, float] | None:
    """Key and factor of a name that ends with a unit."""
    base, _, unit = name.rpartition("_")
    if not base or unit not in _UNITS:
        return None
    return f"{base}_{_UNITS[unit][0]}", _UNITS[unit][1]


def _row(candidate: Candidate, finder: RowFinder) -> int:
    if candidate.architecture is None:
        raise SpecError(
            "a bare network is in no table", where=finder.table.where, fix="price a trial: STUDY.sqlite#TRIAL"
        )
    space, architecture = trained_part(candidate.space, candidate.architecture)
    return finder.row(architecture, space)


def _key(candidate: Candidate) -> str:
    return "the network" if candidate.architecture is None else candidate.architecture.key

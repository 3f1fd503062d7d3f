"""The per-layer table that Arm's compiler Vela writes with `--verbose-performance` (ethos-u-vela 5)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from nasplug.contract.errors import DataError, did_you_mean


@dataclass(frozen=True)
class VelaLayer:
    """One layer as the compiler prices it.

    Attributes:
        name: Name of the layer, or of the operator where there is none.
        operator: Operator in the network.
        target: `NPU` or `CPU`.
        staging_bytes: Bytes of the memory that holds the feature maps.
        cycles: Cycles of the layer: the largest of the others.
        npu_cycles, sram_cycles, dram_cycles, on_flash_cycles, off_flash_cycles: Cycles by what may bound the layer.
        macs: Products.
        utilisation: Share of the multipliers that are busy.
    """

    name: str
    operator: str
    target: str
    staging_bytes: float
    cycles: float
    npu_cycles: float
    sram_cycles: float
    dram_cycles: float
    on_flash_cycles: float
    off_flash_cycles: float
    macs: int
    utilisation: float


#: Our names and the columns they come from.
_COLUMNS = {
    "operator": "Original Operator",
    "target": "Target",
    "staging_bytes": "Staging Usage",
    "cycles": "Op Cycles",
    "npu_cycles": "NPU",
    "sram_cycles": "SRAM AC",
    "dram_cycles": "DRAM AC",
    "on_flash_cycles": "OnFlash AC",
    "off_flash_cycles": "OffFlash AC",
    "macs": "MAC Count",
    "utilisation": "Util%",
}


def read_vela(path: str | Path) -> list[VelaLayer]:
    """Reads the table.

    Raises:
        DataError: A column is missing, or a value is not a number.
    """
    where = f"Vela table {path}"
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            # What follows the last column has no name, and comes as a list.
            rows = [
                {key.strip(): (value or "").strip() for key, value in row.items() if isinstance(key, str)}
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError("cannot read the table", where=where, why=str(error)) from error
    if not rows:
        raise DataError("the table is empty", where=where)
    for column in _COLUMNS.values():
        if column not in rows[0]:
            raise DataError(f"there is no column {column!r}", where=where, fix=did_you_mean(column, rows[0]))
    try:
        return [_layer(row) for row in rows]
    except (ValueError, OverflowError) as error:
        raise DataError("a value is not a number", where=where, why=str(error)) from error


def _layer(row: dict[str, str]) -> VelaLayer:
    text = {name: row[column] for name, column in _COLUMNS.items()}
    operator, target = text.pop("operator"), text.pop("target")
    numbers = {name: float(value or 0) for name, value in text.items()}
    return VelaLayer(
        name=row.get("Name") or operator,
        operator=operator,
        target=target,
        macs=int(numbers.pop("macs")),
        utilisation=numbers.pop("utilisation") / 100,
        **numbers,
    )

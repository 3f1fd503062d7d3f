"""A file of one's own constants: whatever it states replaces the shipped tables.

```yaml
source: characterised for our 28 nm process, 2026-03
node_nm: 28
vdd: 0.8
arithmetic:            # any of the quantities of arithmetic.csv; product_8x8 is pJ per product of 8-bit operands
  product_8x8: 0.11
  add_linear: 0.0018
sram:                  # replaces all shipped memories: pJ per access of a word, mm2 and mW of the whole memory
  - {word_bits: 64, read: 0.61, read_exponent: 0.55, write: 0.72,
     area: 0.0015, area_exponent: 1, leak: 0.05, leak_exponent: 1}
gate_um2: 0.49
```

A value is `coefficient * KiB ** exponent`; an exponent that is left out is 0, so that a number alone is one for every
capacity. Rows may state a `node_nm` of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from nasplug.contract.errors import DataError, did_you_mean
from nasplug_npu.constants import Constants, Row

_FIELDS = ("source", "node_nm", "vdd", "arithmetic", "sram", "gate_um2")
_QUANTITIES = ("read", "write", "area", "leak")


def read(path: str | Path, base: Constants) -> Constants:
    """Reads a file of constants; what it leaves out is that of `base`.

    Raises:
        DataError: No such file, or a part of it that cannot be read.
    """
    file = Path(path)
    try:
        return _read(str(file), file.stat().st_mtime_ns, base)
    except OSError as error:
        raise DataError("cannot read the constants", where=str(path), why=str(error), fix="check the path") from error


@lru_cache(maxsize=16)
def _read(path: str, changed: int, base: Constants) -> Constants:
    import yaml

    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())[:200]
        raise DataError("the constants are not YAML", where=path, why=why) from error
    if not isinstance(data, Mapping):
        raise DataError("not a file of constants", where=path, fix="write one `field: value` per line")
    _known(path, "field", data, _FIELDS)
    found = replace(base, covered=base.covered and "sram" not in data)
    found = replace(
        found,
        node_nm=_positive(path, "node_nm", data.get("node_nm", base.node_nm)),
        vdd=_positive(path, "vdd", data.get("vdd", base.vdd)),
        gate_um2=_positive(path, "gate_um2", data.get("gate_um2", base.gate_um2)),
    )
    if "arithmetic" in data:
        found = replace(found, arithmetic=_arithmetic(path, data["arithmetic"], base))
    if "sram" in data:
        rows = data["sram"] if isinstance(data["sram"], list) else [data["sram"]]
        if not rows:
            raise DataError("there is no memory", where=f"{path}: sram", fix="write a row, or leave sram out")
        memories = tuple(_memory(f"{path}: sram", row, found.node_nm) for row in rows)
        found = replace(found, sram=memories, sizes=memories)
    return found


def _arithmetic(path: str, data: object, base: Constants) -> dict[str, float]:
    where = f"{path}: arithmetic"
    if not isinstance(data, Mapping):
        raise DataError("not a table of quantities", where=where, fix="write `quantity: value`")
    known = (*base.arithmetic, "product_8x8")
    _known(where, "quantity", data, known)
    values = {name: _amount(where, name, value) for name, value in data.items()}
    whole = values.pop("product_8x8", None)
    if whole is not None:  # one point of the law: all of it by the product of the widths
        values = {"multiply_quadratic": whole / 64, "multiply_linear": 0.0} | values
    return dict(base.arithmetic) | values


def _memory(where: str, row: object, node_nm: float) -> Row:
    if not isinstance(row, Mapping):
        raise DataError("a memory is not a table of values", where=where, fix="write `word_bits: 64, read: ...`")
    exponents = tuple(f"{name}_exponent" for name in _QUANTITIES)
    _known(where, "field", row, ("node_nm", "word_bits", *_QUANTITIES, *exponents))
    for name in _QUANTITIES:
        if name not in row:
            raise DataError(f"a memory has no {name}", where=where, fix="state read, write, area and leak of every row")
    found = {name: _positive(where, name, row[name]) for name in _QUANTITIES}
    found |= {name: _number(where, name, row.get(name, 0.0)) for name in exponents}
    found["word_bits"] = _positive(where, "word_bits", row.get("word_bits", 64))
    found["node_nm"] = _positive(where, "node_nm", row.get("node_nm", node_nm))
    return found


def _known(where: str, what: str, data: Mapping[str, object], known: tuple[str, ...]) -> None:
    for name in data:
        if name not in known:
            raise DataError(f"there is no {what} {name!r}", where=where, fix=did_you_mean(str(name), known))


def _number(where: str, name: str, value: object) -> float:
    try:  # YAML reads 1e-3 as a text
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else None
    except ValueError:
        number = None
    if number is None:
        raise DataError(f"{name} is {value!r}", where=where, fix="give a number")
    if number != number or number in (float("inf"), float("-inf")):
        raise DataError(f"{name} is {value!r}", where=where, fix="give a finite number")
    return number


def _amount(where: str, name: str, value: object) -> float:
    number = _number(where, name, value)
    if number < 0:
        raise DataError(f"{name} is {value!r}", where=where, fix="give a number of at least 0")
    return number


def _positive(where: str, name: str, value: object) -> float:
    number = _number(where, name, value)
    if number <= 0:
        raise DataError(f"{name} is {value!r}", where=where, fix="give a number above 0")
    return number

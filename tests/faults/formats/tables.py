"""Tables: CSV and Parquet."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.formats.payloads import pickles


def csv(folder: Path) -> None:
    rows = "\n".join(f"{n},{n % 5},{'ab'[n % 2]},{n % 3}" for n in range(30))
    (folder / "table.csv").write_text(f"a,b,c,y\n{rows}\n")


def csv_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    yield "of one long field", b"a,y\n" + b"x" * 200_000 + b",1\n"
    yield "of many columns", b",".join(b"c%d" % n for n in range(20_000)) + b"\n" + b",".join([b"1"] * 20_000) + b"\n"
    yield "of huge numbers", b"a,y\n" + b"9" * 10_000 + b",1\n1e999,0\n"
    yield "with NaN", b"a,y\nnan,1\ninf,0\n"
    yield "with zeros", b"a,y\n\0,1\n2,0\n"
    yield "with open quotes", b'a,y\n"1,1\n2,0\n'
    yield "in UTF-16", good.decode().encode("utf-16")
    yield "with a formula", b"a,y\n\"=cmd|' /C calc'!A0\",1\n3,0\n"


def parquet(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    table = {"a": list(range(30)), "c": ["a", "b"] * 15, "y": [n % 3 for n in range(30)]}
    parquet.write_table(pa.table(table), folder / "table.parquet")


def parquet_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    def made(**columns: Any) -> bytes:
        file = io.BytesIO()
        parquet.write_table(pa.table(columns), file)
        return file.getvalue()

    yield "of lists", made(a=[[1], [2]], y=[0, 1])
    yield "of mappings", made(a=[{"b": 1}, {"b": 2}], y=[0, 1])
    yield "of bytes", made(a=[b"\xff", b"\xfe"], y=[0, 1])
    yield "of absent values", made(a=[None, None], y=[0, 1])
    yield "of nothing", made(a=pa.array([], pa.int64()), y=pa.array([], pa.int64()))
    yield "without columns", made()
    yield "that grows", made(a=pa.array([0] * 2_000_000), y=pa.array([0] * 2_000_000))
    yield "with a footer behind its end", good[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1"
    yield "with a short footer", good[:-8] + struct.pack("<I", 3) + b"PAR1"
    yield from pickles(folder)[:3]


def load_table(path: Path) -> object:
    from nasplug.data.table import Table

    return Table(str(path)).load("classes")


def benchmark_table(folder: Path) -> None:
    from nasplug_tables.table import Table

    columns = {"index": np.arange(3, dtype=np.uint16), "val_acc_200": np.array([0.1, 0.2, 0.3])}
    Table(columns, {"space": "nasbench201", "unit": "fraction"}).write(folder / "bench.parquet")


def load_benchmark_table(path: Path) -> object:
    from nasplug_tables.table import Table

    return Table.read(path)


def benchmark_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    yield from parquet_attacks(good, folder)
    for what, info in {
        "depth": b"[" * 100_000,
        "numbers": b"3",
        "NaN": b'{"unit": NaN}',
        "noise": b"\xff\xfe",
        "code": b"__import__('os')",
        "nothing": b"{}",
    }.items():
        file = io.BytesIO()
        table = pa.table({"index": [1, 2], "val_acc_200": [0.1, 0.2]}).replace_schema_metadata({b"nasplug": info})
        parquet.write_table(table, file)
        yield f"whose facts are {what}", file.getvalue()

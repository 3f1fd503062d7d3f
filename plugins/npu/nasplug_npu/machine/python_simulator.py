"""The machine in Amaranth's own simulator: slow, but it needs nothing beside Python."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from nasplug.contract.errors import NasplugError
from nasplug.optional import require
from nasplug_npu.machine.compiler import Program
from nasplug_npu.machine.instructions import ENGINES
from nasplug_npu.machine.parameters import Parameters
from nasplug_npu.machine.simulators import Outcome, Words


class InPython:
    """The machine, described anew for every program.

    Args:
        build: The machine.

    Raises:
        MissingExtraError: Amaranth is not installed.
    """

    def __init__(self, build: Parameters) -> None:
        self.build = build
        self._sim = require("amaranth.sim", extra="rtl", distribution="nasplug-npu", purpose="simulate hardware")

    def run(self, program: Program, maps: Words, limit: int = 20_000_000) -> Outcome:
        """See `nasplug_npu.machine.simulators.Simulator.run`.

        Raises:
            NasplugError: It does not end within the limit.
        """
        from nasplug_npu.rtl.machine import Machine

        machine = Machine(self.build)
        memory = np.pad(maps, (0, max(program.map_words - len(maps), 0))).tolist()
        bench = _Bench(machine, program, memory, limit)
        simulator = self._sim.Simulator(machine)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench.drive)
        simulator.run()
        if bench.clocks >= limit:
            raise NasplugError(
                f"the machine has not ended after {limit:,} clocks", where="npu machine", fix="a higher limit"
            )
        words = np.array(memory[: program.map_words], dtype=np.uint64)
        return Outcome(words, {name: tuple(events) for name, events in bench.events.items()}, bench.clocks)


class _Bench:
    """Memories with their latencies, and programs."""

    def __init__(self, machine: Any, program: Program, memory: list[int], limit: int) -> None:
        self.machine, self.program, self.memory, self.limit = machine, program, memory, limit
        self.events: dict[str, list[int]] = {engine: [] for engine in ENGINES}
        self.clocks = 0

    async def drive(self, context: Any) -> None:
        """Plays both memories and fetches instructions until all streams have ended."""
        machine, build = self.machine, self.machine.build
        maps: deque[int | None] = deque([None] * build.map_latency)
        weights: deque[int | None] = deque([None] * build.weight_latency)
        streams = [[*self.program.streams[engine], 0] for engine in ENGINES]
        done = [0] * len(ENGINES)
        for engine, stream in zip(machine.engines, streams, strict=True):
            context.set(engine.word, stream[0])
        while self.clocks < self.limit:
            for line, engine, port in ((maps, machine.maps, "map_data"), (weights, machine.weights, "weight_data")):
                word = line.popleft()
                context.set(engine.came, word is not None)
                if word is not None:
                    context.set(getattr(machine, port), word)
            for line, engine, memory in (
                (maps, machine.maps, self.memory),
                (weights, machine.weights, self.program.weights),
            ):
                address = context.get(engine.address)
                asked = memory[address] if address < len(memory) else 0
                line.append(asked if context.get(engine.ask) else None)
            if context.get(machine.store.write):
                self.memory[context.get(machine.store.address)] = context.get(machine.store_data)
            elif self.clocks > 4 and context.get(machine.ended):
                return
            await context.tick()
            for number, (engine, stream) in enumerate(zip(machine.engines, streams, strict=True)):
                now = context.get(engine.done)
                if now != done[number]:
                    done[number] = now
                    self.events[ENGINES[number]].append(self.clocks + 1)
                    context.set(engine.word, stream[context.get(engine.counter)])
            self.clocks += 1

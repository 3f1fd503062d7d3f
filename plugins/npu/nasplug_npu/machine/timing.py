"""The machine without its hardware: when each instruction begins and ends, from what it says alone.

These are the clocks of the fast functional model, `nasplug_npu.machine.functional`, which computes what instructions
give. Each engine runs its instructions one after the other, and each begins when the counts it waits for have come; how
long one takes follows from its fields. Tests hold it against the hardware.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nasplug.contract.errors import NasplugError, SpecError
from nasplug_npu.machine.compiler import Program
from nasplug_npu.machine.instructions import ENGINES, LARGEST, RAW, decode
from nasplug_npu.machine.layout import Ints
from nasplug_npu.machine.parameters import Parameters

#: Clocks from the last step of a round until its sums are taken, and from the last group of lanes until it is written.
_TO_POST, _TO_BUFFER = 4, 5


def events(program: Program) -> dict[str, tuple[int, ...]]:
    """Clock at which each instruction of each engine is done, as simulations print it.

    Args:
        program: The program.

    Raises:
        SpecError: Loads and stores share a port, which this model does not follow.
        NasplugError: Instructions wait for each other forever.
    """
    if program.build.shared_port:
        raise SpecError(
            "loads and stores of maps share a port",
            where="npu machine",
            why="who has the port is decided in every clock, which only the hardware does",
            fix="ports=separate, or simulate the hardware",
        )
    lengths: dict[str, Callable[[dict[str, int], int], int]] = {
        "maps": lambda f, _: f["runs"] * _whole(f["words"], program.build.map_burst) + program.build.map_latency,
        "weights": lambda f, _: _of_weights(f, program.build),
        "compute": lambda f, number: compute_clocks(f, program.build, program.steps.get(number)),
        "store": lambda f, _: f["runs"] * _whole(f["words"], program.build.map_burst) + 1,
    }
    streams = {engine: [decode(engine, word) for word in program.streams[engine]] for engine in ENGINES}
    done: dict[str, list[int]] = {engine: [] for engine in ENGINES}
    left = sum(len(stream) for stream in streams.values())
    while left:
        before = left
        for engine in ENGINES:
            ends = done[engine]
            while len(ends) < len(streams[engine]):
                fields = streams[engine][len(ends)]
                waits = [(done[other], fields[f"wait_{other}"]) for other in ENGINES]
                if any(len(others) < count for others, count in waits):
                    break
                start = max([ends[-1] if ends else 0, *(others[count - 1] for others, count in waits if count)])
                ends.append(start + lengths[engine](fields, len(ends)) + 1)
                left -= 1
        if left == before:
            raise NasplugError("instructions wait for each other forever", where="npu machine", fix="report the layer")
    return {engine: tuple(ends) for engine, ends in done.items()}


def layer_clocks(program: Program) -> list[tuple[str, int]]:
    """Clocks of each layer, from the end of the one before to its own.

    Args:
        program: The program.
    """
    stores, before, found = events(program)["store"], 0, []
    for name, count in program.ends:
        found.append((name, stores[count - 1] - before))
        before = stores[count - 1]
    return found


def _whole(words: int, burst: int) -> int:
    return -(-words // burst) * burst


def _of_weights(f: dict[str, int], build: Parameters) -> int:
    return _whole(f["words"] + f["record_words"] + f["mask_words"], build.weight_burst) + build.weight_latency


def compute_clocks(f: dict[str, int], build: Parameters, steps: Ints | None = None) -> int:
    """Clocks of one computation, from its start to its end.

    Args:
        f: Fields of the instruction.
        build: The machine.
        steps: Clocks of a round of each chunk, where zeros are skipped; None if nothing is.
    """
    together = 1 if f["mode"] == LARGEST else build.positions
    rounds = f["rounds"]
    per_round = (
        np.full(f["chunks"], f["rows_of_kernel"] * f["columns_of_kernel"] * f["blocks"]) if steps is None else steps
    )
    twice = 2 if f["post"] == RAW and 32 * build.lanes > 64 else 1
    quads = np.full(f["chunks"], f["quads"] * twice)
    quads[-1] = f["last_quads"] * twice
    positions = np.full(rounds, together)
    positions[-1] = f["positions"] - (rounds - 1) * together
    stepping = int(per_round.sum()) * rounds
    posting = int(quads.sum()) * f["positions"]
    last = int(quads[-1] * positions[-1])
    begin = build.positions + 2
    by_array = begin + stepping - 1 + _TO_POST + last - 1
    by_post = begin + int(per_round[0]) - 1 + _TO_POST + posting - 1
    return max(by_array, by_post) + _TO_BUFFER

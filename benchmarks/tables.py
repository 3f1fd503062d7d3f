"""How fast tables are: loading, queries, and the identity of NAS-Bench-101 cells beside the benchmark's own hash.

The table is not part of the project; give its path. Times are medians of several rounds in one run.

Run: python benchmarks/tables.py nasbench101.parquet
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from _record import record
from nasplug_tables import TabularBenchmark
from nasplug_tables.bench import random_search
from nasplug_tables.spaces.nasbench101.cells import Cell, canonical, module_hash, relabellings
from nasplug_tables.spaces.nasbench101.enumeration import all_cells

import nasplug as nas

_LOAD = """
import json, resource, sys, time
import numpy, pyarrow.parquet
from nasplug_tables import TabularBenchmark
started = time.perf_counter()
benchmark = TabularBenchmark(sys.argv[1])
print(json.dumps([time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def plain_hash(matrix: list[list[int]], labels: list[int]) -> str:
    """The official algorithm, written as its description reads: lists, and one round per vertex."""
    vertices = len(labels)
    in_edges = [sum(matrix[w][v] for w in range(vertices)) for v in range(vertices)]
    out_edges = [sum(matrix[v]) for v in range(vertices)]
    hashes = list(zip(out_edges, in_edges, labels, strict=True))
    digests = [hashlib.md5(str(h).encode("utf-8")).hexdigest() for h in hashes]
    for _ in range(vertices):
        following = []
        for v in range(vertices):
            into = sorted(digests[w] for w in range(vertices) if matrix[w][v])
            out = sorted(digests[w] for w in range(vertices) if matrix[v][w])
            following.append(
                hashlib.md5(("".join(into) + "|" + "".join(out) + "|" + digests[v]).encode("utf-8")).hexdigest()
            )
        digests = following
    return hashlib.md5(str(sorted(digests)).encode("utf-8")).hexdigest()


def relabelled(cell: Cell, rng: np.random.Generator) -> Cell:
    """The cell with its vertices in a random other order, as a search would come across it."""
    found = relabellings(cell.vertices)
    first, second, third = found.tables
    bits = first[cell.bits & 127] | second[cell.bits >> 7 & 127] | third[cell.bits >> 14]
    order = int(rng.choice(np.flatnonzero(bits < 1 << 40)))
    return Cell(int(bits[order]), tuple(cell.operations[vertex] for vertex in found.inverse[order]))


def rate(work, count: int, rounds: int = 5) -> float:
    """Items per second, median over rounds."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return count / statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    loads = []
    for _ in range(5):
        command = [sys.executable, "-c", _LOAD, str(arguments.table)]
        loads.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))

    benchmark = TabularBenchmark(arguments.table)
    test = benchmark.values("test_acc")
    vectorised = rate(lambda: test[random_search(benchmark, 150, 1000)].max(axis=1), 150_000)

    def study() -> None:
        nas.search(None, space=benchmark.space, evaluator=benchmark, strategy="random", trials=2000, progress=False)

    searched = rate(study, 2000)
    rng = np.random.default_rng(0)
    architectures = [benchmark.space.sample(rng) for _ in range(5000)]
    looked_up = rate(lambda: [test[benchmark.row(a)] for a in architectures], 5000)

    cells = [relabelled(all_cells().cell(int(i)), rng) for i in rng.integers(423_624, size=5000)]
    plain = [(cell.matrix().tolist(), [-1, *cell.operations, -2]) for cell in cells]
    assert [plain_hash(*p) for p in plain[:300]] == [module_hash(c) for c in cells[:300]]
    hashing = {
        "official_written_plainly": rate(lambda: [plain_hash(*p) for p in plain], len(cells)),
        "module_hash": rate(lambda: [module_hash(c) for c in cells], len(cells)),
        "canonical_form": rate(lambda: [canonical(c) for c in cells], len(cells)),
    }
    result = {
        "seeds": [0],
        "table": arguments.table.name,
        "rows": len(benchmark.table),
        "load_seconds": statistics.median(seconds for seconds, _ in loads),
        "load_peak_mb": statistics.median(peak for _, peak in loads),
        "queries_per_second": {"random_search_at_once": vectorised, "look_up": looked_up, "study": searched},
        "cells_per_second": hashing,
        "identity_speed_up": hashing["canonical_form"] / hashing["official_written_plainly"],
        "hash_speed_up": hashing["module_hash"] / hashing["official_written_plainly"],
    }
    folder = {} if arguments.out is None else {"folder": arguments.out}
    record("tables", result, packages=("pyarrow",), **folder)
    print(json.dumps({k: v for k, v in result.items() if k != "seeds"}, indent=1))


if __name__ == "__main__":
    main()

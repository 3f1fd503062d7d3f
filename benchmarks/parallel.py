"""Two worker processes on two cores beside one process, one torch thread each, on real trainings.

Each search runs in a fresh Python process, as `nasplug run` does, and the whole command is timed: importing torch and
Lightning counts on both sides. Rounds alternate; the trials must be identical, so the ratio is a pure speed-up.

A virtual machine's host may give its cores to others meanwhile, which a wall clock cannot tell from slow software.
Every round records the share of processor time that was taken away; rounds are repeated until enough were left alone,
and the median over those is the result, beside the median over all.

Run: python benchmarks/parallel.py
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from _record import record

import nasplug as nas

#: Proposals ahead of results, part of the specification. Trials differ tenfold in length: with few of them in flight,
#: one long trial would leave the other worker without work.
BATCH = 16

#: A round counts as undisturbed if the host took less than this share of the machine's time on either side.
UNDISTURBED = 0.02


def search(workers: int, trials: int, epochs: int) -> list[dict]:
    """Outcome of one search on scikit-learn's digits, in this process."""
    study = nas.search(
        "image_classification",
        space=nas.component("qnas.conv", nodes=6, width=0.5),
        strategy="random",
        trials=trials,
        epochs=epochs,
        workers=workers,
        batch=BATCH,
        progress=False,
    )
    assert all(trial.state == "complete" for trial in study.trials), [trial.failure for trial in study.trials]
    return [dict(trial.metrics) for trial in study.trials]


def timed(workers: int, trials: int, epochs: int) -> tuple[float, list[dict]]:
    """Seconds and outcome of the same search as a command of its own."""
    command = [sys.executable, __file__, "--workers", str(workers), "--trials", str(trials), "--epochs", str(epochs)]
    started = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    return seconds, json.loads(done.stdout.splitlines()[-1])


def stolen() -> float:
    """Seconds of processor time that the host gave to others, where the system tells (Linux in a virtual machine)."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()
        return float(fields[8]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return float("nan")


def undisturbed(rounds: list[dict[str, float]]) -> list[dict[str, float]]:
    """Rounds in which the host left the machine alone; all of them where it does not tell."""
    return [row for row in rounds if not max(row["stolen_inline"], row["stolen_two_workers"]) >= UNDISTURBED]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="undisturbed rounds wanted")
    parser.add_argument("--at-most", type=int, default=8, help="rounds in all, undisturbed or not")
    parser.add_argument("--trials", type=int, default=80)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    parser.add_argument("--workers", type=int, help="run one search with so many workers and print its metrics")
    arguments = parser.parse_args()
    if arguments.workers is not None:
        print(json.dumps(search(arguments.workers, arguments.trials, arguments.epochs)))
        return
    rounds: list[dict[str, float]] = []
    timed(1, 2, 1)  # warms the disk cache
    while len(rounds) < arguments.at_most and len(undisturbed(rounds)) < arguments.rounds:
        before = stolen()
        inline, outcome = timed(1, arguments.trials, arguments.epochs)
        between = stolen()
        process, again = timed(2, arguments.trials, arguments.epochs)
        after = stolen()
        assert outcome == again, "workers changed a trial"
        cores = os.cpu_count() or 1
        rounds.append(
            {
                "inline": inline,
                "two_workers": process,
                "speed_up": inline / process,
                "stolen_inline": (between - before) / (cores * inline),
                "stolen_two_workers": (after - between) / (cores * process),
            }
        )
        print("  ".join(f"{name} {value:.3f}" for name, value in rounds[-1].items()), flush=True)
    result = {
        "seeds": [0],
        "data": "scikit-learn digits",
        "trials": arguments.trials,
        "epochs": arguments.epochs,
        "threads_per_trial": 1,
        "batch": BATCH,
        "rounds": rounds,
        "undisturbed_rounds": len(undisturbed(rounds)),
        "speed_up": statistics.median(row["speed_up"] for row in undisturbed(rounds) or rounds),
        "speed_up_of_all_rounds": statistics.median(row["speed_up"] for row in rounds),
        "lowest": min(row["speed_up"] for row in rounds),
        "highest": max(row["speed_up"] for row in rounds),
        "most_stolen": max(max(row["stolen_inline"], row["stolen_two_workers"]) for row in rounds),
        "same_trials": True,
    }
    folder = {} if arguments.out is None else {"folder": arguments.out}
    record("parallel", result, **folder)


if __name__ == "__main__":
    main()

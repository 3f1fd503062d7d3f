"""Two worker processes on two cores beside one process, one torch thread each, on real trainings.

The same specification is run inline and with two workers, in alternating rounds; the trials must be identical, so the
ratio of wall times is a pure speed-up. Start-up of the workers (importing torch twice) is inside the measured time.

Run: python benchmarks/parallel.py
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from _record import record

import nasplug as nas


def run(workers: int, trials: int, epochs: int) -> tuple[float, list[dict]]:
    """Seconds and outcome of one search on scikit-learn's digits."""
    started = time.perf_counter()
    study = nas.search(
        "image_classification",
        space=nas.component("qnas.conv", nodes=6, width=0.5),
        strategy="random",
        trials=trials,
        epochs=epochs,
        workers=workers,
        batch=4,
        progress=False,
    )
    seconds = time.perf_counter() - started
    assert all(trial.state == "complete" for trial in study.trials), [trial.failure for trial in study.trials]
    return seconds, [dict(trial.metrics) for trial in study.trials]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--trials", type=int, default=56)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    pairs = []
    run(1, 2, 1)  # imports
    for _ in range(arguments.rounds):
        inline, outcome = run(1, arguments.trials, arguments.epochs)
        process, again = run(2, arguments.trials, arguments.epochs)
        assert outcome == again, "workers changed a trial"
        pairs.append((inline, process))
        print(f"inline {inline:.1f} s, two workers {process:.1f} s: {inline / process:.2f}x")
    result = {
        "seeds": [0],
        "data": "scikit-learn digits",
        "trials": arguments.trials,
        "epochs": arguments.epochs,
        "threads_per_trial": 1,
        "seconds": [{"inline": a, "two_workers": b} for a, b in pairs],
        "speed_up": statistics.median(a / b for a, b in pairs),
        "same_trials": True,
    }
    folder = {} if arguments.out is None else {"folder": arguments.out}
    record("parallel", result, **folder)


if __name__ == "__main__":
    main()

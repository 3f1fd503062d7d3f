"""What a rehearsal costs, and what it finds: time up to the first trial of the demo, and mistakes met before trial 0.

* `cost`: fresh processes that run the search of `nasplug demo`, by turns with a rehearsal and without, in the driver;
  time from the start of the run to the submission of trial 0, of the clock and of the CPU. Everything that a trial
  imports is imported before, since the first trial would have to.
* `workers`: the same search with the demo's worker processes, up to the end of trial 0, where both have paid for the
  start of the workers. There is one trial, of two batches, and the CPU time is that of the driver and all processes
  below it: other work on the machine changes the clock by more than a rehearsal takes.
* `mistakes`: each mistake of `_rehearsal_mistakes.py` in a search of 12 trials in the driver, and those that people met
  also with two worker processes, once as `python - < file`.

Run: python benchmarks/rehearsal.py
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _record import record
from _rehearsal_mistakes import MISTAKES, TRIALS, search

HERE = Path(__file__).parent
SEED = 0
LIMIT = 3.0
DEMO = """
import argparse, json, os, sys, time
from pathlib import Path
import pytorch_lightning, sklearn.datasets, torch, torchmetrics
import nasplug as nas
from nasplug.cli.demo import _spec
from nasplug.run.api import run_spec
from nasplug.run.spec import RunSpec

def cpu_below(pid):
    total = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") + cpu_below(int(child))
    return total

class Clock(nas.Tracker):
    def started(self, study, plan):
        self.at = time.perf_counter(), time.process_time()
    def _now(self, event):
        wall, cpu = self.at
        spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu + cpu_below(os.getpid())}
        print(json.dumps({"event": event, **spent}), flush=True)
    def submitted(self, trial):
        if trial.number == 0:
            self._now("submitted")
    def observed(self, trial):
        if trial.number == 0:
            self._now("observed")
            os._exit(0)

if __name__ == "__main__":
    rehearse, workers, out = sys.argv[1] == "True", int(sys.argv[2]), Path(sys.argv[3])
    plain = _spec(argparse.Namespace(task="digits", trials=None, workers=workers, seed=0, plugin=[]), out).to_plain()
    plain["run"]["rehearse"] = rehearse
    if workers > 1:
        plain["budget"]["trials"] = 1
        plain["evaluator"] = {"lightning": {"trainer": {"limit_train_batches": 2, "limit_val_batches": 1}}}
    run_spec(RunSpec.parse(plain), trackers=[Clock()])
"""
#: Mistakes that are also made with worker processes: those that people met.
IN_WORKERS = (
    "a metric that is never logged",
    "a typo where the metric is logged",
    "self.logger.experiment without a logger",
    "two validation loaders, one metric",
)


def demo(event: str, *, rehearse: bool, workers: int) -> dict[str, float]:
    """Runs the demo in a fresh process.

    Args:
        event: Event of trial 0 that ends the measurement, `submitted` or `observed`.
        rehearse: Whether there is a rehearsal.
        workers: Number of worker processes, 1 for the driver itself.

    Returns:
        Seconds of the clock and of the CPU, and the load of the machine before.
    """
    load = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "demo_until_the_first_trial.py"
        script.write_text(DEMO)
        command = [sys.executable, str(script), str(rehearse), str(workers), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"event"')]
    found = next(item for item in events if item["event"] == event)
    return {"wall": found["wall"], "cpu": found["cpu"], "load": load}


def compared(event: str, *, workers: int, repeats: int) -> dict[str, Any]:
    """Measures the demo by turns with a rehearsal and without."""
    runs: dict[str, list[dict[str, float]]] = {"with": [], "without": []}
    for _ in range(repeats):
        for name, rehearse in (("with", True), ("without", False)):
            runs[name].append(demo(event, rehearse=rehearse, workers=workers))
            print(event, workers, name, runs[name][-1], flush=True)
    pairs = list(zip(runs["with"], runs["without"], strict=True))
    cost = {
        f"{clock}_seconds_of_rehearsal": statistics.median(one[clock] - other[clock] for one, other in pairs)
        for clock in ("wall", "cpu")
    }
    return {**cost, "runs": runs}


def found(mistake: str, workers: int = 1, *, piped: bool = False) -> dict[str, Any]:
    """Makes a mistake, in this process or as a script of its own."""
    with tempfile.TemporaryDirectory() as folder:
        storage = str(Path(folder) / "study.sqlite")
        if workers == 1:
            result = search(mistake, 1, storage)
        else:
            script = HERE / "_rehearsal_mistakes.py"
            command = [sys.executable, "-" if piped else str(script), mistake, str(workers), storage]
            with script.open() as source:
                done = subprocess.run(command, stdin=source if piped else None, capture_output=True, text=True, check=True)  # fmt: skip  # noqa: E501
            result = json.loads(done.stdout.splitlines()[-1])
    result["found_before_trial_0"] = bool(result["message"]) and result["trials_spent"] == 0
    print(mistake, workers, result["found_before_trial_0"], round(result["wall_seconds"], 1), flush=True)
    return result


def main() -> None:
    """Measures and records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes for each figure of the cost")
    repeats = parser.parse_args().repeats
    right = found("nothing")
    in_driver = {name: found(name) for name in MISTAKES}
    in_workers = {name: found(name, workers=2) for name in IN_WORKERS}
    in_workers["python - < file"] = found("nothing", workers=2, piped=True)
    made = [*in_driver.values(), *in_workers.values()]
    cost = compared("submitted", workers=1, repeats=repeats)
    workers = compared("observed", workers=2, repeats=repeats)
    highest = max(one[f"{clock}_seconds_of_rehearsal"] for one in (cost, workers) for clock in ("wall", "cpu"))
    record("rehearsal", {
        "seeds": [SEED],
        "note": "two cores shared with other work: the clock is an upper bound; the load stands beside each run",
        "limit_seconds": LIMIT,
        "within_limit": highest <= LIMIT,
        "mistakes_made": len(made),
        "mistakes_found_before_trial_0": sum(item["found_before_trial_0"] for item in made),
        "trials_of_the_search_that_is_right": [right["trials_spent"], TRIALS],
        "cost": cost,
        "workers": workers,
        "mistakes": {"driver": in_driver, "workers": in_workers},
    })  # fmt: skip


if __name__ == "__main__":
    main()

"""What a study of 100,000 trials costs: to run, to open, to resume, to check, to report.

A random search over twelve choices, crash-safe in SQLite, whose objectives and measurements cost nothing: every trial
has two objectives and a learning curve of ten epochs, as small trainings leave it.

* `run`: milliseconds and bytes of memory per trial in every tenth of the run, and the ratio of the last tenth to the
  first.
* `open`: seconds of `nasplug.load_study` in a fresh process, imports included.
* `resume`: seconds from the call of `nasplug.search` to the first new trial, in a fresh process.
* `report`: seconds of `study.report`, and the size of the page.
* `pareto`, `verify`: seconds of these commands' work.

Run: python benchmarks/large_studies.py [--trials 100000]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _record import record

import nasplug as nas

EDGES, OPTIONS, EPOCHS = 12, ("a", "b", "c", "d", "e"), 10
SEED = 0


class Cell(nas.ChoiceSpace):
    """Twelve choices of five options."""

    def __init__(self) -> None:
        super().__init__("cell", [nas.Choice(f"edge{i}", OPTIONS) for i in range(EDGES)])

    def build(self, architecture: nas.Architecture, task: Any) -> Any:
        """Never asked for."""
        raise AssertionError


class Counted:
    """Two objectives that oppose each other, and a curve."""

    objectives = {"score": "max", "size": "min"}  # noqa: RUF012

    @nas.hookimpl
    def evaluate(self, run: nas.TrialRun) -> nas.Evaluation:
        """Counts options, and draws a curve towards the score."""
        genotype = run.trial.architecture.genotype
        score = sum((i + 1) * (gene == "a") for i, gene in enumerate(genotype)) + 0.01 * genotype.count("b")
        size = sum("abcde".index(gene) == 0 for gene in genotype) + 0.1 * genotype.count("c")
        curve = [nas.Measurement(e, {"score": score * (1 - 0.5**e), "loss": 0.5**e}) for e in range(1, EPOCHS + 1)]
        return nas.Evaluation({"score": score, "size": size}, measurements=tuple(curve))


class Pace(nas.Tracker):
    """Notes time and memory at every tenth of the run."""

    def __init__(self, trials: int) -> None:
        self.every, self.count = max(1, trials // 10), 0
        self.points = [(0, time.process_time(), time.perf_counter(), memory())]

    def observed(self, trial: nas.Trial) -> None:
        """Counts."""
        self.count += 1
        if self.count % self.every == 0:
            self.points.append((self.count, time.process_time(), time.perf_counter(), memory()))


def memory() -> int:
    """Resident bytes of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def search(trials: int, path: str, tracker: nas.Tracker | None = None) -> nas.Study:
    """Runs, or resumes, the search."""
    trackers = {} if tracker is None else {"trackers": [tracker]}
    return nas.search(
        space=Cell(),
        evaluator=Counted(),
        objectives=Counted.objectives,
        trials=trials,
        storage=path,
        progress=False,
        seed=SEED,
        **trackers,
    )


def run(trials: int, path: str) -> dict[str, Any]:
    """Time and memory per trial in every tenth."""
    pace = Pace(trials)
    started = clocks()
    search(trials, path, pace)
    total = since(started)
    tenths = [
        {"cpu_ms": (b[1] - a[1]) / (b[0] - a[0]) * 1e3, "wall_ms": (b[2] - a[2]) / (b[0] - a[0]) * 1e3,
         "bytes": (b[3] - a[3]) / (b[0] - a[0])}
        for a, b in zip(pace.points, pace.points[1:], strict=False)
    ]  # fmt: skip
    return {
        "seconds": total,
        "tenths": tenths,
        "cpu_last_to_second_tenth": tenths[-1]["cpu_ms"] / tenths[1]["cpu_ms"],
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "file_megabytes": Path(path).stat().st_size / 2**20,
    }


def clocks() -> tuple[float, float]:
    """Processor and wall time."""
    return time.process_time(), time.perf_counter()


def since(started: tuple[float, float]) -> dict[str, float]:
    """Seconds since a moment."""
    return {"cpu": time.process_time() - started[0], "wall": time.perf_counter() - started[1]}


def opened(trials: int, path: str) -> dict[str, Any]:
    """A fresh process opens the study, looks at its front, and writes its report."""
    started = clocks()
    study = nas.load_study(path)
    seconds = {"open": since(started)}
    assert len(study.trials) == trials
    started = clocks()
    front = study.pareto()
    seconds["pareto"] = since(started)
    started = clocks()
    page = study.report(f"{path}.html")
    seconds["report"] = since(started)
    return {
        "seconds": seconds,
        "front": len(front),
        "page_megabytes": Path(page).stat().st_size / 2**20,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


class First(nas.Tracker):
    """Notes when the first new trial is there."""

    def __init__(self, known: int) -> None:
        self.known, self.at = known, (0.0, 0.0)

    def submitted(self, trial: nas.Trial) -> None:
        """A trial is about to run."""
        if trial.number >= self.known and not self.at[0]:
            self.at = clocks()


def resumed(trials: int, path: str) -> dict[str, Any]:
    """A fresh process resumes the search for one more trial."""
    first = First(trials)
    started = clocks()
    study = search(trials + 1, path, first)
    assert len(study.trials) == trials + 1
    until = {"cpu": first.at[0] - started[0], "wall": first.at[1] - started[1]}
    return {"first_new_trial": until, "whole": since(started)}


def verified(trials: int, path: str) -> dict[str, Any]:
    """`nasplug verify` in a fresh process, start-up included."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "nasplug.cli", "verify", path], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": {"cpu": cpu, "wall": time.perf_counter() - started}}


PARTS = {"run": run, "open": opened, "verify": verified, "resume": resumed}


def main() -> None:
    """Runs every part in a process of its own, prints and records."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--part", choices=PARTS, help="one part, for the processes that this one starts")
    parser.add_argument("--path", default="")
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(PARTS[arguments.part](arguments.trials, arguments.path)))
        return
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS:
            command = [sys.executable, __file__, "--part", part, "--trials", str(arguments.trials)]
            done = subprocess.run(
                [*command, "--path", f"{folder}/large.sqlite"], check=True, capture_output=True, text=True
            )
            found[part] = json.loads(done.stdout.strip().splitlines()[-1])
            print(part, json.dumps({key: value for key, value in found[part].items() if key != "tenths"}))
    name = record("large_studies", {"trials": arguments.trials, "seeds": [SEED], "epochs": EPOCHS, **found}).name
    print(name)


if __name__ == "__main__":
    main()

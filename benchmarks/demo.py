"""The README's first command as a stranger meets it: fresh clone, empty environment, wall time and test accuracy.

Clones the last commit into an empty folder, makes a virtual environment with nothing in it, and runs
`pip install uv && uv run nasplug demo` there; then the demo alone for more seeds, to show how much its accuracy owes to
luck. Set-up time depends on uv's package cache: by default the machine's own, `--cold` starts with an empty one and
downloads everything.

Run: python benchmarks/demo.py
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _record import record

ROOT = Path(__file__).resolve().parents[1]

#: Variables that would let the environment of this script leak into the fresh one.
LEAKS = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT", "PYTHONDONTWRITEBYTECODE")


def seconds(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    """Wall time of a command that must succeed."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SystemExit(done.stdout.decode(errors="replace"))
    return time.perf_counter() - started


def outcome(clone: Path, out: str) -> dict[str, float]:
    """What a demo left in its folder."""
    assert (clone / out / "report.html").is_file(), "no report was written"
    result = json.loads((clone / out / "network" / "retrain.json").read_text())
    return {"test_acc": result["test"]["test_acc"], "logistic_regression": result["baseline"]["logistic regression"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="demos in all; the first is the README's command")
    parser.add_argument("--cold", action="store_true", help="begin with an empty package cache")
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        clone, venv = Path(scratch) / "nasplug", Path(scratch) / "venv"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        environment = {name: value for name, value in os.environ.items() if name not in LEAKS}
        environment["PATH"] = f"{venv / 'bin'}{os.pathsep}{environment['PATH']}"
        if arguments.cold:
            environment["UV_CACHE_DIR"] = str(Path(scratch) / "cache")
        uv = str(venv / "bin" / "uv")
        pip = seconds([str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "uv"], clone, environment)
        first = seconds([uv, "run", "nasplug", "demo"], clone, environment)
        print(f"pip install uv: {pip:.1f} s, uv run nasplug demo: {first:.1f} s", flush=True)
        runs = [{"seed": 0, "seconds": first, **outcome(clone, "runs/demo")}]
        for seed in range(1, arguments.seeds):
            out = f"runs/demo-{seed}"
            took = seconds([uv, "run", "nasplug", "demo", "--seed", str(seed), "--out", out], clone, environment)
            runs.append({"seed": seed, "seconds": took, **outcome(clone, out)})
            print(runs[-1], flush=True)
    result = {
        "seeds": [run["seed"] for run in runs],
        "package_cache": "empty" if arguments.cold else "the machine's",
        "install_uv_seconds": pip,
        "whole_command_seconds": pip + first,
        "search_seconds": statistics.median(run["seconds"] for run in runs[1:]) if runs[1:] else None,
        "runs": runs,
        "lowest_test_acc": min(run["test_acc"] for run in runs),
        "median_test_acc": statistics.median(run["test_acc"] for run in runs),
    }
    folder = {} if arguments.out is None else {"folder": arguments.out}
    record("demo", result, **folder)


if __name__ == "__main__":
    main()

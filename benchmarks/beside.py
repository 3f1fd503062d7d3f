"""This checkout beside an earlier one: processor time per trial, of opening a study, and of the start.

Each round starts a fresh interpreter of either checkout, alternating which one is first; a figure is the median of the
rounds' ratios. Both run the search of their own `benchmarks/overhead.py`: random search over six choices, an objective
that costs nothing.

* `memory`, `sqlite`: milliseconds per trial of a search of 2,000 trials, the fastest of five.
* `opening`: seconds of `nasplug.load_study` on a file of 10,000 trials that the same checkout wrote, the fastest of
  five; `first_opening` is the first one of the process, which imports what it needs.
* `import`: seconds of `import nasplug` above the empty interpreter's.

Run: python benchmarks/beside.py OTHER_CHECKOUT   (with an environment of its own in OTHER_CHECKOUT/.venv)
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

from _record import record

HERE = Path(__file__).parent.parent
TRIALS, STORED = 2_000, 10_000

#: What a child runs in the root of its checkout: prints processor and wall time.
CHILDREN = {
    "memory": "search = lambda i: overhead.nasplug_random({trials})",
    "sqlite": "search = lambda i: overhead.nasplug_random({trials}, '{folder}/' + str(i) + '.sqlite')",
}
SEARCHED = """
import gc, json, sys, time
sys.path.insert(0, 'benchmarks')
import overhead
{search}
search(-1)
found = []
for i in range(5):
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    search(i)
    found.append((time.process_time() - cpu, time.perf_counter() - wall))
print(json.dumps([min(column) / {trials} * 1e3 for column in zip(*found)]))
"""
WRITTEN = """
import sys
sys.path.insert(0, 'benchmarks')
import overhead
overhead.nasplug_random({stored}, '{folder}/stored.sqlite')
"""
OPENED = """
import json, time
import nasplug
found = []
for _ in range({times}):
    cpu, wall = time.process_time(), time.perf_counter()
    study = nasplug.load_study('{folder}/stored.sqlite')
    found.append((time.process_time() - cpu, time.perf_counter() - wall))
    assert len(study.trials) == {stored}
print(json.dumps([min(column) for column in zip(*found)]))
"""
IMPORTED = """
import json, time
cpu, wall = time.process_time(), time.perf_counter()
import nasplug
print(json.dumps([time.process_time() - cpu, time.perf_counter() - wall]))
"""


def child(checkout: Path, code: str) -> str:
    """Runs code in a checkout with its own interpreter; returns what it prints."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {"OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    python = checkout / ".venv" / "bin" / "python"
    done = subprocess.run(
        [python, "-c", code], cwd=checkout, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


def compare(other: Path, rounds: int) -> dict[str, dict[str, object]]:
    """Returns the figures of both checkouts and the ratios, this one to the other, by name."""
    names = ("memory", "sqlite", "opening", "first_opening", "import")
    times: dict[str, dict[str, list[list[float]]]] = {name: {"this": [], "other": []} for name in names}
    with tempfile.TemporaryDirectory() as folder:
        folders = {"this": f"{folder}/this", "other": f"{folder}/other"}
        checkouts = {"this": HERE, "other": other}
        for who, checkout in checkouts.items():
            Path(folders[who]).mkdir()
            child(checkout, WRITTEN.format(stored=STORED, folder=folders[who]))
        for round_ in range(rounds):
            for name in names:
                for who in ("this", "other") if round_ % 2 else ("other", "this"):
                    values = {"trials": TRIALS, "stored": STORED, "folder": f"{folders[who]}/{round_}"}
                    Path(values["folder"]).mkdir(exist_ok=True)
                    if name in CHILDREN:
                        search = CHILDREN[name].format(**values)
                        code = SEARCHED.format(search=search, **values)
                    else:
                        more = {"folder": folders[who], "times": 5 if name == "opening" else 1}
                        code = (OPENED if "opening" in name else IMPORTED).format(**values | more)
                    times[name][who].append(json.loads(child(checkouts[who], code)))
    return {
        name: {
            "this": [statistics.median(column) for column in zip(*each["this"], strict=True)],
            "other": [statistics.median(column) for column in zip(*each["other"], strict=True)],
            "ratio_cpu": statistics.median(a[0] / b[0] for a, b in zip(each["this"], each["other"], strict=True)),
            "ratio_wall": statistics.median(a[1] / b[1] for a, b in zip(each["this"], each["other"], strict=True)),
            "all": each,
        }
        for name, each in times.items()
    }


def main() -> None:
    """Compares, prints and records."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("other", type=Path, help="folder of the other checkout")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    commit = [["git", "-C", str(where), "rev-parse", "--short", "HEAD"] for where in (HERE, arguments.other)]
    this, other = [subprocess.run(each, check=True, capture_output=True, text=True).stdout.strip() for each in commit]
    found = compare(arguments.other.resolve(), arguments.rounds)
    for name, each in found.items():
        print(f"{name:14} processor time {each['ratio_cpu']:.2f}, wall time {each['ratio_wall']:.2f}")
    print(
        record(
            "beside",
            {
                "seeds": [0],
                "this": this,
                "other": other,
                "rounds": arguments.rounds,
                "units": "this, other: [processor, wall]; ms per trial, seconds otherwise",
                "figures": found,
            },
        ).name
    )


if __name__ == "__main__":
    sys.exit(main())

"""How every benchmark here writes its result: numbers with seeds, versions, machine and date."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nasplug.run.api import versions

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """What the benchmark ran on, without names."""
    model = ""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(":", 1)[1].strip() if lines else ""
    return {"system": platform.system(), "cpu": model, "cores": os.cpu_count()}


def made(packages: tuple[str, ...] = ()) -> dict[str, Any]:
    """When and on what a result is made.

    Args:
        packages: Opponents whose versions belong to the result.
    """
    from importlib import metadata

    found = versions() | {package: metadata.version(package) for package in packages}
    return {"date": datetime.now(UTC).date().isoformat(), "machine": machine(), "versions": found}


def record(
    name: str,
    result: dict[str, Any],
    *,
    packages: tuple[str, ...] = (),
    folder: Path = RESULTS,
    origin: dict[str, Any] | None = None,
) -> Path:
    """Writes `results/NAME.json`.

    Args:
        name: Name of the benchmark.
        result: Numbers to record, with the seeds and settings that made them.
        packages: Opponents whose versions belong to the result.
        folder: Folder to write to.
        origin: Result of `made` where the numbers were made; default: here and now.
    """
    head = {"benchmark": name, "script": Path(sys.argv[0]).name, **(origin or made(packages))}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(head | result, indent=1) + "\n")
    print(f"recorded {path.name}")
    return path


def by_seed(kept: Path, seeds: Iterable[int], make: Callable[[int], Any]) -> list[Any]:
    """What each seed gives, as it is kept in a file; what is not there is made, and kept as soon as it is.

    Args:
        kept: JSON file of what is done.
        seeds: Seeds wanted.
        make: Makes the JSON of a seed.
    """
    kept.parent.mkdir(parents=True, exist_ok=True)
    done: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {}
    for seed in seeds:
        if str(seed) not in done:
            start = time.process_time()
            done[str(seed)] = make(seed)
            kept.write_text(json.dumps(done))
            print(f"seed {seed}: {time.process_time() - start:.0f} s of CPU", flush=True)
    return [done[str(seed)] for seed in seeds]

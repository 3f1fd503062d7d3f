"""How every benchmark here writes its result: numbers with seeds, versions, machine and date."""

from __future__ import annotations

import json
import os
import platform
import sys
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

"""How long each tutorial takes, block by block, and the way of a stranger from nothing to a package that is tested.

Every page runs as a reader would run it: in an empty folder, blocks in their order, each in a process of its own. The
packages of a stranger are made by `nasplug new-plugin`, installed with pip into a folder, and checked by `nasplug
test-plugin`.

Run: OMP_NUM_THREADS=1 python benchmarks/tutorials.py
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from _record import record  # noqa: E402  (after the path of the checkout)

from tests.docs.pages import commands, environment  # noqa: E402

PAGES = ("docs/start.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs/tutorials").glob("*.md")))
#: Kinds of packages, with the names of the strangers' ones.
PACKAGES = {"strategy": "cooling", "benchmark": "my_table"}


def timed(command: list[str], folder: Path, variables: dict[str, str]) -> float:
    """Seconds of a command that must end well."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return time.perf_counter() - started


def page(name: str, folder: Path) -> dict[str, Any]:
    """Runs a page."""
    seconds = [timed(command, folder, environment(folder)) for _, command in commands(ROOT / name, folder)]
    print(f"{name}: {sum(seconds):.0f} s in {len(seconds)} blocks", flush=True)
    return {"blocks": len(seconds), "seconds": sum(seconds), "slowest_block_seconds": max(seconds)}


def package(kind: str, name: str, folder: Path) -> dict[str, float]:
    """Makes, installs and tests a package."""
    variables, nasplug = environment(folder), [sys.executable, "-m", "nasplug.cli"]
    made = timed([*nasplug, "new-plugin", name, "--kind", kind], folder, variables)
    (home,) = folder.glob("nasplug-*")
    site = folder / "site"
    install = ["uv", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(home)]
    installed = timed(install, folder, variables)
    variables["PYTHONPATH"] = str(site)
    tested = timed([*nasplug, "test-plugin", name], folder, variables)
    print(f"{kind}: {made:.1f} s made, {installed:.1f} s installed, {tested:.0f} s tested", flush=True)
    return {"make": made, "install": installed, "test": tested, "seconds": made + installed + tested}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    found: dict[str, Any] = {"pages": {}, "packages": {}}
    for name in PAGES:
        with tempfile.TemporaryDirectory() as folder:
            found["pages"][name.removesuffix(".md")] = page(name, Path(folder))
    for kind, name in PACKAGES.items():
        with tempfile.TemporaryDirectory() as folder:
            found["packages"][kind] = package(kind, name, Path(folder))
    loads = os.getloadavg()
    record("tutorials", {"seeds": [0], "load_of_the_last_minutes": list(loads), **found})


if __name__ == "__main__":
    main()

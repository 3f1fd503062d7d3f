"""What comes first on a new machine: the tests that need a GPU, and how fast trainings are, alone and packed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import traceback
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from campaign_tasks.entries import Entry, Settings

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENT = "campaign_checks"
#: So many trainings at the same time are timed, beside one alone.
PACKINGS = (4, 8, 12)
#: What packings are timed with.
PACKED = "double_st"
#: More than are ever made while the time is taken.
EPOCHS = 1000.0


def entries(settings: Settings) -> list[Entry]:
    """Tests, one training of each kind alone with and without graphs, and packings of one kind."""
    from campaign_tasks import quantisers

    cuda = settings.device == "cuda"
    files = (quantisers.FILE,)
    common = {"recipe": quantisers.recipe_of(settings) | {"epochs": EPOCHS}, "seconds": 1.0 if cuda else 0.1}
    found = [Entry(EXPERIMENT, "gpu_tests", "checks:gpu_tests", {}, 47.0, alone=True)] if cuda else []
    # Without graphs two kinds show what these save; with them every kind is timed.
    pairs = [("float", False), ("double_st", False)] + [(kind, True) for kind in quantisers.KINDS]
    kinds = {**common, "pairs": pairs if cuda else [(kind, False) for kind in quantisers.KINDS]}
    found.append(Entry(EXPERIMENT, "alone", "checks:alone", kinds, 19.0, files=files, alone=True))
    for copies in [copies for copies in PACKINGS if copies <= settings.slots]:
        packed = {**common, "seconds": 3 * common["seconds"]}
        found.append(
            Entry(EXPERIMENT, f"packed-{copies:02}", "checks:packed", packed, 12.0, files=files, copies=copies)
        )
    return found


def gpu_tests(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Runs the tests marked `gpu`, and says how each ended."""
    folders = [ROOT / "tests", *sorted((ROOT / "plugins").glob("[!_]*/tests"))]
    files = [path for folder in folders for path in folder.rglob("test_*.py") if "mark.gpu" in path.read_text()]
    report = settings.work / "gpu_tests.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-o", "addopts=", "--import-mode=importlib"]
    command += ["-p", "no:cacheprovider", f"--junitxml={report}", *map(str, sorted(files))]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    cases = []
    if report.is_file():
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            bad = {
                child.tag: (child.text or "")[-3000:] for child in case if child.tag in ("failure", "error", "skipped")
            }
            name = f"{case.get('classname')}::{case.get('name')}"
            cases.append({"test": name, "seconds": float(case.get("time", 0)), "outcome": bad or "passed"})
    return {"exit": ended.returncode, "tests": cases, "output": ended.stdout[-4000:] + ended.stderr[-2000:]}


def speed(kind: str, graph: bool, arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Steps per second of one training; copies of it begin to count at the same time."""
    import torch
    from _quantiser_training import WARM, Training, exact

    from campaign_tasks import quantisers

    started = time.perf_counter()
    exact(settings.device)
    recipe = quantisers.recipe(arguments["recipe"], settings, graph=graph)
    copies, copy = arguments.get("copies", 1), arguments.get("copy", 0)
    training = Training(kind, 2, copy, recipe)
    training.warm_up()
    while training.done < WARM:
        training.step()
    _wait(training.device)
    ready = time.perf_counter() - started
    if copies > 1:
        _meet(settings.work / f"meet-{copies}-{os.getppid()}", copy, copies)
    before, since = training.done, time.perf_counter()
    while time.perf_counter() - since < arguments["seconds"]:
        for _ in range(5):
            training.step()
        _wait(training.device)
    steps, spent = training.done - before, time.perf_counter() - since
    return {
        "steps_per_second": steps / spent,
        "steps": steps,
        "seconds_before": ready,
        "loss_of_first_steps": float(training.losses[: min(100, training.done)].mean()),
        "peak_bytes": torch.cuda.max_memory_allocated() if settings.device == "cuda" else None,
    }


def alone(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Every kind after the other; from the first that cannot be captured on, kinds train without graphs."""
    from _quantiser_training import CaptureError

    found: dict[str, Any] = {}
    for kind, graph in arguments["pairs"]:
        name = f"{kind}-{'graph' if graph else 'eager'}"
        try:
            found[name] = speed(kind, graph, arguments, settings)
        except CaptureError:
            found[name] = {"traceback": traceback.format_exc()}
            found["broken"] = True  # the process goes no further
            break
    return found


def packed(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """One of several copies at the same time."""
    from campaign_tasks.records import Store

    graph = settings.device == "cuda" and use_graph(Store(settings.out), PACKED)
    return speed(PACKED, graph, arguments, settings) | {"graph": graph}


def _wait(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()


def _meet(folder: Path, copy: int, copies: int) -> None:
    """Goes on as soon as all copies are here, or after half a minute without them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(copy)).touch()
    until = time.monotonic() + 30
    while len(list(folder.iterdir())) < copies and time.monotonic() < until:
        time.sleep(0.01)


def _alone(store: Any) -> dict[str, float]:
    """Steps per second by kind and mode."""
    record = store.read_named(EXPERIMENT, "alone")
    if record is None or record["state"] != "done":
        return {}
    return {n: v["steps_per_second"] for n, v in record["result"].items() if n != "broken" and "steps_per_second" in v}


def _rates(store: Any) -> dict[int, float]:
    """Steps per second of all copies together, by their number."""
    single = _alone(store)
    found = {1: max(rate for name, rate in single.items() if name.startswith(f"{PACKED}-"))} if single else {}
    for copies in PACKINGS:
        record = store.read_named(EXPERIMENT, f"packed-{copies:02}")
        if record is not None and record["state"] == "done":
            found[copies] = sum(part["steps_per_second"] for part in record["result"])
    return found


def best_slots(store: Any) -> int | None:
    """How many trainings at the same time, as those timed, take the most steps; fewer if that costs less than 3 %."""
    rates = _rates(store)
    if len(rates) < 2:
        return None
    top = max(rates.values())
    return min(copies for copies, rate in rates.items() if rate >= 0.97 * top)


def use_graph(store: Any, kind: str) -> bool:
    """Whether graphs worked for a kind of training and were faster than single launches."""
    rates = _alone(store)
    return rates.get(f"{kind}-graph", 0.0) > rates.get(f"{kind}-eager", 0.0)


def expected(store: Any, entry: Entry, slots: int) -> float | None:
    """Seconds of a training of the quantisers beside as many others as there are slots; None if nothing was timed."""
    rates, single = _rates(store), _alone(store)
    if "steps" not in entry.arguments or not rates:
        return None
    kind = "float" if entry.arguments["kind"] == "pretrained" else entry.arguments["kind"]
    copies = max(copies for copies in rates if copies <= max(1, slots))
    own = max((rate for name, rate in single.items() if name.rpartition("-")[0] == kind), default=rates[1])
    return float(entry.arguments["steps"] * (rates[1] / own) * slots / rates[copies] + 8.0)


def summary(done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Steps per second of every kind alone, and of all copies by their number."""
    by_name = {one["name"]: one["result"] for one in done}
    packs = [result for name, result in by_name.items() if name.startswith("packed")]
    return {
        "seeds": [0],
        "tests": by_name.get("gpu_tests"),
        "alone": by_name.get("alone"),
        "packed": {
            str(len(parts)): {"steps_per_second": sum(part["steps_per_second"] for part in parts), "copies": parts}
            for parts in packs
        },
    }

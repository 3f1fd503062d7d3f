"""Runs that are killed at random moments, again and again, until they are done: the end is that of a quiet run."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nasplug as nas
from nasplug.contract.errors import NasplugError
from nasplug.run.api import run_spec
from nasplug.run.spec import RunSpec
from tests.faults.studies import toy
from tests.faults.tally import Tally

PLUGIN = str(Path(__file__).parent / "slow_plugin.py")
#: Seconds after which a run that nobody killed must be over.
PATIENCE = 120.0


#: Strategies that fit models, or train supernets and embedders: seconds for each run.
HEAVY = frozenset(
    {
        *("bogk", "bogk, pruned", "infonas.bo", "infonas.bo with dngo", "infonas.reinforce", "infonas.screen"),
        *("infonas.screen of qnas", "infonas.screen of qnas, pruned"),
        *("darts_lp.search", "darts_lp.search of cells", "darts_lp.sensitivity", "optuna.gp", "reduction.supernet"),
        "gradient",
    }
)


@dataclass(frozen=True)
class Case:
    """A search to kill.

    Attributes:
        name: Name of the strategy, and what is around it.
        keys: Keys of its specification.
        snapshot_every: Seconds between snapshots.
    """

    name: str
    keys: dict[str, Any]
    snapshot_every: float = 0.0

    def spec(self, folder: Path, **run: Any) -> RunSpec:
        """Returns the specification, kept in `s.sqlite` of a folder."""
        keys = {**self.keys, "run": {**self.keys.get("run", {}), **run}}
        keys.setdefault("evaluator", {"toy": {"steps": 3}})
        return toy(folder, **keys)


def cases() -> list[Case]:
    """Returns every strategy shipped, with pruners, nested, with work, and with and without state."""
    strategies: dict[str, Any] = {
        "random": "random",
        "regularized_evolution": {"regularized_evolution": {"population_size": 6, "tournament_size": 3}},
        "climb": "climb",
        "climb without state": "climb_unsaved",
        "stumble": "stumble",
        "local_search": {"local_search": {"starts": 4, "neighbours": 6}},
        "repeat": {"repeat": {"networks": [{"genotype": list(text)} for text in ("aabbcd", "xaxaxa")], "times": 8}},
        "qnas": {"qnas": {}},
        "bogk": {"bogk": {"initial": 4}},
        **{f"optuna.{name}": {f"optuna.{name}": {}} for name in ("tpe", "random", "nsga2", "nsga3", "qmc", "gp")},
        **{f"optuna.{name}": {f"optuna.{name}": {}} for name in ("cmaes", "grid", "brute_force")},
        "emonas": {"emonas": {}},
        "cgap.enas_s": {"cgap.enas_s": {"population": 6}},
        "successive_halving of random": {"successive_halving": {}},
        "hyperband of random": {"hyperband": {}},
        "nsga2": {"nsga2": {"population_size": 6}},
        "bananas": {"bananas": {"members": 4, "initial": 4, "candidates": 20}},
        "bohb": {"bohb": {"candidates": 8}},
        "freeze_thaw": {"freeze_thaw": {"initial": 4, "candidates": 10}},
        "population": {"population": {"population_size": 4, "mutation": 0.5}},
        "asha of random": {"asha": {}},
        "asha of evolution": {"asha": {"inner": "regularized_evolution"}},
        "infonas.reinforce": {"infonas.reinforce": {"episode": 4}},
        "infonas.bo": {"infonas.bo": {"initial": 4, "per_round": 4, "pool": 100}},
        "infonas.bo with dngo": {"infonas.bo": {"surrogate": "dngo", "kind": "mean", "initial": 4, "per_round": 4}},
        "infonas.screen": {"infonas.screen": {"inner": "regularized_evolution", "factor": 3, "start": 4, "refit": 4}},
        "infonas.screen of qnas": {"infonas.screen": {"inner": "qnas", "predictor": "forest", "factor": 3, "start": 4}},
        "darts_lp.search": {"darts_lp.search": {"rounds": 3, "epochs": 1, "derive": 4, "logits": {"warmup": 0.0}}},
        "darts_lp.search of cells": {
            "darts_lp.search": {"rounds": 2, "epochs": 1, "derive": 3, "logits": {"warmup": 0.0}}
        },
        "darts_lp.sensitivity": {
            "darts_lp.sensitivity": {"keep": {"bit_operations": 0.5}, "epochs": 1, "batches": 1, "derive": 6}
        },
        "gradient": {"gradient": {"epochs": 1}},
        "work": "slow.work",
        "cgap.select": {"cgap.select": {"candidates": 5, "keep": 2, "by": "score", "direction": "max"}},
        "cgap.grow of evolution": {"cgap.grow": {"inner": "regularized_evolution", "growth": 2, "pruning": 1}},
        "reduction.uniform": {"reduction.uniform": {"keep": 0.3, "sizes": 6}},
        "reduction.greedy": {"reduction.greedy": {"keep": 0.4, "steps": 3, "candidates": 3}},
        "reduction.sensitivity": {"reduction.sensitivity": {"keep": 0.4, "batches": 1}},
        "reduction.evolution": {"reduction.evolution": {"keep": 0.4, "generations": 2, "children": 4}},
        "reduction.snare": {"reduction.snare": {"keep": 0.6, "generations": 6}},
        "reduction.policy": {"reduction.policy": {"keep": 0.5, "removal_episodes": 1, "episodes": 3, "rollouts": 3}},
        "reduction.supernet": {
            "reduction.supernet": {"keep": 0.4, "generations": 2, "children": 3, "supernet_epochs": 1}
        },
        **{f"ablation.{name}": {f"ablation.{name}": {"seeds": [0, 1]}} for name in ("loco", "pairs", "add_one_in")},
        **{f"ablation.{name}": {f"ablation.{name}": {"seeds": [0, 1]}} for name in ("backward", "shapley")},
    }
    found = []
    for name, strategy in strategies.items():
        extra: dict[str, Any] = {"strategy": strategy, "plugins": [*toy(Path()).plugins, PLUGIN]}
        if any(word in name for word in ("halving", "asha", "hyperband", "bohb")):
            extra["budget"] = {"trials": 24, "epochs": 4}
            extra["evaluator"] = {"slow": {}}
        elif name.startswith("cgap.grow"):
            extra["budget"] = {"trials": 24, "epochs": 5}
            extra["evaluator"] = {"slow": {}}
        else:
            extra["budget"] = {"trials": 12 if name in HEAVY else 24}
        if name.startswith("infonas"):
            extra["space"] = {"small": {}}
        elif name.startswith("reduction"):
            extra |= REDUCTION
        elif name.startswith("ablation"):
            extra |= ABLATION
        elif name == "bogk":
            extra["space"] = "nasbench201"
        elif name == "gradient":
            extra |= SUPERNET | {"space": {"class_path": "tests.support.relaxed.Ways"}}
        elif name.startswith("darts_lp"):
            extra |= SUPERNET
            extra["space"] = CELLS if "cells" in name else BITS_OF if "sensitivity" in name else LAYERS
        if name in ("emonas", "optuna.nsga2", "optuna.nsga3"):
            extra["objectives"] = {"score": "max", "size": "min"}
            extra["costs"] = ["size"]
        found.append(Case(name, extra))
        if name in PRUNED:
            found.append(Case(f"{name}, pruned", {**extra, "stoppers": ["impatient"]}))
        if name in ("climb", "qnas"):
            found.append(Case(f"{name}, without snapshots", extra, snapshot_every=1000))
    return found


#: Strategies that are also killed with a pruner beside them.
PRUNED = ("random", "regularized_evolution", "climb", "qnas", "optuna.tpe", "bogk", "emonas", "infonas.screen of qnas")
#: A network of a few hundred weights, made smaller; the supernet of its parts trains on noise.
REDUCTION: dict[str, Any] = {
    "space": {
        "reduction": {"model": "nasplug_reduction.example:small_resnet", "weights": "random", "inputs": [3, 16, 16]}
    },
    "task": "noise",
    "objectives": {"score": "max"},
}
#: Variants of a module of five components, looked up in a table.
ABLATION: dict[str, Any] = {
    "space": {"class_path": "nasplug_ablation.synthetic.SyntheticVariants"},
    "evaluator": {"class_path": "nasplug_ablation.synthetic.SyntheticAblation", "init_args": {"noise": 0.01}},
}
#: Spaces and data on which a supernet trains in a tenth of a second; trials are judged by the toy evaluator.
BITS = {"weight_bits": [1, 4], "activation_bits": [2, 8]}
LAYERS = {"darts_lp.layers": {"width": 0.125, "blocks": 1, "kernels": [1, 3], "first_last_bits": None, **BITS}}
CELLS = {"darts_lp.cell": {"channels": 2, "layers": 3, "nodes": 2, **BITS}}
BITS_OF = {
    "darts_lp.bits": {"model": "nasplug_darts_lp.example:small_network", "weights": "random", "inputs": [1, 8, 8]}
}
SUPERNET: dict[str, Any] = {"task": {"image_classification": {"limit": 30, "batch_size": 16}}}


def ended(path: Path) -> str:
    """Returns what two runs must agree on: everything but wall time, in a running study as in a finished one."""
    study = nas.load_study(path)
    records = [{**trial.to_json(), "seconds": 0, "checksums": {}} for trial in study.trials]
    return json.dumps(records, sort_keys=True)


def finished(path: Path) -> dict[int, str]:
    """Returns the finished trials of a study file, which may not exist yet."""
    from nasplug.ledger.sqlite import SQLiteStorage

    if not path.is_file() or not path.stat().st_size:
        return {}
    storage = SQLiteStorage(path, writable=False)
    try:
        return {trial.number: trial.encode().decode() for trial in storage.trials() if trial.finished}
    finally:
        storage.close()


def quiet_run(case: Case, folder: Path) -> tuple[str, float]:
    """Runs a case to its end in this process; returns what came of it, and the seconds it took."""
    folder.mkdir(parents=True)
    started = time.monotonic()
    run_spec(case.spec(folder), snapshot_every=case.snapshot_every)
    return ended(folder / "s.sqlite"), time.monotonic() - started


def _child(case: Case, folder: Path, run: dict[str, Any]) -> None:
    """Runs the search in a forked process and ends it without saying goodbye."""
    sink = os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    try:
        run_spec(case.spec(folder, **run), snapshot_every=case.snapshot_every)
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(3)
    os._exit(0)


def kill_until_done(case: Case, expected: str, seconds: float, seed: int, folder: Path, tally: Tally) -> int:
    """Kills a run inside one process at random moments until it is done.

    Args:
        case: Search.
        expected: What a quiet run gave.
        seconds: How long a quiet run took.
        seed: Seed of the moments.
        folder: Folder of the study.
        tally: Gets one entry for each kill.

    Returns:
        Number of kills.
    """
    kind, note = f"kill: inline, {case.name}", f"seed {seed}"
    return _until_done(case, expected, seconds, random.Random(seed), folder, tally, kind, note, {})


def kill_workers_until_done(case: Case, expected: str, seed: int, folder: Path, tally: Tally) -> int:
    """Kills the driver or one of its workers at random moments until the run is done."""
    rng = random.Random(seed)
    run = {"executor": "process", "workers": rng.choice((1, 2, 3))}
    kind, note = f"kill: process, {case.name}", f"seed {seed}"
    return _until_done(case, expected, 1.5, rng, folder, tally, kind, note, run, workers=True)


def _until_done(
    case: Case, expected: str, seconds: float, rng: random.Random, folder: Path, tally: Tally,
    kind: str, note: str, run: dict[str, Any], *, workers: bool = False,
) -> int:  # fmt: skip
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path, kills, before = folder / "s.sqlite", 0, dict[int, str]()
    context = multiprocessing.get_context("fork" if not workers else "spawn")
    most = 30 if not workers else 4
    while True:
        process = context.Process(target=_child, args=(case, folder, run))
        process.start()
        patience = (
            PATIENCE
            if kills >= most
            else rng.random() * seconds * (0.6 if kills < 8 else 1.5) + (rng.choice((0.7, 1.5, 2.5)) if workers else 0)
        )
        killed_worker = False
        if workers and kills < most and rng.random() < 0.5:
            time.sleep(patience)
            killed_worker = _kill_one(process.pid, rng)
            patience = PATIENCE if killed_worker else 0
        process.join(patience)
        alive = process.is_alive()
        if alive:
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
        if alive and (kills >= most or killed_worker):
            tally.add(kind, "hung", note)
            return kills
        kills += alive or killed_worker
        try:
            now = finished(path)
        except NasplugError as error:
            tally.add(kind, "lost", f"{note}: {error}")
            return kills
        lost = [number for number, record in before.items() if now.get(number) != record]
        if alive or killed_worker:
            tally.add(kind, "lost" if lost else "survived", f"{note}: trials {lost[:5]}")
        before = now
        if alive:
            continue
        if process.exitcode != 0:
            tally.add(kind, "traceback", f"{note}: {(folder / 'said.txt').read_text()[-300:]}")
        elif ended(path) != expected:
            tally.add(kind, "different", note)
        return kills


def _kill_one(pid: int | None, rng: random.Random) -> bool:
    """Kills one worker of a driver: a process of a group of its own."""
    own = os.getpgid(pid) if pid else 0
    found = []
    for process in _descendants(pid or 0):
        with contextlib.suppress(OSError):
            if os.getpgid(process) == process != own:
                found.append(process)
    if not found:
        return False
    with contextlib.suppress(OSError):
        os.kill(rng.choice(found), signal.SIGKILL)
        return True
    return False


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found


def fill_disk(case: Case, expected: str, seed: int, folder: Path, tally: Tally) -> None:
    """Runs a case where no file may grow beyond a random size, as on a full disk, then again with room.

    Args:
        case: Search.
        expected: What a quiet run gave.
        seed: Seed of the size.
        folder: Folder of the study.
        tally: Gets the outcome.
    """
    import resource

    rng = random.Random(seed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    size, kind, note = int(10 ** rng.uniform(2.0, 5.5)), f"full disk: {case.name}", f"seed {seed}"
    said = folder / "said.txt"
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            sink = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            run_spec(case.spec(folder), snapshot_every=case.snapshot_every)
            code = 0
        except NasplugError as error:
            code = error.exit_code
            os.write(sink, str(error).encode()[:90])
        except BaseException as error:
            code = 99
            os.write(sink, f"{type(error).__name__}: {error}".encode()[:90])
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    try:
        before = finished(folder / "s.sqlite")
        run_spec(case.spec(folder), snapshot_every=case.snapshot_every)
        after = finished(folder / "s.sqlite")
    except BaseException as error:
        tally.add(kind, "lost", f"{note}, size {size}: {type(error).__name__}: {error}")
        return
    if any(after.get(number) != record for number, record in before.items()):
        tally.add(kind, "lost", f"{note}, size {size}")
    elif ended(folder / "s.sqlite") != expected:
        tally.add(kind, "different", f"{note}, size {size}")
    elif code not in (0, 3):
        tally.add(kind, "traceback", f"{note}, size {size}, exit code {code}: {said.read_text()}")
    else:
        tally.add(kind, "survived" if code == 0 else "refused")

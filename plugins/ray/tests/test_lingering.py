"""A driver that is killed: its trials go on, the next driver takes them over, and nothing is left if nobody comes."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from nasplug.run.api import run_spec
from nasplug.run.spec import RunSpec

pytestmark = [pytest.mark.ray]

PLUGIN = """
import time
from pathlib import Path
import nasplug as nas
from nasplug.testing import SyntheticEvaluator, SyntheticSpace

NASPLUG_CONTRACT = "2.0"


@nas.hookimpl
def register(catalog):
    catalog.space("chain", f"{__name__}:Chain", summary="A chain of operations.")
    catalog.evaluator("slow", f"{__name__}:Slow", summary="Says in a file that it begins.")


class Chain(SyntheticSpace):
    def __init__(self):
        super().__init__(length=4)


class Slow(SyntheticEvaluator):
    def __init__(self, log: str, go: str):
        super().__init__()
        self.log, self.go = log, go

    @nas.hookimpl
    def evaluate(self, run):
        with Path(self.log).open("a") as file:
            file.write(f"{run.number}\\n")
        while run.number in (2, 3) and not Path(self.go).exists():
            time.sleep(0.1)
        return super().evaluate(run)
"""
PROGRAM = """
import json, sys
from nasplug.run.api import run_spec
from nasplug.run.spec import RunSpec

run_spec(RunSpec.parse(json.loads(sys.argv[1])))
"""


def plain(folder, executor, name="s", trials=8):
    plugin = folder / "slow_plugin.py"
    plugin.write_text(PLUGIN)
    return {
        "space": "chain",
        "strategy": {"regularized_evolution": {"population_size": 4, "tournament_size": 2}},
        "evaluator": {"slow": {"log": str(folder / f"{name}.log"), "go": str(folder / "go")}},
        "budget": {"trials": trials, "epochs": 2},
        "plugins": [str(plugin)],
        "run": {
            "batch": 4,
            "workers": 1 if executor == "inline" else 2,
            "executor": executor,
            "storage": str(folder / "s.sqlite"),
            "rehearse": False,
        },
    }


def started(folder):
    file = folder / "s.log"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def until(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)


def killed(ray_cluster, folder, linger):
    """Kills a driver in the middle of trials 2 and 3; returns the actors that it leaves."""
    import json

    executor = {"ray": {"address": ray_cluster.address, "linger": linger}}
    driver = subprocess.Popen([sys.executable, "-c", PROGRAM, json.dumps(plain(folder, executor))])
    try:
        until(lambda: driver.poll() is not None or {2, 3} <= set(started(folder)))
        assert driver.poll() is None, "the driver ended before it was killed"
    finally:
        driver.kill()
        driver.wait()
    return actors()


def actors():
    import ray

    return [one["name"] for one in ray.util.list_named_actors(all_namespaces=True) if "nasplug" in one["namespace"]]


def told(study):
    records = [trial.to_json() for trial in study.trials]
    for record in records:
        record.pop("seconds", None)
    return records


def test_a_resumed_search_takes_over_the_trials_that_run(ray_cluster, tmp_path):
    assert "mailbox" in killed(ray_cluster, tmp_path, 600.0)
    (tmp_path / "go").touch()
    study = run_spec(RunSpec.parse(plain(tmp_path, {"ray": {"linger": 600.0}})))
    assert sorted(started(tmp_path)) == list(range(8)), "each was trained once"
    assert actors() == []
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "go").touch()
    assert told(study) == told(run_spec(RunSpec.parse(plain(alone, "inline"))))


def test_workers_that_are_gone_are_replaced(ray_cluster, tmp_path):
    import ray

    left = killed(ray_cluster, tmp_path, 600.0)
    (lost, *_) = [name for name in left if name != "mailbox"]
    namespace = next(one["namespace"] for one in ray.util.list_named_actors(all_namespaces=True) if one["name"] == lost)
    ray.kill(ray.get_actor(lost, namespace=namespace))
    (tmp_path / "go").touch()
    study = run_spec(RunSpec.parse(plain(tmp_path, {"ray": {"linger": 600.0}})))
    assert [trial.state for trial in study.trials] == ["complete"] * 8
    again = started(tmp_path)
    assert len(again) == 9, "of the two that ran, one was trained again"
    assert actors() == []


def test_if_nobody_comes_nothing_is_left(ray_cluster, tmp_path):
    assert len(killed(ray_cluster, tmp_path, 4.0)) == 3
    until(lambda: [name for name in actors() if name != "mailbox"] == [], 60)
    until(lambda: actors() == [], 120)

"""Searches on a cluster: the trials of one process with every strategy, whatever is lost, and through any store."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import nasplug as nas
from nasplug.contract.errors import PluginError, SpecError
from nasplug.run.api import run_spec
from nasplug.run.spec import RunSpec
from nasplug.testing import SyntheticEvaluator

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

#: Every strategy of the core, and one that trains first: what it learns is a file that its trials read.
STRATEGIES = [
    "random",
    "local_search",
    {"regularized_evolution": {"population_size": 4, "tournament_size": 2}},
    {"successive_halving": {"inner": "random", "eta": 2, "min_epochs": 1, "max_epochs": 3}},
    {"asha": {"inner": "random", "eta": 2, "min_epochs": 1, "max_epochs": 3}},
    "workshop",
]
PLUGIN = Path(nas.__file__).parents[1] / "tests" / "support" / "working_plugin.py"


def spec(strategy="random", executor="inline", *, trials=9, nap=None, **run):
    evaluator = {"class_path": "nasplug.testing.SyntheticEvaluator"}
    if nap is not None:
        evaluator = {"class_path": "nasplug.testing.sleeping.SleepingEvaluator", "init_args": {"seconds": nap}}
    return RunSpec.parse(
        {
            "space": "line",
            "strategy": strategy,
            "evaluator": evaluator,
            "budget": {"trials": trials, "epochs": 3},
            "plugins": [str(PLUGIN)],
            "run": {"batch": 4, "executor": executor, **run},
        }
    )


def told(study):
    records = [trial.to_json() for trial in study.trials]
    for record in records:
        record.pop("seconds", None)
    return records


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_every_strategy_has_the_trials_of_one_process(strategy):
    assert told(run_spec(spec(strategy, "ray", workers=2))) == told(run_spec(spec(strategy)))


def test_a_study_may_come_from_one_process_and_go_on_with_a_store(tmp_path):
    evolution = STRATEGIES[2]
    file = str(tmp_path / "s.sqlite")
    run_spec(spec(evolution, trials=4, storage=file))
    store = {"ray": {"store": f"file://{tmp_path / 'share'}"}}
    resumed = run_spec(spec(evolution, store, workers=2, storage=file))
    assert told(resumed) == told(run_spec(spec(evolution)))


def test_files_of_work_come_back_through_a_store(tmp_path):
    file = str(tmp_path / "s.sqlite")
    study = run_spec(spec("workshop", {"ray": {"store": f"file://{tmp_path / 'share'}"}}, workers=2, storage=file))
    alone = run_spec(spec("workshop", storage=str(tmp_path / "alone.sqlite")))
    assert told(study) == told(alone)

    def files(one):
        return sorted(p.relative_to(one.artifacts()).as_posix() for p in one.artifacts().rglob("*") if p.is_file())

    assert files(study) == files(alone)
    assert [path for path in files(study) if path.startswith("jobs/")]


def test_killed_nodes_and_workers_lose_no_trial(ray_cluster):
    node = ray_cluster.add_node(num_cpus=4)

    class Killing(nas.Tracker):
        done = ()

        def observed(self, trial):
            if trial.number == 3:
                ray_cluster.remove_node(node, allow_graceful=False)
                self.done += ("node",)
            if trial.number == 12:
                os.kill(workers()[0], signal.SIGKILL)
                self.done += ("worker",)

    killing = Killing()
    lost = {"ray": {"retries": 2}}
    study = run_spec(spec(STRATEGIES[2], lost, trials=24, nap=0.5, workers=6, batch=8), trackers=[killing])
    assert killing.done == ("node", "worker")
    alone = run_spec(spec(STRATEGIES[2], trials=24, nap=0.0, batch=8))
    assert [trial.state for trial in study.trials] == ["complete"] * 24
    assert [(t.architecture.key, dict(t.metrics)) for t in study.trials] == [
        (t.architecture.key, dict(t.metrics)) for t in alone.trials
    ]


def workers():
    """Processes of the cluster that are workers of a search."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if line.startswith(b"ray::Worker"):
                found.append(int(folder.name))
    return found


def test_gpus_that_no_machine_has():
    with pytest.raises(SpecError, match=r"GPU 2 \(the most on one machine: 0\)"):
        run_spec(spec("random", "ray", workers=1, device="cuda", gpus=2.0))


def test_other_versions_on_a_machine_end_the_run_with_its_name(monkeypatch):
    from nasplug.run.executors import elsewhere

    mine = dict(elsewhere.versions())
    monkeypatch.setattr(elsewhere, "versions", lambda: {**mine, "numpy": "0.1"})
    with pytest.raises(PluginError, match=r"numpy is .* there and 0\.1 with the driver") as caught:
        run_spec(spec("random", "ray", workers=1))
    assert str(caught.value).startswith("worker on ")


def test_a_machine_without_the_plugin_ends_the_run_with_its_name():
    hidden = {"ray": {"runtime_env": {"env_vars": {"NASPLUG_PLUGINS": "ray"}}}}
    named = spec("random", hidden, workers=1).replace(space=nas.component("qnas.conv", nodes=3, width=0.125))
    with pytest.raises(PluginError, match=r"worker on .*\n.*no space 'qnas\.conv'"):
        run_spec(named)


class Devices(SyntheticEvaluator):
    """Answers how many GPUs a trial has."""

    @nas.hookimpl
    def evaluate(self, run):
        found = super().evaluate(run)
        return nas.Evaluation({**found.metrics, "devices": float(len(run.devices))})


def test_a_trial_on_two_gpus_has_both_as_one_placement_group(ray_cluster, tmp_path):
    import ray

    node = ray_cluster.add_node(num_cpus=4, num_gpus=2)  # which are not there, and which nobody uses
    try:
        study = run_spec(
            spec("random", "ray", trials=3, workers=2, device="cuda", gpus=2.0, storage=str(tmp_path / "s.sqlite")),
            objects={"evaluator": Devices()},
        )
        assert [trial.metrics["devices"] for trial in study.trials] == [2.0] * 3
        groups = ray.util.placement_group_table().values()
        assert {group["state"] for group in groups} == {"REMOVED"}
    finally:
        ray_cluster.remove_node(node)


def test_two_processes_of_the_cluster_train_a_network_as_two_of_this_machine(tmp_path):
    several = Path(nas.__file__).parents[1] / "tests" / "support" / "several_plugin.py"
    plain = {
        "space": "troubled",
        "task": "points",
        "budget": {"trials": 2, "epochs": 2},
        "enqueue": [[4, "none"], [8, "none"]],
        "plugins": [str(several)],
    }
    first, second = (
        run_spec(RunSpec.parse({**plain, "run": {"device": "cpu:0,1", "executor": executor}}))
        for executor in ("ray", "inline")
    )
    assert [trial.state for trial in first.trials] == ["complete"] * 2
    assert told(first) == told(second)

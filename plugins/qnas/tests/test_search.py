"""Q-NAS end to end, through nasplug's own doors, on scikit-learn's digits."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from nasplug_qnas.algorithm import SETTINGS, QNASSettings

import nasplug as nas
from nasplug.plugins.discovery import discover
from nasplug.run.assemble import compose
from nasplug.run.spec import RunSpec, read_spec
from nasplug.testing import outcome

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
EXAMPLES = Path(__file__).parents[3] / "examples"
SPEC = {
    "space": {"qnas.conv": {"nodes": 4, "width": 0.0625}},
    "strategy": {
        "qnas": {
            "evolution": {"quantum_individuals": 2, "repetition": 2},
            "hyperparameters": {"lr": [1e-3, 1e-1, "log"], "decay": [0.5, 0.99], "optimizer": "rmsprop_tf"},
        }
    },
    "task": {"qnas.classification": {"limit": 200, "batch_size": 32}},
    "objectives": {"val_acc": "max"},
    "budget": {"trials": 10, "epochs": 1},
    "run": {"batch": 4},
}


def test_a_search_on_digits_trains_reports_and_keeps_the_network(tmp_path):
    study = nas.run_spec(RunSpec.parse({**SPEC, "run": {"batch": 4, "storage": str(tmp_path / "s.sqlite")}}))
    assert [trial.state for trial in study.trials] == ["complete"] * 10
    assert [trial.proposal.info["generation"] for trial in study.trials] == [0] * 4 + [1] * 4 + [2] * 2
    assert all(1e-3 <= trial.hyperparameters["lr"] <= 1e-1 for trial in study.trials)
    assert study.network(study.best)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_two_objectives_with_a_cost():
    study = nas.run_spec(
        RunSpec.parse({**SPEC, "objectives": {"val_acc": "max", "params": "min"}, "constraints": ["params <= 20000"]})
    )
    assert len(study.trials) == 10
    assert study.pareto()


@pytest.mark.parametrize("every", [0.0, 1e9])
def test_a_resumed_search_equals_an_uninterrupted_one(every, tmp_path):
    stored = RunSpec.parse({**SPEC, "run": {"batch": 4, "storage": str(tmp_path / "s.sqlite")}})
    stop = _StopAfter(6)
    with pytest.raises(KeyboardInterrupt):
        nas.run_spec(stored, trackers=[stop], snapshot_every=every)
    whole = nas.run_spec(RunSpec.parse(SPEC))
    assert _without_files(nas.run_spec(stored)) == _without_files(whole)


@pytest.mark.slow
def test_two_workers_make_the_same_trials():
    two = RunSpec.parse({**SPEC, "run": {"batch": 4, "executor": "process", "workers": 2}})
    assert _without_files(nas.run_spec(two)) == _without_files(nas.run_spec(RunSpec.parse(SPEC)))


def test_random_search_draws_from_the_same_prior():
    spec = RunSpec.parse({**SPEC, "strategy": "random", "budget": {"trials": 2, "epochs": 1}})
    assert [trial.state for trial in nas.run_spec(spec).trials] == ["complete"] * 2


def test_the_announcement_is_light():
    code = (
        "import sys, nasplug_qnas.plugin as plugin, nasplug.plugins.catalog as c; catalog = c.Catalog();"
        "plugin.register(catalog); print([entry.kind + ' ' + entry.name for entry in catalog]);"
        "sys.exit(bool({'torch', 'numpy', 'moocore'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.replace("'", '"')) == [
        "space qnas.conv",
        "space qnas.residual",
        "space qnas.segmentation",
        "strategy qnas",
        "task qnas.classification",
        "task qnas.segmentation_task",
    ]


@pytest.mark.parametrize("name", ["qnas_digits", "qnas_fashion", "qnas_cifar2022"])
def test_examples_fit_together(name):
    data = [] if name == "qnas_digits" else ["task.init_args.data=digits"]
    assembly = compose(read_spec(EXAMPLES / f"{name}.yaml", data), discover().catalog)
    assert assembly.space.build(assembly.space.sample(np.random.default_rng(0)), assembly.task) is not None
    if name == "qnas_cifar2022":
        assert assembly.strategy.settings == SETTINGS["cifar2022"]
        assert (assembly.space.head, assembly.space.he_bias, assembly.space.norm_decay) == ("flatten", True, 0.99)


@pytest.mark.slow
def test_the_digits_example_finds_a_network(tmp_path):
    study = nas.run_spec(read_spec(EXAMPLES / "qnas_digits.yaml", [f"run.storage={tmp_path / 's.sqlite'}"]))
    assert study.best.values["val_acc"] > 0.8


def test_the_readme_states_the_settings_as_they_are():
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:6]] for line in README.splitlines() if line.startswith("| `")
    ]
    stated = {name: tuple(values) for name, *values in rows}
    for name in QNASSettings.__dataclass_fields__:
        actual = tuple(str(getattr(SETTINGS[preset], name)) for preset in ("strong", "table", "anchored", "cifar2022"))
        assert stated[name] == actual, name


@pytest.mark.slow
def test_the_python_of_the_readme_runs():
    code = re.search(r"```python\n(.*?)```", README, re.S)[1]
    exec(compile(code, "README.md", "exec"), {})


class _StopAfter(nas.Tracker):
    """Ends a run as Ctrl-C would."""

    def __init__(self, count):
        self.left = count

    def observed(self, trial):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def _without_files(study):
    left_out = ("artifacts", "checksums")
    return [{key: value for key, value in record.items() if key not in left_out} for record in outcome(study)]

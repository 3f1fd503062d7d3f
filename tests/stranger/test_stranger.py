"""A stranger's package: six kinds of components that the core has never seen, found, searched with and tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.template.test_new_plugin import install_by_hand, nasplug

PACKAGE = Path(__file__).parent / "package"
SPEC = """
space: {bonsai.trees: {branches: 3}}
task: {image_classification: {limit: 120}}
strategy: {bonsai.shears: {start: 2}}
target: pot:50
costs: [leaves, target]
callbacks: [{bonsai.wire: {bound: 0.05}}]
objectives: {val_acc: max, leaves: min}
constraints: ["pot/latency_s <= 1e-3"]
budget: {trials: 4, epochs: 1}
run: {executor: EXECUTOR, seed: 3, storage: FILE.sqlite}
"""
READ = """
import json, sys
import nasplug as nas
study = nas.load_study(sys.argv[1])
found = [
    {"key": t.architecture.key, "seed": t.seed, "state": t.state, "metrics": t.metrics, "costs": t.costs}
    for t in study.trials
]
largest = max(float(p.abs().max()) for p in study.network(study.best).parameters()) if study.trials else None
print(json.dumps({"trials": found, "largest": largest}))
"""


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    return install_by_hand(PACKAGE, tmp_path_factory.mktemp("site"))


def searched(env, folder, name, executor, *words):
    spec = folder / f"{name}.yaml"
    spec.write_text(SPEC.replace("EXECUTOR", executor).replace("FILE", name))
    done = nasplug("run", str(spec), *words, env=env, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    read = [sys.executable, "-c", READ, f"{name}.sqlite"]
    told = subprocess.run(read, env=env, cwd=folder, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def test_all_six_in_one_search(env, tmp_path):
    found = searched(env, tmp_path, "own", "bonsai.gardener")
    assert len(found["trials"]) == 4
    for trial in found["trials"]:
        assert trial["state"] == "complete"
        assert trial["costs"]["leaves"] == sum(json.loads(trial["key"]))
        assert 0 < trial["costs"]["pot/latency_s"] <= 1e-3
    assert found["largest"] <= 0.05 + 1e-6
    # Its executor gives the trials of the core's.
    assert searched(env, tmp_path, "core", "inline")["trials"] == found["trials"]
    # Without the package the study is still read, and a search says what is missing.
    plain = {key: value for key, value in env.items() if key != "PYTHONPATH"}
    read = nasplug("trials", str(tmp_path / "core.sqlite"), env=plain, cwd=tmp_path)
    assert read.returncode == 0, read.stderr
    done = nasplug("run", str(tmp_path / "core.yaml"), env=plain, cwd=tmp_path)
    assert done.returncode == 2
    assert "bonsai" in done.stderr


def test_it_is_listed_and_explained(env, tmp_path):
    listed = nasplug("plugins", env=env, cwd=tmp_path)
    assert "nasplug-bonsai 2.1.0" in listed.stdout
    told = nasplug("list", "target", "pot", env=env, cwd=tmp_path)
    assert "Finds chips by their speed" in told.stdout, told.stderr


@pytest.mark.slow
def test_every_suite_passes(env, tmp_path):
    done = nasplug("test-plugin", "bonsai", env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr

"""Killed in edited trials and resumed, a study is the one that nobody killed; fresh processes load its networks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import nasplug as nas
from nasplug.export.bundle import read_bundle

PLUGIN = Path(__file__).parents[1] / "support" / "surgery_crash_plugin.py"

#: 6 channels: 1 removed, 2 split. 8 hidden neurons: 2 removed.
WIDTH, HIDDEN = 7, 6
STEM, BLOCK = WIDTH * (9 + 1 + 2), WIDTH * (9 * WIDTH + 1 + 2)
HEAD = (4 * WIDTH + 1) * HIDDEN + (HIDDEN + 1) * 10


def command(*arguments: str, kills: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "SURGERY_KILLS"}
    environment |= {"OMP_NUM_THREADS": "1"} | ({} if kills is None else {"SURGERY_KILLS": str(kills)})
    return subprocess.run(
        [str(Path(sys.executable).with_name("nasplug")), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def specified(folder: Path, optimizer: str) -> Path:
    folder.mkdir()
    spec = {
        "task": {
            "image_classification": {
                **{"data": "digits", "limit": 120, "batch_size": 20},
                "training": {"optimizer": optimizer},
            }
        },
        "space": "residual",
        "strategy": "continued",
        "callbacks": ["cutter"],
        "objectives": {"val_acc": "max", "params": "min"},
        "budget": {"trials": 2, "epochs": 5},
        "plugins": [str(PLUGIN)],
        "run": {"storage": str(folder / "s.sqlite")},
    }
    path = folder / "s.yaml"
    path.write_text(json.dumps(spec), encoding="utf-8")
    return path


def ran(path: Path) -> None:
    done = command("run", str(path))
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module", params=["adamw"])
def folders(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of a study that nobody killed, and of one that was killed twice."""
    root = tmp_path_factory.mktemp(str(request.param))
    quiet, killed = (specified(root / name, str(request.param)) for name in ("quiet", "killed"))
    ran(quiet)
    for number in range(2):
        done = command("run", str(killed), kills=killed.parent)
        assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
        assert (killed.parent / f"killed-{number}").exists()
    ran(killed)
    return quiet.parent, killed.parent


@pytest.fixture
def studies(folders: tuple[Path, Path]) -> tuple[nas.Study, nas.Study]:
    one, other = (nas.load_study(folder / "s.sqlite", trust=True) for folder in folders)
    return one, other


@pytest.mark.slow
def test_structure_and_weights_are_those_of_the_study_that_nobody_killed(studies: tuple[nas.Study, nas.Study]) -> None:
    quiet, killed = studies
    assert [trial.state for trial in quiet.trials] == ["complete"] * 2, [trial.failure for trial in quiet.trials]
    for one, other in zip(quiet.trials, killed.trials, strict=True):
        assert one.edits == other.edits
        assert one.metrics == other.metrics
        assert one.costs == other.costs
        mine, theirs = quiet.network(one).state_dict(), killed.network(other).state_dict()
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    first, second = killed.trials
    assert [edit["do"] for edit in first.edits] == ["remove", "split"]
    assert [edit["do"] for edit in second.edits] == ["remove", "split", "drop"]
    assert [trial.costs["params"] for trial in killed.trials] == [STEM + BLOCK + HEAD, STEM + HEAD]


@pytest.mark.slow
def test_fresh_processes_export_load_and_retrain_the_structure(
    folders: tuple[Path, Path], studies: tuple[nas.Study, nas.Study]
) -> None:
    study = studies[1]
    path = folders[1] / "s.sqlite"
    images = torch.linspace(-1, 1, 2 * 64).reshape(2, 1, 8, 8)
    wanted = study.network(study.trial(1)).eval()(images)
    bundle = path.parent / "bundle"
    done = command("export", str(path), "--trust", "--trial", "1", "--out", str(bundle))
    assert done.returncode == 0, done.stderr[-2000:]
    code = f"""
import torch
from nasplug.export.bundle import read_bundle
network = read_bundle({str(bundle)!r}, trust=True).eval()
assert type(network[3]).__name__ == "Dropped"
print(network(torch.linspace(-1, 1, 128).reshape(2, 1, 8, 8)).flatten().tolist())
"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert loaded.returncode == 0, loaded.stderr[-2000:]
    assert json.loads(loaded.stdout) == wanted.flatten().tolist()
    folder = path.parent / "again"
    done = command("retrain", str(path), "--trust", "--trial", "1", "--epochs", "6", "--out", str(folder), "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    again = read_bundle(folder, trust=True)
    assert sum(value.numel() for value in again.parameters()) == STEM + HEAD
    weights = again.state_dict()
    assert not any(
        torch.equal(weights[name], value) for name, value in study.network(study.trial(1)).named_parameters()
    )

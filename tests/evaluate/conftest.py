from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import nasplug as nas


@pytest.fixture
def project(monkeypatch):
    """The user's project, importable here and in worker processes."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "support"))
    return importlib.import_module("user_project")


@pytest.fixture
def train(project):
    """Runs a small search over the user's module and data."""

    def run(*, task=None, module_args=None, data=None, trouble=("none",), **arguments) -> nas.Study:
        if task is None:
            task = nas.LightningTask(
                project.LitDigits,
                project.DigitsData(**(data or {})),
                input_shape=(1, 8, 8),
                outputs=10,
                objectives={"val_acc": "max", "val_loss": "min", "val_f1": "max", "train_loss": "min"},
                module_args=module_args,
            )
        arguments = {"trials": 1, "epochs": 2, "space": project.Widths(trouble), **arguments}
        return nas.search(task, progress=False, **arguments)

    return run

"""Objects of Python callers on their way to worker processes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import pytest

import nasplug as nas
from nasplug.contract.errors import SpecError
from nasplug.run.executors.bootstrap import _pickled

PROGRAM = """
import nasplug as nas

class Line(nas.ChoiceSpace):
    def __init__(self):
        super().__init__("line", [nas.Choice("x", (1, 2, 3))])
    def build(self, architecture, task):
        raise NotImplementedError

FACTOR = 2

class Score:
    objectives = {"score": "max"}
    @nas.hookimpl
    def evaluate(self, run):
        return nas.Evaluation({"score": float(FACTOR * run.trial.architecture.genotype[0])})

study = nas.search(space=Line(), evaluator=Score(), trials=4, workers=2, progress=False)
print(sorted({trial.metrics["score"] / trial.architecture.genotype[0] for trial in study.trials}))
"""


def run(program):
    """Runs a program that has no file, as the cells of a notebook have none."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout, done.stderr


def test_classes_without_a_file_reach_the_workers():
    code, out, err = run(PROGRAM)
    assert (code, out.strip()) == (0, "[2.0]"), err


def test_without_cloudpickle_the_advice_is_to_install_it():
    code, _, err = run(textwrap.dedent("import sys\nsys.modules['cloudpickle'] = None\n") + PROGRAM)
    assert code != 0
    assert err.count("pip install cloudpickle") == 1
    assert "workers=1" in err


class Importable:
    pass


def test_what_can_be_imported_goes_by_name():
    assert b"cloudpickle" not in _pickled({"task": Importable()})


def test_what_cannot_leave_is_named():
    class Locked:
        objectives = {"score": "max"}  # noqa: RUF012

        def __init__(self):
            self.lock = threading.Lock()

        @nas.hookimpl
        def evaluate(self, run):
            return nas.Evaluation({"score": 1.0})

    with pytest.raises(SpecError, match="'evaluator' cannot be sent to worker processes"):
        _pickled({"task": Importable(), "evaluator": Locked()})

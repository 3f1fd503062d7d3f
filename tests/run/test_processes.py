"""What a worker process has imported before it is given anything to do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nasplug.run import api, processes
from nasplug.run.processes import TRAINING, enter

#: Starts a process off the server, in an interpreter of its own: a process has one server.
START = """
from nasplug.run.processes import context, prepare
if __name__ == "__main__":
    prepare(training={training})
    process = context().Process(target=exec, args=("import sys; print([n for n in {names} if n in sys.modules])",))
    process.start()
    process.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked off a server on Linux only")
@pytest.mark.parametrize("training", [True, False])
def test_a_worker_of_a_training_starts_with_torch_imported(training):
    code = START.format(training=training, names=TRAINING)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(list(TRAINING) if training else [])


@pytest.mark.parametrize(("task", "training"), [("image_classification", True), (None, False)])
def test_a_run_with_processes_says_whether_it_trains(toy_spec, monkeypatch, task, training):
    asked = []

    def stop(*, training):
        asked.append(training)
        raise KeyboardInterrupt

    monkeypatch.setattr(processes, "prepare", stop)
    monkeypatch.setattr(api, "prepare", stop, raising=False)
    with pytest.raises(KeyboardInterrupt):
        api.run_spec(toy_spec(run={"workers": 2, "executor": "process"}, **({"task": task} if task else {})))
    assert asked == [training]


def test_a_worker_gets_the_variables_of_the_driver_and_its_share_of_the_threads(monkeypatch):
    import torch

    monkeypatch.setattr(os, "environ", {"LEFT": "over"})
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    enter({"NAME": "value"}, threads=3)
    assert os.environ == {
        "NAME": "value",
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "3"),
    }
    assert asked == [3]

"""What is refused before anything is submitted, what submitit is told, and a driver that is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from nasplug_slurm import SlurmExecutor, executor

import nasplug as nas
from nasplug.contract.errors import MissingExtraError, SpecError, StorageError
from nasplug.run.executors.launch import Resources


def launch(folder, gpus=None, device="cpu", cpus=1):
    run = SimpleNamespace(device=device)
    return SimpleNamespace(
        resources=Resources(cpus, gpus), assembly=SimpleNamespace(spec=SimpleNamespace(run=run)), folder=folder
    )


@pytest.mark.parametrize("arguments", [{"cluster": "cloud"}, {"retries": -1}, {"minutes": 0}])
def test_arguments_that_cannot_be(arguments):
    with pytest.raises(SpecError, match=next(iter(arguments))):
        SlurmExecutor(**arguments)


def test_a_machine_without_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpecError, match="no Slurm on this machine") as caught:
        SlurmExecutor()._submitit(launch(tmp_path))
    assert "cluster: local" in str(caught.value)


def test_without_submitit(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(MissingExtraError, match="pip install submitit"):
        SlurmExecutor()._submitit(launch(tmp_path))


@pytest.mark.parametrize(
    ("gpus", "device", "whole"),
    [(None, "cpu", 0), (None, "cpu:0,1", 0), (None, "cuda", 1), (None, "auto", 0), (2.0, "cuda", 2), (0, "cuda", 0)],
)
def test_gpus_of_a_worker(tmp_path, gpus, device, whole):
    assert SlurmExecutor()._gpus(launch(tmp_path, gpus, device)) == whole


def test_a_part_of_a_gpu_is_refused(tmp_path):
    with pytest.raises(SpecError, match=r"whole GPUs, not 0\.5"):
        SlurmExecutor()._gpus(launch(tmp_path, 0.5, "cuda"))


def test_what_submitit_is_told(tmp_path):
    made = SlurmExecutor("gpu", cluster="local", minutes=7, memory_gb=3, parameters={"name": "mine"})
    told = made._submitit(launch(tmp_path, 0, cpus=3))
    parameters = told._executor.parameters
    assert (parameters["timeout_min"], parameters["cpus_per_task"], parameters["mem_gb"]) == (7, 3, 3)
    assert (tmp_path / "slurm").stat().st_mode & 0o777 == 0o700


def test_a_parameter_that_submitit_does_not_know(tmp_path):
    with pytest.raises(SpecError, match="colour"):
        SlurmExecutor(cluster="local", parameters={"colour": "red"})._submitit(launch(tmp_path))


def test_the_most_telling_name_comes_first(monkeypatch):
    monkeypatch.setattr(executor.socket, "getfqdn", lambda: "login.cluster")
    monkeypatch.setattr(executor.socket, "gethostname", lambda: "login")
    assert executor._names() == ("login.cluster", "login")
    monkeypatch.setattr(executor.socket, "gethostname", lambda: "login.cluster")
    assert executor._names() == ("login.cluster",)


PROGRAM = """
import sys
import nasplug as nas
from nasplug.testing import SyntheticSpace
from nasplug.testing.sleeping import SleepingEvaluator

if __name__ == "__main__":
    executor = {"slurm": {"cluster": "local"}} if sys.argv[2] == "slurm" else "inline"
    study = nas.search(
        space=SyntheticSpace(), evaluator=SleepingEvaluator(float(sys.argv[3])), strategy="regularized_evolution",
        executor=executor, workers=2 if sys.argv[2] == "slurm" else 1, trials=10, storage=sys.argv[1], progress=False,
    )
    print([trial.architecture.key for trial in study.trials])
"""


def test_a_driver_that_is_killed_takes_its_workers_along_and_resumes(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def start(file, kind, seconds):
        words = [sys.executable, str(program), str(tmp_path / file), kind, str(seconds)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    killed = start("s.sqlite", "slurm", 1.0)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(StorageError):  # a study that has only just begun has no specification yet
            if any(trial.finished for trial in nas.load_study(tmp_path / "s.sqlite").trials):
                break
        time.sleep(0.3)
    workers = children(killed.pid)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert workers, "workers were running"
    deadline = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not [pid for pid in workers if alive(pid)], "workers noticed that the driver is gone"
    resumed, _ = start("s.sqlite", "slurm", 0.0).communicate(timeout=120)
    alone, _ = start("alone.sqlite", "inline", 0.0).communicate(timeout=60)
    assert resumed == alone
    assert alone.count(",") >= 9


def children(pid):
    out = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in out.splitlines()]
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        own = [child for child, of in pairs if of == parent]
        found += own
        todo += own
    return [child for child in found if "nasplug" in name(child) or "submitit" in name(child)]


def name(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

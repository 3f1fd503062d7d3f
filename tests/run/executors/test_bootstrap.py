"""A worker that can no longer speak ends, instead of taking further jobs."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from nasplug.contract.errors import PluginError
from nasplug.run.executors import bootstrap
from nasplug.run.executors.bootstrap import Serve


class Ended(BaseException):
    pass


class Pipe:
    """Hands out jobs, and cannot send anything but `ready`."""

    def __init__(self, jobs, silent):
        self.jobs, self.silent, self.sent = list(jobs), silent, []

    def recv(self):
        if not self.jobs:
            raise EOFError
        return self.jobs.pop(0)

    def send(self, message):
        if self.silent and message[0] == "done":
            raise OSError("Bad file descriptor")
        self.sent.append(message)


class Broken:
    def worker(self, index):
        raise PluginError(f"no worker {index}")


@pytest.fixture
def ended(monkeypatch):
    codes = []

    def end(code):
        codes.append(code)
        raise Ended

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(os, "setsid", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)
    return codes


def test_a_job_that_closed_the_pipe_ends_its_worker(ended):
    pipe = Pipe(["one", "two"], silent=True)
    with pytest.raises(Ended):
        Serve(Broken())(pipe, 0)
    assert ended == [70]
    assert pipe.jobs == ["two"], "the next job is for another worker"


def test_every_job_of_a_worker_that_cannot_be_set_up_says_so(ended):
    pipe = Pipe(["one", "two", None, "never"], silent=False)
    with pytest.raises(Ended):
        Serve(Broken())(pipe, 3)
    assert ended == [0]
    assert [kind for kind, _ in pipe.sent] == ["ready", "done", "done"]
    assert all("no worker 3" in str(value) for kind, value in pipe.sent if kind == "done")
    assert pipe.jobs == ["never"]
    assert bootstrap.Serve is Serve

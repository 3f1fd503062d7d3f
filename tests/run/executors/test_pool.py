"""Jobs go out, events come back, and no end of a process goes unnoticed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from nasplug.contract.errors import PluginError
from nasplug.run.executors.pool import Pool
from nasplug.run.processes import context


def work(pipe, index):
    """A worker whose jobs are (what to do, argument)."""
    os.setsid()
    pipe.send(("ready", None))
    while (job := pipe.recv()) is not None:
        kind, argument = job
        if kind == "echo":
            pipe.send(("message", argument))
        if kind == "sleep":
            time.sleep(argument)
        if kind == "exit":
            os._exit(argument)
        if kind == "exit once" and not Path(argument).exists():  # the argument is a file that remembers
            Path(argument).touch()
            os._exit(0)
        if kind == "half":  # a message that is cut off, while a child keeps the pipe open
            if os.fork() == 0:
                time.sleep(600)
            os.write(pipe.fileno(), b"\x00\x00\xff\xff" + b"x" * 100)
            os.kill(os.getpid(), signal.SIGKILL)
        pipe.send(("done", (index, argument)))


def unable(pipe, index):
    os._exit(5)


@pytest.fixture
def make():
    pools = []

    def pool(workers=2, target=work, **more):
        pools.append(Pool(workers, target, context(), **more))
        return pools[-1]

    yield pool
    for each in pools:
        each.close(kill=True)


def collect(pool, count):
    """Final events by key, and the messages."""
    final, messages = {}, []
    while len(final) < count:
        for event in pool.events():
            if event.kind == "message":
                messages.append((event.key, event.value))
            else:
                assert event.key not in final
                final[event.key] = (event.kind, event.value)
    return final, messages


def test_results_and_messages_carry_the_key(make):
    pool = make()
    for key in range(6):
        pool.submit(key, ("echo", key * 10))
    final, messages = collect(pool, 6)
    assert {key: (kind, value[1]) for key, (kind, value) in final.items()} == {k: ("done", k * 10) for k in range(6)}
    assert sorted(messages) == [(key, key * 10) for key in range(6)]


@pytest.mark.parametrize("code", [0, 1, 42])
def test_any_exit_code_is_noticed(make, code):
    pool = make()
    pool.submit(0, ("exit", code))
    pool.submit(1, ("echo", 1))
    final, _ = collect(pool, 2)
    assert final[0] == ("died", code)
    assert final[1][0] == "done"


def test_a_job_that_died_is_tried_again(make, tmp_path):
    pool = make()
    pool.submit(0, ("exit once", str(tmp_path / "seen")))
    assert collect(pool, 1)[0][0][0] == "done"


def test_a_message_that_is_cut_off_harms_nobody(make):
    pool = make()
    pool.submit(0, ("half", None))
    pool.submit(1, ("echo", 1))
    final, _ = collect(pool, 2)
    assert final[0][0] == "died"
    assert final[1][0] == "done"


def test_the_time_limit_counts_from_the_start_of_the_job(make):
    pool = make(workers=1)
    for key, seconds in enumerate((0.4, 30, 0.4)):
        pool.submit(key, ("sleep", seconds), 0.6)
    assert {key: kind for key, (kind, _) in collect(pool, 3)[0].items()} == {0: "done", 1: "timeout", 2: "done"}


def test_workers_that_cannot_start_end_the_run_with_the_reason(make):
    pool = make(target=unable)
    pool.submit(0, ("echo", 0))
    with pytest.raises(PluginError, match=r"(?s)before they are ready.*exit code 5"):
        collect(pool, 1)


def test_closing_waits_for_nobody_when_it_kills(make):
    pool = make()
    pool.submit(0, ("sleep", 600))
    time.sleep(0.5)
    started = time.monotonic()
    pool.close(kill=True)
    assert time.monotonic() - started < 10

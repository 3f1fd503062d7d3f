"""Lines between driver and workers: only those of the run get in, and every end of a line is noticed."""

from __future__ import annotations

import socket
import time
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client

import pytest
from nasplug_slurm.switchboard import Switchboard


@pytest.fixture
def board():
    made = Switchboard("127.0.0.1")
    yield made
    made.close()


def call(board, worker, key=None):
    line = Client(("127.0.0.1", board.port), authkey=board.key if key is None else key)
    line.send((worker, "hello", f"node{worker}"))
    return line


def heard(board, count, patience=10.0):
    found, deadline = [], time.monotonic() + patience
    while len(found) < count and time.monotonic() < deadline:
        found += board.calls(0.5)
    return found


def test_there_and_back(board):
    line = call(board, 3)
    assert heard(board, 1) == [(3, "hello", "node3")]
    board.send(3, {"job": 1})
    assert line.recv() == {"job": 1}
    line.send((3, "message", 0.5))
    line.send((3, "done", "result"))
    assert heard(board, 2) == [(3, "message", 0.5), (3, "done", "result")]


def test_the_end_of_a_line_comes_after_what_was_said(board):
    line = call(board, 0)
    heard(board, 1)
    line.send((0, "done", "result"))
    line.close()
    assert [kind for _, kind, _ in heard(board, 2)] == ["done", "gone"]
    board.send(0, "nobody hears it")
    assert board.calls(0.1) == []


def test_hanging_up_ends_the_worker(board):
    line = call(board, 0)
    heard(board, 1)
    board.hang_up(0)
    with pytest.raises(EOFError):
        line.recv()
    assert board.calls(0.2) == []


def test_strangers_are_not_let_in(board):
    with pytest.raises((AuthenticationError, EOFError, OSError)):
        call(board, 0, key=b"guess")
    assert board.calls(0.3) == []


def test_a_stranger_who_says_nothing_holds_up_nobody(board):
    with socket.create_connection(("127.0.0.1", board.port)):
        line = call(board, 1)
        assert heard(board, 1) == [(1, "hello", "node1")]
        line.close()


def test_what_a_worker_says_is_its_own_whatever_it_claims(board):
    line, other = call(board, 1), call(board, 2)
    heard(board, 2)
    line.send((2, "done", "not mine"))
    assert heard(board, 1) == [(1, "done", "not mine")]
    other.close()


def test_every_run_has_a_secret_of_its_own(board):
    other = Switchboard("127.0.0.1")
    assert other.key != board.key
    assert len(other.key) == 32
    other.close()

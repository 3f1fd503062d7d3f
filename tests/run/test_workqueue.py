"""Work is done once, kept until somebody waits for it, and handed over again after a resume."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest

from nasplug.contract.errors import SpecError
from nasplug.ledger.work import Outcome, Request, Work
from nasplug.run.workqueue import WorkQueue


class Bench:
    """A queue among parts that note what they are told; a job is done when somebody waits."""

    def __init__(self, tmp_path, before=(), separate=False):
        self.sent, self.answered, self.written = [], [], {}
        view = SimpleNamespace(work_folder=lambda key: tmp_path / key)
        ledger = SimpleNamespace(view=view, answer=self.answered.append)
        storage = SimpleNamespace(
            work=lambda: {each.key: msgspec.to_builtins(each) for each in before}, write_work=self.written.__setitem__
        )
        self.waiting = []
        self.queue = WorkQueue(ledger, storage, SimpleNamespace(separate=separate), self._send, self._wait, "searcher")

    def _send(self, job):
        self.sent.append(job.work.key)
        self.waiting.append(job)

    def _wait(self):
        job = self.waiting.pop()
        self.queue.take(Outcome(job.work.key, result=job.work.arguments))


WORK = Work("package.module:train", {"epochs": 3})
OTHER = Work("package.module:train", {"epochs": 4})


@pytest.fixture
def bench(tmp_path):
    return lambda *before, **options: Bench(tmp_path, before, **options)


def test_work_is_sent_once_and_answered_in_the_order_asked_for(bench):
    made = bench()
    for work in (WORK, OTHER, WORK):
        made.queue.start(Request(work))
    made.queue.finish([WORK.key, OTHER.key])

    assert made.sent == [WORK.key, OTHER.key]
    assert [outcome.result for outcome in made.answered] == [{"epochs": 3}, {"epochs": 4}]
    assert set(made.written) == {WORK.key, OTHER.key}


def test_what_was_done_before_is_not_sent(bench):
    made = bench(Outcome(WORK.key, result="old"))
    made.queue.start(Request(WORK))
    made.queue.finish([WORK.key])

    assert made.sent == []
    assert [outcome.result for outcome in made.answered] == ["old"]


def test_work_that_lost_a_file_is_done_again(bench):
    made = bench(Outcome(WORK.key, result="old", checksums={"weights": "0" * 64}))
    assert not made.queue.restorable([WORK.key])
    made.queue.start(Request(WORK))
    made.queue.finish([WORK.key])

    assert made.sent == [WORK.key]
    assert made.answered[0].result == {"epochs": 3}


def test_a_resume_hands_over_what_is_there_and_says_what_is_not(bench):
    made = bench(Outcome(WORK.key, result="old"))
    assert made.queue.restorable([WORK.key])
    assert not made.queue.restorable([WORK.key, OTHER.key])
    made.queue.restore([WORK.key])

    assert [outcome.result for outcome in made.answered] == ["old"]


def test_a_time_limit_needs_processes(bench):
    limited = msgspec.structs.replace(WORK, time_limit=5.0)
    with pytest.raises(SpecError, match="work of strategy 'searcher'"):
        bench().queue.start(Request(limited))
    with pytest.raises(SpecError, match="work of surgeon"):
        bench().queue.start(Request(limited), "surgeon")
    made = bench(separate=True)
    made.queue.start(Request(limited))
    assert made.sent == [limited.key]

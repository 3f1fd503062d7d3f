"""The driver takes from an executor the first result of every job, and nothing else."""

from __future__ import annotations

import pickle

import pytest

from nasplug.contract.errors import PluginError
from nasplug.contract.records import Architecture, Measurement, Proposal, Trial
from nasplug.ledger.work import Outcome, Work
from nasplug.plugins.manager import Manager
from nasplug.run.answers import Answers
from nasplug.run.jobs import Job


def trial(number, key="a", state="waiting", seed=3):
    return Trial(number, Proposal(Architecture("s", (key,), key)), state, seed=seed)


class Scripted:
    """Returns what it is told to, one list after the other."""

    separate = True

    def __init__(self, *answers):
        self.answers, self.jobs, self.closed = list(answers), [], None

    def start(self, launch):
        self.launch = launch

    def submit(self, job):
        self.jobs.append(job)

    def finished(self):
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self, *, kill=False):
        self.closed = kill


def answers(*scripted):
    return Answers(Scripted(*scripted), "cluster", Manager())


def test_each_job_is_answered_once():
    done = [trial(number, state="complete") for number in range(2)]
    found = answers([done[1], done[1]], [done[0], done[1]], [done[0]])
    for number in range(2):
        found.submit(Job(trial(number)))
    assert [found.finished() for _ in range(3)] == [[done[1]], [done[0]], []]


def test_a_job_that_is_submitted_again_is_answered_again():
    done = trial(0, state="complete")
    found = answers([done], [done])
    for _ in range(2):
        found.submit(Job(trial(0)))
        assert found.finished() == [done]


def test_work_is_answered_by_its_key():
    work = Work("a:b", {"c": 1})
    outcome = Outcome(work.key, 3)
    found = answers([outcome], [Outcome("other", 1)])
    found.submit(Job(None, work))
    assert found.finished() == [outcome]
    with pytest.raises(PluginError, match=r"executor 'cluster': answered work 'other', which was not submitted"):
        found.finished()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "finished returns a list"),
        (["done"], "finished returns a list"),
        ([trial(7, state="complete")], "answered trial 7, which was not submitted"),
        ([trial(0)], r"before it was finished[\s\S]*'waiting'"),
        ([trial(0, "b", "complete")], r"with another trial[\s\S]*'a' with seed 3 was asked, 'b' with seed 3 came"),
        ([trial(0, "a", "complete", 4)], "with another trial"),
        (ValueError("boom"), "finished: raised ValueError: boom"),
        (SystemExit(0), "finished: raised SystemExit"),
    ],
)
def test_anything_else_is_the_fault_of_the_executor_by_name(answer, message):
    found = answers(answer)
    found.submit(Job(trial(0)))
    with pytest.raises(PluginError, match=rf"executor 'cluster'[\s\S]*{message}"):
        found.finished()


def test_a_rehearsal_is_answered_by_any_of_its_trials():
    tried = (trial(-1, "a"), trial(-1, "b"))
    found = answers([trial(-1, "b", "complete")])
    found.submit(Job(tried[0], rehearsal=tried))
    assert found.finished()[0].architecture.key == "b"


def test_what_the_listener_raises_is_passed_on_as_it_is():
    """A caller's own tracker may want to end the run."""
    stop = RuntimeError("enough")

    class Talking(Scripted):
        def finished(self):
            found.heard(0, "message")

    def listen(key, message):
        raise stop

    found = Answers(Talking(), "cluster", Manager())
    found.start("launch", listen)
    with pytest.raises(RuntimeError, match="enough") as raised:
        found.finished()
    assert raised.value is stop


def test_the_rest_is_the_executors():
    inner = Scripted()
    found = Answers(inner, "cluster", Manager())
    found.start("launch", print)
    found.close(kill=True)
    assert (found.separate, inner.launch, inner.closed) == (True, "launch", True)


def test_an_answer_from_another_process_shares_what_it_has_in_common():
    asked = [trial(number) for number in range(2)]
    measured = (Measurement(1, {"score": 0.5}),)
    done = [
        one.with_(state="complete", metrics={"score": 1.0}, costs={"size": 2.0}, measurements=measured) for one in asked
    ]
    found = answers([pickle.loads(pickle.dumps(one)) for one in done])
    for one in asked:
        found.submit(Job(one))
    got = found.finished()
    assert got == done
    assert all(answer.proposal is one.proposal for answer, one in zip(got, asked, strict=True))
    names = [{id(name) for name in answer.metrics} for answer in got]
    assert names[0] == names[1]
    assert {id(name) for name in got[0].measurements[0].metrics} == names[0]

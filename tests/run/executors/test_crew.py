"""A crew decides who gets which job, what is tried again, and what has failed."""

from __future__ import annotations

import pytest

from nasplug.contract.errors import PluginError
from nasplug.run.executors import crew
from nasplug.run.executors.crew import Crew, Report


class Hands:
    """An engine whose workers are ready at once, and do what the test says."""

    def __init__(self, ready=True):
        self.ready, self.reports, self.sent, self.ended, self.closed = ready, [], [], [], None
        self.started = 0
        self.kept = {}

    def start(self):
        self.started += 1
        if self.ready:
            self.reports.append(Report(self.started, "ready"))
        return self.started

    def claim(self, job):
        return self.kept.pop(job, None)

    def send(self, worker, job):
        self.sent.append((worker, job))

    def poll(self, seconds):
        reports, self.reports = self.reports, []
        return reports

    def end(self, worker):
        self.ended.append(worker)

    def close(self, *, kill):
        self.closed = kill

    def say(self, worker, kind, value=None):
        self.reports.append(Report(worker, kind, value))


@pytest.fixture
def hands():
    return Hands()


def settle(team):
    """Lets the crew take what there is, without waiting for the end of a job."""
    while reports := team._hands.poll(0):
        for report in reports:
            assert team._take(report) == []
        team._schedule()


def test_no_more_jobs_are_out_than_there_are_workers(hands):
    team = Crew(hands, 2)
    for key in range(5):
        team.submit(key, f"job {key}")
    settle(team)
    assert hands.started == 2
    assert hands.sent == [(1, "job 0"), (2, "job 1")]
    hands.say(2, "done", "result")
    (event,) = team.events()
    assert (event.key, event.kind, event.value) == (1, "done", "result")
    assert hands.sent[2:] == [(2, "job 2")]


def test_workers_start_as_they_are_needed(hands):
    team = Crew(hands, 8)
    team.submit(0, "job")
    settle(team)
    assert hands.started == 1
    hands.say(1, "done")
    team.events()
    team.submit(1, "next")
    assert hands.started == 1, "the idle one takes it"


def test_messages_carry_the_key_of_their_job(hands):
    team = Crew(hands, 1)
    team.submit("work", "job")
    settle(team)
    hands.say(1, "message", 0.5)
    assert [(event.key, event.kind, event.value) for event in team.events()] == [("work", "message", 0.5)]


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_lost_job_is_tried_again_on_another_worker_first_of_all(hands, retries):
    team = Crew(hands, 1, retries=retries)
    team.submit(0, "lost")
    team.submit(1, "later")
    for attempt in range(retries):
        settle(team)
        assert hands.sent[-1] == (attempt + 1, "lost")
        hands.say(attempt + 1, "lost", f"machine {attempt}")
    settle(team)
    hands.say(retries + 1, "lost", "the last machine")
    (event,) = team.events()
    assert (event.key, event.kind, event.value) == (0, "died", (retries + 1, "the last machine"))
    settle(team)
    assert hands.sent[-1] == (retries + 2, "later")


def test_what_a_worker_said_before_it_was_ended_counts_for_nothing(hands, monkeypatch):
    team = Crew(hands, 1)
    team.submit(0, "slow", time_limit=0.0)
    settle(team)
    (event,) = team.events()
    assert (event.kind, event.value, hands.ended) == ("timeout", 0.0, [1])
    team.submit(1, "next")
    hands.say(1, "done", "too late")
    settle(team)
    assert hands.sent[-1] == (2, "next")


def test_a_job_within_its_limit_is_left_alone(hands):
    team = Crew(hands, 1)
    team.submit(0, "quick", time_limit=60.0)
    settle(team)
    hands.say(1, "done", 1)
    assert [event.kind for event in team.events()] == ["done"]
    assert hands.ended == []


def test_workers_that_never_become_ready_end_the_run():
    hands = Hands(ready=False)
    team = Crew(hands, 1)
    team.submit(0, "job")
    for number in range(1, crew.STARTS):
        hands.say(number, "lost", "no such image")
        settle(team)
    hands.say(crew.STARTS, "lost", "no such image")
    with pytest.raises(PluginError, match="no such image"):
        team.events()


def test_losses_of_idle_workers_are_no_failed_starts(hands):
    team = Crew(hands, 1)
    for key in range(2 * crew.STARTS):
        team.submit(key, "job")
        settle(team)
        hands.say(hands.started, "done")
        team.events()
        hands.say(hands.started, "lost", "spot instance")
        settle(team)
    assert hands.started == 2 * crew.STARTS


def test_closing_passes_on_whether_to_kill(hands):
    team = Crew(hands, 2)
    team.submit(0, "job")
    team.close(kill=True)
    assert hands.closed is True
    settle(team)
    assert hands.sent == []


def test_a_worker_of_an_earlier_driver_ends_with_the_job_it_was_found_with(hands):
    hands.kept["kept"] = 70
    team = Crew(hands, 1)
    team.submit(0, "kept")
    team.submit(1, "next")
    settle(team)
    assert (hands.started, hands.sent) == (0, []), "it takes the place of a worker, and is sent nothing"
    hands.say(70, "done", "result")
    (event,) = team.events()
    assert (event.key, event.kind, event.value) == (0, "done", "result")
    settle(team)
    assert (hands.ended, hands.sent) == ([70], [(1, "next")])


def test_a_worker_of_an_earlier_driver_may_be_lost_as_others(hands):
    hands.kept["kept"] = 70
    team = Crew(hands, 1)
    team.submit(0, "kept")
    hands.say(70, "lost", "its machine is gone")
    settle(team)
    assert hands.sent == [(1, "kept")]

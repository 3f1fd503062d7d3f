"""What a job reads goes out, what it wrote comes back, and nothing travels twice."""

from __future__ import annotations

import pytest

from nasplug.contract.records import Architecture, Proposal, Trial
from nasplug.run.executors.stores import SharedFolder, UrlStore
from nasplug.run.executors.travel import Inbound, Outbound, read_by
from nasplug.run.jobs import Job


def trial(number):
    return Trial(number, Proposal(Architecture("line", (number,), str(number))), seed=number)


def write(root, name, text="x"):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


class Counting(UrlStore):
    def __init__(self, url):
        super().__init__(url, "study")
        self.put_names, self.got_names = [], []

    def put(self, root, names):
        self.put_names += names
        super().put(root, names)

    def get(self, root, names):
        self.got_names += names
        super().get(root, names)


@pytest.fixture
def store(tmp_path):
    return Counting(f"file://{tmp_path / 'share'}")


def test_a_job_reads_its_own_files_its_parents_and_those_of_work():
    assert read_by(Job(trial(3), parent=trial(1))) == ["trial-00003", "trial-00001", "jobs"]
    assert read_by(Job(trial(0))) == ["trial-00000", "jobs"]


def test_there_and_back(store, tmp_path):
    driver, worker = tmp_path / "driver", tmp_path / "worker"
    write(driver, "trial-00001/weights.bin", "parent")
    write(driver, "trial-00002/weights.bin", "a stranger's")
    write(driver, "jobs/k/supernet.bin", "work")
    job = Job(trial(3), parent=trial(1))
    outbound, inbound = Outbound(store, driver), Inbound(store, worker)
    outbound.offer(job)
    assert sorted(store.put_names) == ["jobs/k/supernet.bin", "trial-00001/weights.bin"]
    inbound.bring(job)
    assert (worker / "trial-00001/weights.bin").read_text() == "parent"
    assert not (worker / "trial-00002").exists()
    write(worker, "trial-00003/weights.bin", "child")
    write(worker, "logs/trial-00003/metrics.csv", "1")
    names = inbound.deliver()
    assert sorted(names) == ["logs/trial-00003/metrics.csv", "trial-00003/weights.bin"]
    outbound.collect(names)
    assert (driver / "trial-00003/weights.bin").read_text() == "child"


def test_nothing_travels_twice(store, tmp_path):
    driver, worker = tmp_path / "driver", tmp_path / "worker"
    write(driver, "trial-00001/weights.bin")
    job = Job(trial(3), parent=trial(1))
    outbound, inbound = Outbound(store, driver), Inbound(store, worker)
    for _ in range(3):
        outbound.offer(job)
        inbound.bring(job)
        assert inbound.deliver() == []
    assert store.put_names == ["trial-00001/weights.bin"]
    assert store.got_names == ["trial-00001/weights.bin"]
    again = Counting(store.url)  # a driver that starts anew looks what there is
    Outbound(again, driver).offer(job)
    assert again.put_names == []


def test_a_trial_that_lost_its_machine_finds_the_stages_it_had_finished(store, tmp_path):
    first, second = Inbound(store, tmp_path / "first"), Inbound(store, tmp_path / "second")
    first.bring(Job(trial(0)))
    write(tmp_path / "first", "trial-00000/stage.json", "done")
    first.deliver()
    second.bring(Job(trial(0)))
    assert (tmp_path / "second/trial-00000/stage.json").read_text() == "done"


def test_a_shared_folder_sends_nothing(tmp_path):
    write(tmp_path, "trial-00000/weights.bin")
    inbound = Inbound(SharedFolder(), tmp_path)
    inbound.bring(Job(trial(0)))
    write(tmp_path, "trial-00000/more.bin")
    assert inbound.deliver() == []

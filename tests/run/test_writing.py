"""When trials are written: running ones while somebody can look, quick ones once, and never with a gap."""

from __future__ import annotations

import time

import pytest

import nasplug as nas
from nasplug.contract.errors import StorageError
from nasplug.ledger.sqlite import SQLiteStorage
from nasplug.testing.search import Interrupted, outcome, run_search


class Looking:
    """An evaluator that looks into the study file while its trial runs."""

    objectives = {"score": "max"}  # noqa: RUF012

    def __init__(self, path, seconds=0.0, report=False):
        self.path, self.seconds, self.report, self.seen = path, seconds, report, []

    @nas.hookimpl
    def evaluate(self, run):
        time.sleep(self.seconds)
        if self.report:
            run.report(nas.Measurement(1, {"score": 0.5}))
        reader = SQLiteStorage(self.path, writable=False)
        try:
            self.seen.append([trial.state for trial in reader.trials()])
        finally:
            reader.close()
        return nas.Evaluation({"score": float(run.number)})


def _search(evaluator, path, **more):
    return run_search("random", evaluator=evaluator, objectives={"score": "max"}, storage=path, trials=6, **more)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_slow_trial_is_in_the_file_while_it_runs(tmp_path, batch):
    evaluator = Looking(tmp_path / "s.sqlite", seconds=0.06)
    _search(evaluator, evaluator.path, batch=batch)
    assert [len(states) for states in evaluator.seen] == [min(number + batch, 6) for number in range(6)]
    assert all(states[number] == "waiting" for number, states in enumerate(evaluator.seen))


@pytest.mark.parametrize("batch", [1, 3])
def test_a_quick_trial_is_written_once_when_it_is_finished(tmp_path, batch):
    evaluator = Looking(tmp_path / "s.sqlite")
    study = _search(evaluator, evaluator.path, batch=batch)
    first = batch  # nothing is known of the time before the first result
    assert [len(states) for states in evaluator.seen] == [max(first, number) for number in range(6)]
    assert outcome(nas.load_study(evaluator.path)) == outcome(study)


def test_a_quick_trial_that_reports_is_in_the_file(tmp_path):
    evaluator = Looking(tmp_path / "s.sqlite", report=True)
    _search(evaluator, evaluator.path, batch=1)
    assert [len(states) for states in evaluator.seen] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("every", [0, 1000])
@pytest.mark.parametrize("shuffle", range(4))
def test_the_file_never_has_a_gap_however_trials_finish(tmp_path, shuffle, every):
    whole = outcome(run_search("regularized_evolution", trials=24, batch=5, snapshot_every=every))
    path = tmp_path / "s.sqlite"
    for stop in (3, 10, 17):
        with pytest.raises(Interrupted):
            run_search("regularized_evolution", trials=24, batch=5, shuffle=shuffle, storage=path, stop_after=stop,
                   snapshot_every=every)  # fmt: skip
        reader = SQLiteStorage(path, writable=False)
        assert [trial.number for trial in reader.trials()] == list(range(len(reader.trials())))
        reader.close()
    ended = run_search("regularized_evolution", trials=24, batch=5, shuffle=shuffle, storage=path, snapshot_every=every)
    assert outcome(ended) == whole


def test_a_full_disk_while_one_trial_is_written_says_so_and_changes_nothing(tmp_path):
    path = tmp_path / "s.sqlite"
    study = run_search("random", trials=3, batch=1, storage=path)
    store = SQLiteStorage(path)
    more = study.trials[0].with_(number=3, reason="x" * 10_000)
    store._connection.execute("PRAGMA max_page_count = 1")

    def fill():
        for number in range(3, 400):
            store.write([more.with_(number=number)])

    with pytest.raises(StorageError, match="all earlier trials are safe"):
        fill()
    store._connection.execute("PRAGMA max_page_count = 1000000")
    count = len(store.trials())
    store.write([more.with_(number=count)])
    assert len(store.trials()) == count + 1
    store.close()
    assert len(SQLiteStorage(path, writable=False).trials()) == count + 1

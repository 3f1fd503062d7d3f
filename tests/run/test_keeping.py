"""Retention: files of trials that are neither best nor on the front any more are deleted, and nothing else changes."""

from __future__ import annotations

from typing import ClassVar

import pytest

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import SpecError
from nasplug.ledger import pareto
from nasplug.run.keeping import read_keep


class Writer:
    """Writes a file of weights for every trial; two objectives that disagree."""

    objectives: ClassVar = {"score": "max", "size": "min"}

    @nas.hookimpl
    def evaluate(self, run):
        genes = run.trial.architecture.genotype
        for name in ("weights", "checkpoint"):
            (run.folder / name).write_text(run.trial.architecture.key)
        score = sum(gene == "a" for gene in genes) + run.trial.seed % 100 / 1000
        artifacts = {name: run.artifact(run.folder / name) for name in ("weights", "checkpoint")}
        return nas.Evaluation({"score": score, "size": float(len(set(genes)))}, artifacts=artifacts)


class FromWeights:
    """Starts every trial from the weights of the first one."""

    @nas.hookimpl
    def propose(self, study, count):
        weights_of = study.trials[0] if study.trials else None
        architecture = study.space.sample(study.rng("from", study.proposed))
        return [study.proposal(architecture, weights_of=weights_of)]


def _search(tmp_path, toy_path, keep, *, trackers=(), **keys):
    keys.setdefault("strategy", nas.component("random", distinct=False))
    return nas.search(
        space=nas.component("toy", edges=3),
        evaluator=Writer(),
        objectives={"score": "max", "size": "min"},
        storage=tmp_path / f"{keep.replace(' ', '-')}.sqlite",
        keep=keep,
        trackers=trackers,
        plugins=[toy_path],
        progress=False,
        **{"trials": 60, **keys},
    )


def _results(study):
    fields = ("seconds", "artifacts", "checksums", "dropped")
    records = [trial.to_json() for trial in study.trials]
    return [{name: value for name, value in record.items() if name not in fields} for record in records]


def _with_files(study):
    found = {int(path.parent.name.removeprefix("trial-")) for path in study.artifacts().glob("trial-*/weights")}
    recorded = {trial.number for trial in study.trials if "weights" in trial.artifacts and trial.copied_from is None}
    assert found == recorded
    return found


def test_the_best_stay(tmp_path, toy_path):
    everything, best = (_search(tmp_path, toy_path, keep) for keep in ("all", "best 3"))
    assert _results(everything) == _results(best)
    ranked = sorted(everything.candidates(), key=lambda t: pareto.best_key(t, everything.objectives), reverse=True)
    wanted = {trial.number if trial.copied_from is None else trial.copied_from for trial in ranked[:3]}
    assert wanted <= _with_files(best)
    assert len(_with_files(best)) <= 3
    assert len(_with_files(everything)) > 20
    for trial in best.trials:
        assert bool(trial.dropped) != bool(trial.artifacts)
    assert main(["verify", str(tmp_path / "best-3.sqlite")]) == 0
    assert list(nas.load_study(tmp_path / "best-3.sqlite").trials) == list(best.trials)


def test_the_front_stays(tmp_path, toy_path):
    everything, front = (_search(tmp_path, toy_path, keep) for keep in ("all", "front"))
    wanted = {t.number if t.copied_from is None else t.copied_from for t in everything.pareto()}
    assert wanted <= _with_files(front)
    assert len(_with_files(front)) < len(_with_files(everything))
    assert main(["verify", str(tmp_path / "front.sqlite")]) == 0


class _PowerCut(nas.Tracker):
    def __init__(self, after):
        self.after = after

    def observed(self, trial):
        if trial.number == self.after:
            raise RuntimeError("power cut")


@pytest.mark.parametrize("after", [0, 7, 30, 58])
def test_an_interrupted_run_keeps_the_same(tmp_path, toy_path, after):
    (tmp_path / "quiet").mkdir()
    quiet = _search(tmp_path / "quiet", toy_path, "best 3")
    with pytest.raises(RuntimeError, match="power cut"):
        _search(tmp_path, toy_path, "best 3", trackers=[_PowerCut(after)])
    resumed = _search(tmp_path, toy_path, "best 3")
    assert _results(resumed) == _results(quiet)
    assert _with_files(resumed) == _with_files(quiet)


def test_checkpoints_of_a_strategy_that_continues_stay(tmp_path, toy_path):
    study = _search(tmp_path, toy_path, "best 1", strategy="asha", epochs=4, trials=20)
    complete = [trial for trial in study.trials if trial.state == "complete" and trial.copied_from is None]
    assert all("checkpoint" in trial.artifacts for trial in complete)
    assert sum("weights" in trial.artifacts for trial in complete) < len(complete)
    assert main(["verify", str(tmp_path / "best-1.sqlite")]) == 0


def test_a_strategy_that_starts_from_deleted_weights_is_refused(tmp_path, toy_path):
    with pytest.raises(SpecError, match=r"(?s)weights of trial 0, which were deleted.*keep: all"):
        _search(tmp_path, toy_path, "best 1", strategy=FromWeights(), batch=1)


def test_what_to_keep_is_read(tmp_path, toy_path):
    assert (read_keep("all"), read_keep("front"), read_keep("best 10")) == (None, 0, 10)
    for text in ("best", "best 0", "best -1", "none", "best ten", ""):
        with pytest.raises(SpecError, match="write all, front, or best N"):
            read_keep(text)


class FromTheWorst:
    """Starts every trial from the weights of the worst one so far, and says so."""

    def worst(self, study):
        return min(study.trials, key=lambda trial: trial.metrics["score"], default=None)

    def needs_weights(self, study):
        worst = self.worst(study)
        return [] if worst is None else [worst.number]

    @nas.hookimpl
    def propose(self, study, count):
        architecture = study.space.sample(study.rng("worst", study.proposed))
        return [study.proposal(architecture, weights_of=self.worst(study))]


def test_what_the_strategy_still_needs_stays(tmp_path, toy_path):
    study = _search(tmp_path, toy_path, "best 1", strategy=FromTheWorst(), trials=20)
    kept = [trial for trial in study.trials if "weights" in trial.artifacts]
    scores = [trial.metrics["score"] for trial in study.trials]
    assert {trial.metrics["score"] for trial in kept} == {min(scores), max(scores)}
    assert all(trial.state == "complete" for trial in study.trials)


class OnceMore:
    """Proposes six architectures, then the worst of them again, and wants the weights of that last trial.

    Args:
        foreseen: Whether it said all the time which one that would be.
    """

    def __init__(self, foreseen):
        self.foreseen = foreseen

    def worst(self, study):
        return min(study.trials[:6], key=lambda trial: trial.metrics["score"])

    def needs_weights(self, study):
        if len(study.trials) > 6:
            return [6]
        return [self.worst(study).number] if self.foreseen and study.trials else []

    @nas.hookimpl
    def propose(self, study, count):
        if study.proposed > 6:
            return []
        if study.proposed < 6:
            genotype = tuple("a" if position < study.proposed % 4 else "b" for position in range(3))
            return [study.proposal(study.space.architecture(genotype), round=study.proposed // 4)]
        return [study.proposal(self.worst(study).architecture)]


def _best_1(tmp_path, toy_path, foreseen, trials=7, **keys):
    return _search(tmp_path, toy_path, "best 1", strategy=OnceMore(foreseen), trials=trials, batch=1, **keys)


def test_a_copy_that_the_strategy_needs_keeps_the_files_of_its_source(tmp_path, toy_path):
    study = _best_1(tmp_path, toy_path, foreseen=True)
    last = study.trials[6]
    assert last.copied_from is not None
    assert (study.artifacts() / last.artifacts["weights"]).is_file()
    assert main(["verify", str(tmp_path / "best-1.sqlite")]) == 0


def test_what_is_proposed_again_after_its_files_went_is_trained_again_with_the_same_seed(tmp_path, toy_path):
    study = _best_1(tmp_path, toy_path, foreseen=False)
    last = study.trials[6]
    first = next(trial for trial in study.trials if trial.proposal.identity() == last.proposal.identity())
    assert first.number < 6
    assert first.dropped
    assert last.copied_from is None
    assert (last.seed, last.metrics) == (first.seed, first.metrics)
    assert (study.artifacts() / last.artifacts["weights"]).is_file()
    assert main(["verify", str(tmp_path / "best-1.sqlite")]) == 0


@pytest.mark.parametrize("foreseen", [True, False])
@pytest.mark.parametrize("after", [3, 5, 6])
def test_an_interrupted_run_copies_and_trains_again_alike(tmp_path, toy_path, foreseen, after):
    (tmp_path / "quiet").mkdir()
    quiet = _best_1(tmp_path / "quiet", toy_path, foreseen)
    with pytest.raises(RuntimeError, match="power cut"):
        _best_1(tmp_path, toy_path, foreseen, trackers=[_PowerCut(after)])
    resumed = _best_1(tmp_path, toy_path, foreseen)
    assert _results(resumed) == _results(quiet)
    assert _with_files(resumed) == _with_files(quiet)

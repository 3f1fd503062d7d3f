"""Seeds that a strategy names (C7): pairs of architectures, repetitions, and what is a repetition of what."""

from __future__ import annotations

import pytest

import nasplug as nas
from nasplug.contract.errors import PluginError
from nasplug.run.api import run_spec

A, B = [0, 1, 2, 3], [3, 2, 1, 0]


def given(working, pairs, **keys):
    evaluator = {"seeds": {"log": keys.pop("log", "")}}
    return run_spec(working({"given": {"pairs": pairs}}, evaluator=evaluator, trials=len(pairs), **keys))


@pytest.mark.parametrize("run", [{}, {"executor": "process", "workers": 2}], ids=["inline", "process"])
def test_equal_seeds_pair_two_architectures(working, run):
    study = given(working, [(A, 5), (B, 5), (A, None), (B, 6)], run=run)
    first, second, derived, other = study.trials
    assert first.seed == second.seed == 5
    assert first.metrics == second.metrics
    assert len({trial.metrics["score"] for trial in (first, derived, other)}) == 3
    assert len({trial.metrics["own"] for trial in (first, derived, other)}) == 3


def test_one_architecture_with_other_seeds_is_repeated_and_with_the_same_one_copied(working, tmp_path):
    log = tmp_path / "log"
    study = given(working, [(A, 1), (A, 2), (A, 1), (A, None), (A, None)], log=str(log))
    assert [trial.copied_from for trial in study.trials] == [None, None, 0, None, 3]
    assert log.read_text().split() == ["0", "1", "3"]
    assert study.trials[2].metrics == study.trials[0].metrics
    again = given(working, [(A, 1), (A, 1)], run={"remeasure": True})
    assert [trial.copied_from for trial in again.trials] == [None, None]
    assert again.trials[0].metrics == again.trials[1].metrics


def test_the_seed_is_part_of_the_identity():
    architecture = nas.Architecture("s", ("a",), "a")
    identities = {nas.Proposal(architecture, seed=seed).identity() for seed in (None, 0, 1)}
    assert len(identities) == 3
    assert nas.Proposal.from_json(nas.Proposal(architecture, seed=0).to_json()).seed == 0


@pytest.mark.parametrize("seed", [-1, 2**31, 1.0, True, "1"])
def test_what_no_generator_takes_is_refused(working, seed):
    class Odd:
        @nas.hookimpl
        def propose(self, study, count):
            return [nas.Proposal(study.space.from_vector(A), seed=seed)]

    with pytest.raises(PluginError, match="proposed the seed"):
        run_spec(working("random", evaluator="seeds"), objects={"strategy": Odd()})


@pytest.mark.parametrize("pairs", [[(A, 5), (B, 5), (A, 6), (B, 6)]])
def test_a_seed_goes_through_a_nested_study_and_on_to_promotions(working, pairs):
    strategy = {"successive_halving": {"inner": {"given": {"pairs": pairs}}, "eta": 2, "size": 4, "max_epochs": 3}}
    study = run_spec(working(strategy, trials=7))
    assert [trial.seed for trial in study.trials[:4]] == [5, 5, 6, 6]
    promoted = study.trials[4:]
    assert promoted
    for trial in promoted:
        assert trial.seed == study.trial(trial.proposal.parent).seed


def test_two_networks_see_the_same_batches_in_the_same_order(monkeypatch):
    """The order of the data and the numbers drawn in training depend on the seed and not on the architecture."""
    pl = pytest.importorskip("pytorch_lightning")
    import importlib
    from pathlib import Path

    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "support"))
    project = importlib.import_module("user_project")
    orders = {}

    class Watch:
        @nas.hookimpl
        def configure_callbacks(self, run):
            seen = orders.setdefault(run.number, [])

            class Order(pl.Callback):
                def on_train_batch_start(self, trainer, module, batch, index):
                    seen.append(tuple(batch[1].tolist()))

            return [Order()]

    class Pair:
        @nas.hookimpl
        def propose(self, study, count):
            plan = [([4, "relu", "none"], 1), ([16, "tanh", "none"], 1), ([4, "relu", "none"], 2)]
            some = plan[study.proposed : study.proposed + count]
            return [study.proposal(study.space.architecture(genotype), seed=seed) for genotype, seed in some]

    task = nas.LightningTask(project.LitDigits, project.DigitsData(), input_shape=(1, 8, 8), outputs=10)
    nas.search(task, space=project.Widths(), strategy=Pair(), callbacks=[Watch()], trials=3, epochs=1, progress=False)
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]

"""The strategy `repeat`: given networks, each time with a fresh seed."""

from __future__ import annotations

import pytest

from nasplug.builtin.repeat import Repeat
from nasplug.contract.errors import SpecError
from nasplug.testing import SyntheticEvaluator, run_search
from nasplug.testing.search import Interrupted

A = {"genotype": ["wide"] * 6, "trial": 7}
B = {"genotype": ["skip"] * 6, "hyperparameters": {"lr": 0.1}, "epochs": 2}


def run(**more):
    return run_search(Repeat([A, B], times=3), evaluator=SyntheticEvaluator(noise=0.1), trials=50, **more)


def test_every_network_in_turn_and_then_the_end():
    study = run()
    assert [trial.proposal.info["of"] for trial in study.trials] == [7, 1] * 3
    assert [trial.proposal.info["repeat"] for trial in study.trials] == [0, 0, 1, 1, 2, 2]
    assert [trial.architecture.genotype[0] for trial in study.trials] == ["wide", "skip"] * 3
    assert dict(study.trials[1].hyperparameters) == {"lr": 0.1}
    assert study.budget_of(study.trials[1]).epochs == 2
    assert all(trial.copied_from is None for trial in study.trials)


def test_every_training_has_a_seed_of_its_own():
    study = run()
    assert len({trial.seed for trial in study.trials}) == 6
    assert len({trial.values["val_acc"] for trial in study.trials}) == 6
    assert len({trial.seed for trial in [*study.trials, *run(seed=1).trials]}) == 12


def test_the_same_for_any_batch_and_after_an_end(tmp_path):
    whole = [(trial.architecture, trial.seed) for trial in run(batch=1).trials]
    assert [(trial.architecture, trial.seed) for trial in run(batch=5).trials] == whole
    with pytest.raises(Interrupted):
        run(storage=tmp_path / "s.sqlite", stop_after=3, snapshot_every=0)
    resumed = run(storage=tmp_path / "s.sqlite")
    assert [(trial.architecture, trial.seed) for trial in resumed.trials] == whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"networks": []}, "nothing to repeat"),
        ({"networks": [A], "times": 0}, "times of 1 or more"),
        ({"networks": [A, {"gene": 1}]}, r"networks\[1\][\s\S]*genotype"),
        ({"networks": [{**A, "seed": 1}]}, r"networks\[0\]"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(SpecError, match=message):
        Repeat(**arguments)

"""Search by an ensemble of predictors."""

from __future__ import annotations

import pytest

from nasplug.builtin.bananas import Bananas
from nasplug.contract.errors import SpecError
from nasplug.testing import StrategyConformance, SyntheticSpace, run_search


class TestBananas(StrategyConformance):
    def make_strategy(self):
        return Bananas(members=4, candidates=20, refit=10)


def test_random_architectures_first_and_then_what_is_predicted():
    study = run_search(Bananas(members=5, initial=6, candidates=30), trials=12, batch=1)
    assert [trial.proposal.info["origin"] for trial in study.trials] == ["random"] * 6 + ["its"] * 6
    assert len({trial.architecture.key for trial in study.trials}) == 12


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"acquisition": "mean"}, marks=pytest.mark.slow),
        pytest.param({"acquisition": "ucb"}, marks=pytest.mark.slow),
    ],
)
def test_it_beats_random_search(options):
    better = 0
    for seed in range(4):
        study = run_search(Bananas(members=20, candidates=60, **options), space=SyntheticSpace(8), trials=60, seed=seed)
        random = run_search("random", space=SyntheticSpace(8), trials=60, seed=seed)
        better += study.score(study.best) > random.score(random.best)
    assert better == 4


def test_networks_of_scikit_learn_predict_as_well():
    study = run_search(Bananas("mlp", members=2, candidates=40), trials=25, batch=5)
    random = run_search("random", trials=25)
    assert study.score(study.best) >= random.score(random.best)


def test_nothing_is_left_to_draw_in_a_small_space():
    study = run_search(Bananas(members=2), space=SyntheticSpace(1), trials=12)
    assert len(study.trials) == 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"predictor": "gp"}, "predictor='gp'"),
        ({"acquisition": "ei"}, "acquisition='ei'"),
        ({"members": 1}, "members is 1"),
        ({"initial": 1}, "initial is 1"),
        ({"random_share": 1.5}, "random_share"),
        ({"refit": 0}, "refit is 0"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(SpecError, match=message):
        Bananas(**options)

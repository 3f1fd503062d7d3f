"""Expected hypervolume improvement: the formula, and searches with two objectives."""

from __future__ import annotations

import moocore
import numpy as np
import pytest
from nasplug_bogk.hypervolume import log_expected_hypervolume_improvement, non_dominated, reference_of
from nasplug_bogk.strategy import BayesianOptimisation

from nasplug.contract.errors import SpecError
from nasplug.testing import SyntheticCost, outcome, run_search

FRONT = np.array([[0.0, 2.0], [1.0, 1.5], [1.0, 0.2], [2.5, 0.0], [-5.0, 9.0], [0.5, 0.5]])
REFERENCE = np.array([-0.5, -0.7])
OBJECTIVES = {"val_acc": "max", "params": "min"}


def area(points):
    return moocore.hypervolume(-points, ref=-REFERENCE) if len(points) else 0.0


@pytest.mark.parametrize("front", [FRONT, FRONT[:0], FRONT[:1]], ids=["front", "nothing", "one point"])
def test_it_is_the_expected_growth_of_the_area(front):
    rng = np.random.default_rng(0)
    means = np.array([[0.0, 1.2, 2.0, -1.0], [0.5, 1.6, 0.5, -1.0]])
    deviations = np.array([[0.5, 0.3, 1.0, 0.4], [0.5, 0.2, 0.1, 0.6]])
    expected, before = [], area(front)
    for mean, deviation in zip(means.T, deviations.T, strict=True):
        draws = mean + deviation * rng.standard_normal((4000, 2))
        expected.append(np.mean([area(np.vstack([front, draw])) - before for draw in draws]))
    found = np.exp(log_expected_hypervolume_improvement(means, deviations, front, REFERENCE))
    np.testing.assert_allclose(found, expected, rtol=0.08, atol=0.003)


def test_a_certain_point_adds_its_own_area():
    point = np.array([1.5, 1.0])
    found = np.exp(log_expected_hypervolume_improvement(point[:, None], np.full((2, 1), 1e-9), FRONT, REFERENCE))
    assert found[0] == pytest.approx(area(np.vstack([FRONT, point])) - area(FRONT), rel=1e-6)


def test_far_candidates_are_told_apart():
    means = np.array([[-30.0, -31.0], [-30.0, -31.0]])
    values = log_expected_hypervolume_improvement(means, np.ones((2, 2)), FRONT, REFERENCE)
    assert np.isfinite(values).all()
    assert values[0] > values[1]


def test_the_front_is_sorted_and_distinct():
    points = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 2.0], [1.0, 0.5], [2.0, -1.0], [-1.0, 1.9]])
    assert non_dominated(points).tolist() == [[0.0, 2.0], [1.0, 1.0], [2.0, -1.0]]
    assert (reference_of(non_dominated(points)) < points[[0, 2, 4]].min(axis=0)).all()
    assert (reference_of(points[:1]) < points[0]).all()


def bogk(**settings):
    return BayesianOptimisation("rw", **{"acquisition": "ehvi", "initial": 5, "pool": 30, **settings})


def test_the_front_grows():
    reference = {"val_acc": 0.0, "params": 400.0}
    found, other = (run_search(each, objectives=OBJECTIVES, trials=50, seed=1) for each in (bogk(), "random"))
    assert found.trials[-1].proposal.info["origin"] == "ehvi"
    assert found.hypervolume(reference) > other.hypervolume(reference)
    assert len(found.pareto()) > len(other.pareto())


def test_nothing_but_trials_decides(tmp_path):
    from nasplug.testing import Interrupted

    settings = {"objectives": OBJECTIVES, "trials": 24, "batch": 3, "seed": 2}
    whole = run_search(bogk(), **settings)
    with pytest.raises(Interrupted):
        run_search(bogk(), **settings, storage=tmp_path / "s.sqlite", stop_after=13)
    assert outcome(run_search(bogk(), **settings, storage=tmp_path / "s.sqlite")) == outcome(whole)


def test_constraints_draw_the_search_inside():
    study = run_search(
        bogk(), objectives=OBJECTIVES, constraints=["units <= 5"], costs={"units": SyntheticCost()}, trials=40
    )
    kept = [study.is_candidate(each) for each in study.trials]
    assert sum(kept[:10]) < 4 < sum(kept[-20:])


def test_one_objective_is_refused():
    with pytest.raises(SpecError, match="two objectives"):
        run_search(bogk(), trials=3)

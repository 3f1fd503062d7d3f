"""Local search: where it begins, what it looks at, and when it begins anew."""

from __future__ import annotations

import pytest

from nasplug.builtin.local_search import LocalSearch
from nasplug.contract.errors import SpecError
from nasplug.testing import SyntheticSpace, run_search


def changes(one, other):
    return sum(a != b for a, b in zip(one.architecture.genotype, other.architecture.genotype, strict=True))


def test_a_neighbour_differs_in_one_decision_from_the_best_of_its_climb():
    study = run_search(LocalSearch(starts=5), trials=60, batch=1)
    infos = [trial.proposal.info for trial in study.trials]
    assert [info["origin"] for info in infos[:6]] == ["random"] * 5 + ["neighbour"]
    for trial in study.trials:
        info = trial.proposal.info
        if info["origin"] == "random":
            continue
        (number,) = info["parents"]
        earlier = [t for t in study.trials[: trial.number] if t.proposal.info["climb"] == info["climb"]]
        assert study.score(study.trial(number)) == max(map(study.score, earlier))
        assert changes(trial, study.trial(number)) == 1


def test_a_climb_that_found_nothing_better_begins_anew():
    study = run_search(LocalSearch(starts=3, neighbours=4), trials=120, batch=1)
    climbs = [trial.proposal.info["climb"] for trial in study.trials]
    assert climbs == sorted(climbs)
    assert climbs[-1] >= 2
    for climb in range(climbs[-1]):
        own = [trial for trial in study.trials if trial.proposal.info["climb"] == climb]
        top = max(own, key=study.score)
        assert sum(trial.proposal.info.get("parents") == [top.number] for trial in own) == 4


def test_nothing_is_proposed_twice_until_the_space_is_used_up():
    study = run_search(LocalSearch(starts=2), space=SyntheticSpace(3), trials=64, batch=1)
    assert len({trial.architecture.key for trial in study.trials}) > 55
    again = run_search(LocalSearch(starts=2), space=SyntheticSpace(1), trials=12)
    assert len(again.trials) == 12


def test_it_beats_random_search():
    better = 0
    for seed in range(8):
        local, random = (run_search(strategy, trials=80, seed=seed) for strategy in ("local_search", "random"))
        better += local.score(local.best) >= random.score(random.best)
    assert better >= 7


def test_it_walks_into_the_constraints():
    study = run_search(LocalSearch(starts=3), trials=60, constraints=["params <= 40"])
    assert study.candidates()


@pytest.mark.parametrize("name", ["starts", "neighbours", "attempts"])
def test_refuses_less_than_one(name):
    with pytest.raises(SpecError, match=f"{name} is 0"):
        LocalSearch(**{name: 0})

"""What the strategies do beyond the conformance suite."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from nasplug_infonas.embedder import Embedder
from nasplug_infonas.encoding import Encoding
from nasplug_infonas.models.vae import GraphVAE, VAESettings
from nasplug_infonas.regressors import Belief
from nasplug_infonas.strategies.bo import EmbeddingBO
from nasplug_infonas.strategies.embedded import EmbeddedSpace
from nasplug_infonas.strategies.reinforce import EmbeddingReinforce
from nasplug_infonas.strategies.screen import SCREENED, Screen

import nasplug as nas
from nasplug.builtin.random import RandomSearch
from nasplug.contract.errors import PluginError, SpecError
from nasplug.plugins.discovery import discover
from nasplug.testing import SyntheticEvaluator, SyntheticSpace, run_search
from nasplug.testing.synthetic import OPERATIONS, accuracy

pytestmark = pytest.mark.filterwarnings("ignore:this encoder reconstructs")
SPACE = SyntheticSpace(length=5)


def value(architecture):
    return accuracy(SPACE.vector(architecture), 9)


def reached(strategy, trials, seed=0):
    study = run_search(strategy, space=SPACE, evaluator=SyntheticEvaluator(), trials=trials, seed=seed, batch=1)
    return max(value(trial.architecture) for trial in study.trials)


def untrained(space):
    torch.manual_seed(0)
    encoding = Encoding.of_space(space)
    return Embedder(encoding, GraphVAE(len(encoding.labels), encoding.nodes, VAESettings(8, 4, 2)))


def test_the_cloud_knows_its_rows_and_neighbours():
    cloud = EmbeddedSpace.of(SPACE, untrained(SPACE))
    assert len(cloud) == len(OPERATIONS) ** 5 == len(cloud.vectors)
    assert cloud.row(cloud.architectures[17]) == 17
    assert cloud.row(nas.Architecture("synthetic", ("x",), "x")) is None
    taken = np.zeros(len(cloud), dtype=bool)
    point = cloud.vectors[17] + 0.01
    order = np.argsort(((cloud.vectors - point) ** 2).sum(axis=1))
    first = cloud.nearest(point, taken)
    np.testing.assert_allclose(cloud.vectors[first], cloud.vectors[order[0]])
    taken[first] = True
    assert cloud.nearest(point, taken) != first
    assert cloud.nearest(point, np.ones(len(cloud), dtype=bool)) is None


def test_large_spaces_are_sampled():
    space = SyntheticSpace(length=14)
    cloud = EmbeddedSpace.of(space, untrained(space), sample=300)
    assert 300 <= len(cloud) <= 300 + 14 * 4


@pytest.mark.parametrize("make", [lambda: EmbeddingBO(initial=10, per_round=3), lambda: Screen(start=10, factor=8)])
def test_better_than_random_on_average(make):
    """At 40 queries of 1024, over five seeds."""
    found = [reached(make(), 40, seed) for seed in range(5)]
    blind = [reached(RandomSearch(), 40, seed) for seed in range(5)]
    assert np.mean(found) > np.mean(blind) + 0.01


def test_bo_begins_at_random_and_never_repeats():
    study = run_search(EmbeddingBO(initial=6, per_round=4), space=SPACE, trials=22, batch=3)
    assert [trial.proposal.info["round"] for trial in study.trials] == [0] * 6 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4
    assert len({trial.architecture.key for trial in study.trials}) == 22


def test_a_used_up_space_ends_the_search():
    space = SyntheticSpace(length=2)
    for strategy in (EmbeddingBO(initial=5, per_round=4), EmbeddingReinforce(episode=6)):
        study = run_search(strategy, space=space, trials=100)
        assert len({trial.architecture.key for trial in study.trials}) == len(study.trials) == 16


class Scripted:
    """Proposes the whole space in order, and notes what it is told."""

    def __init__(self, **options):
        self.told, self.options = [], options
        self._left = itertools.islice(SPACE, 200)

    @nas.hookimpl
    def propose(self, study, count):
        assert [trial.number for trial in study.trials] == list(range(len(study.trials)))
        items = itertools.islice(self._left, count)
        return [study.proposal(item, **self.options, place=study.proposed + i) for i, item in enumerate(items)]

    @nas.hookimpl
    def observe(self, study, trial):
        self.told.append((trial.number, trial.state, trial.reason, dict(trial.proposal.info)))


class Oracle:
    """Knows the values, whatever it learns from."""

    def __init__(self, embedder):
        items = list(itertools.islice(SPACE, 200))
        self.vectors = np.concatenate([embedder.embed_space(SPACE, [item]) for item in items])
        self.values = np.array([value(item) for item in items])

    def predict(self, x):
        # The nearest one: the last bits of an embedding depend on how many are made at once.
        nearest = [int(np.argmin(np.abs(self.vectors - row).sum(axis=1))) for row in np.asarray(x)]
        mean = self.values[nearest]
        return Belief(mean, np.full(len(mean), 1e-9))


@pytest.mark.parametrize("batch", [1, 4])
def test_screening_takes_the_best_and_tells_the_inner_strategy_in_order(batch, monkeypatch):
    embedder = untrained(SPACE)
    monkeypatch.setattr(
        "nasplug_infonas.strategies.screen.ask_regressor", lambda study, name, x, y, *, seed, ranks: Oracle(embedder)
    )
    inner = Scripted()
    strategy = Screen(inner, encoder=embedder, factor=5, start=4, refit=1, acquisition="mean")
    study = run_search(strategy, space=SPACE, trials=12, batch=batch)
    everything = list(itertools.islice(SPACE, 200))
    position = 0
    for trial in study.trials:
        group = everything[position : position + trial.proposal.info[SCREENED]]
        assert value(trial.architecture) == max(value(item) for item in group)
        position += len(group)
    screened = [trial.proposal.info[SCREENED] for trial in study.trials]
    assert screened[:4] == [1] * 4
    assert screened[-5:] == [5] * 5
    assert [number for number, *_ in inner.told] == list(range(len(inner.told)))
    states = [(state, reason) for _, state, reason, _ in inner.told]
    assert states.count(("complete", None)) == 12
    assert set(states) == {("complete", None), ("pruned", "screened out")}
    assert all(SCREENED not in info for *_, info in inner.told)  # as if there were no screening


def test_inner_strategies_that_do_not_fit_are_refused():
    from nasplug.builtin.successive_halving import SuccessiveHalving

    with pytest.raises(SpecError, match="continues trainings itself"):
        Screen(SuccessiveHalving())
    with pytest.raises(PluginError, match="no `propose` hook"):
        Screen(object())
    with pytest.raises(PluginError, match=r"successive_halving\(inner=infonas.screen"):
        run_search(Screen(Impatient()), space=SPACE, trials=3)


class Impatient:
    @nas.hookimpl
    def propose(self, study, count):
        return [study.proposal(next(iter(SPACE)), epochs=3)]


def test_screening_inside_of_successive_halving():
    screen = Screen(start=6, factor=3)
    study = run_search(nas.component("successive_halving", inner=screen, min_epochs=1, eta=3), space=SPACE, trials=30)
    assert len(study.trials) == 30
    assert {trial.proposal.info[SCREENED] for trial in study.trials if trial.proposal.info["rung"] == 0} == {1, 3}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EmbeddingBO(initial=0), "initial is 0"),
        (lambda: EmbeddingBO(surrogate="tree"), "no regressor 'tree'"),
        (lambda: EmbeddingReinforce(episode=0), "episode is 0"),
        (lambda: EmbeddingReinforce(baseline="none"), "write best or mean"),
        (lambda: Screen(factor=0), "factor is 0"),
        (lambda: Screen(acquisition="ucb"), "write ei or mean"),
    ],
)
def test_nonsense_is_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()


def test_an_encoder_of_another_space_is_refused():
    encoding = Encoding(("input", "conv", "output"), 3)
    stranger = Embedder(encoding, GraphVAE(3, 3, VAESettings(hidden=4, latent=2, layers=1)))
    with pytest.raises(nas.NasplugError, match="the encoding has 3 rows"):
        run_search(EmbeddingBO(encoder=stranger), space=SPACE, trials=1)


def test_everything_is_announced():
    catalog = discover().catalog
    assert {"infonas.screen", "infonas.bo", "infonas.reinforce"} <= set(catalog.names("strategy"))
    for name in ("infonas.screen", "infonas.bo", "infonas.reinforce"):
        assert catalog.get("strategy", name).load().__doc__

"""ENAS-S: its space and its generations."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from nasplug_cgap.enas.plan import strides
from nasplug_cgap.enas.space import BlockSpace
from nasplug_cgap.enas.strategy import ENASS

import nasplug as nas
from nasplug.contract.errors import SpecError
from nasplug.cost.counts import count_params
from nasplug.testing import SpaceConformance, StrategyConformance, run_search
from nasplug.testing.synthetic import Shapes, SyntheticSpace


class TestSpace(SpaceConformance):
    input_shapes = ((3, 32, 32), (1, 9, 13))
    builds = 3

    def make_space(self):
        return BlockSpace(depth=2, widths=(2, 4, 6))


class TestUntied(SpaceConformance):
    input_shapes = ((2, 8, 8),)
    builds = 6

    def make_space(self):
        return BlockSpace(depth=1, widths=(4, 6), tied=False)


class TestStrategy(StrategyConformance):
    def make_strategy(self):
        return ENASS(population=6)


class TestFaithful(StrategyConformance):
    def make_strategy(self):
        return ENASS(population=6, faithful=True)


def test_three_modules_and_two_reductions():
    assert strides(2) == [1, 1, 2, 1, 1, 2, 1, 1]
    assert len(BlockSpace().choices) == 2 * (3 * 5 + 2)


def test_drawn_networks_repeat_their_module():
    space = BlockSpace(depth=2)
    for seed in range(5):
        genotype = space.sample(np.random.default_rng(seed)).genotype
        module, reduction = genotype[:4], genotype[4:6]
        assert genotype == (*module, *reduction, *module, *reduction, *module)
        assert 16 not in genotype[1::2]  # the smallest width comes with mutations alone


def test_widths_that_make_no_difference():
    space = BlockSpace(depth=1, widths=(16, 32))
    first = space.architecture(("identity", 16, "maxpool", 16, "dense", 16, "avgpool", 16, "resnet", 16))
    second = space.architecture(("identity", 32, "maxpool", 32, "dense", 32, "avgpool", 32, "resnet", 16))
    third = space.architecture(("identity", 16, "maxpool", 16, "dense", 16, "avgpool", 16, "resnet", 32))
    assert first.key == second.key != third.key
    assert [step.outputs for step in space.plan(second)] == [16, 16, 24, 24, 16]
    assert space.label(first) == "identity16 | maxpool16 | dense24 | avgpool24 | resnet16"


def test_parameters_by_hand():
    space = BlockSpace(depth=1, widths=(8, 16))
    task = Shapes((3, 8, 8), 10)
    stem, head = 3 * 16 * 9 + 32, 16 * 2 * 2 * 10 + 10
    plain = ["identity", 8, "maxpool", 8, "identity", 8, "maxpool", 8, "identity", 8]
    base = stem + head + 2 * 32
    for gene, more in {
        ("identity", 8): 0,
        ("resnet", 16): 2 * 16 * 16 * 9 + 2 * 32,
        ("mbconv", 16): 16 * 32 + 64 + 32 * 9 + 64 + 32 * 16 + 32,
    }.items():
        network = space.build(space.architecture((*gene, *plain[2:])), task)
        assert count_params(network) == base + more


def fitness_of(architecture):
    return float(sum(SyntheticSpace().vector(architecture)))


class Continuous(nas.ChoiceSpace):
    def __init__(self):
        super().__init__("continuous", [nas.Choice("rate", {"low": 0.0, "high": 1.0})])

    def build(self, architecture, task):
        raise NotImplementedError


class Sums:
    """The objective is the sum of the genes."""

    objectives = {"sum": "max"}  # noqa: RUF012

    @nas.hookimpl
    def evaluate(self, run):
        return nas.Evaluation({"sum": fitness_of(run.trial.architecture)})


@pytest.mark.parametrize("faithful", [False, True])
def test_generations_become_better(faithful):
    study = run_search(ENASS(population=10, faithful=faithful, mutation=0.1), evaluator=Sums(), trials=80)
    means = [np.mean([trial.metrics["sum"] for trial in study.trials[i : i + 10]]) for i in range(0, 80, 10)]
    assert means[-1] > means[0] + 1
    numbers = [trial.proposal.info["generation"] for trial in study.trials]
    assert numbers == sorted(numbers) == [i // 10 for i in range(80)]


def test_nothing_good_is_lost_by_default():
    strategy = ENASS(population=6)
    study = run_search(strategy, evaluator=Sums(), trials=36)
    best = sorted((trial.metrics["sum"] for trial in study.trials), reverse=True)[:6]
    assert [score for score, _ in strategy._pool] == best
    keys = [trial.architecture.key for trial in study.trials[6:]]
    assert len(set(keys)) > len(keys) - 3


@pytest.mark.parametrize("seed", range(3))
def test_a_generation_has_no_network_twice_while_there_are_others(seed):
    """Mutations are rare, so that most children of the few parents would be alike."""
    strategy = ENASS(population=12, mutation=0.02)
    space = SyntheticSpace()
    strategy._pool = [(1.0, space.from_vector([0] * 6)), (0.5, space.from_vector([1] * 6))]
    study = SimpleNamespace(space=space, rng=lambda role, index: np.random.default_rng([seed, index]))
    keys = [child.key for child in strategy._breed(study)]
    assert len(set(keys)) == 12


def test_roulette_follows_fitness():
    strategy = ENASS(faithful=True)
    space = SyntheticSpace()
    strategy._pool = [
        (3.0, space.from_vector([0] * 6)),
        (1.0, space.from_vector([1] * 6)),
        (-np.inf, space.from_vector([2] * 6)),
    ]
    rng = np.random.default_rng(0)
    drawn = [strategy._parent(rng).genotype[0] for _ in range(4000)]
    assert drawn.count("skip") == pytest.approx(3000, abs=120)
    assert drawn.count("middle") < 5


def test_an_end():
    assert len(run_search(ENASS(population=4, generations=2), evaluator=Sums(), trials=50).trials) == 8


def test_mistakes():
    for make in (lambda: ENASS(population=1), lambda: ENASS(mutation=2.0), lambda: ENASS(generations=0)):
        with pytest.raises(SpecError, match=r"cgap\.enas_s"):
            make()
    with pytest.raises(SpecError, match=r"cgap\.blocks"):
        BlockSpace(depth=0)
    with pytest.raises(SpecError, match="'rate' is continuous"):
        nas.search(space=Continuous(), evaluator=Sums(), strategy=ENASS(), trials=2)

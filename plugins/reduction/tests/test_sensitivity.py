"""Sensitivities: what is measured, the widths that follow, and the contest with the uniform network."""

from __future__ import annotations

import math
from typing import ClassVar

import pytest
import torch
from nasplug_reduction import ReductionSpace, sensitivity, shrink
from nasplug_reduction.allocation import allocated, damage, pooled, scale
from nasplug_reduction.example import images
from nasplug_reduction.planning import uniform
from nasplug_reduction.pricing import Pricer
from nasplug_reduction.sensitivity import to_probe
from nasplug_reduction.strategies.sensitivity import Sensitivity

import nasplug as nas
from nasplug.contract.errors import SpecError, StudyError
from nasplug.testing import StrategyConformance


@pytest.mark.slow  # surgery and prices of many networks in every one of its searches
class TestSensitivity(StrategyConformance):
    trials = 4
    stochastic = False

    def make_space(self):
        return ReductionSpace("nasplug_reduction.example:small_resnet", "random", inputs=(3, 16, 16))

    def make_strategy(self):
        return Sensitivity(0.3, final_epochs=1)

    def make_task(self):
        return images()


WIDTHS = ("width:0", "width:3.conv1", "width:4.conv1")
BLOCKS = ("block:3", "block:4")


@pytest.fixture
def space():
    return ReductionSpace("nasplug_reduction.example:small_resnet", "random", inputs=(3, 16, 16))


def test_a_quadratic_damage_is_fitted_exactly():
    assert scale([(0.5, 3 * 0.25), (1.5, 3 * 2.25)]) == pytest.approx(3.0)
    assert scale([(2.0, 8.0)]) == pytest.approx(2.0)


def test_scales_are_drawn_halfway_to_their_mean():
    found = pooled({"a": 1.0, "b": 16.0})
    assert found == pytest.approx({"a": 2.0, "b": 8.0})
    assert pooled({"a": 0.0, "b": 1.0})["a"] > 0  # what seems not to matter at all is not taken away
    assert pooled({}) == {}


def test_layers_that_matter_stay_wider(space):
    limits = {"params": 0.4 * space.params(space.full)}
    pricer = Pricer(space, None, limits)
    start, blocks = uniform(pricer, limits), dict.fromkeys(BLOCKS, (100.0,))
    for important in WIDTHS[1:]:
        scales = {name: 10.0 if name == important else 1.0 for name in WIDTHS}
        network = allocated(pricer, limits, scales, blocks, start)
        widths = space.widths(network)
        assert 0.8 * limits["params"] < space.params(network) <= limits["params"]
        other = next(name for name in WIDTHS[1:] if name != important)
        assert widths[important.partition(":")[2]] > widths[other.partition(":")[2]]
        assert damage(pricer, scales, blocks, network) < damage(pricer, scales, blocks, start)


def test_blocks_without_damage_are_passed_by(space):
    limits = {"params": 0.4 * space.params(space.full)}
    pricer = Pricer(space, None, limits)
    scales = dict.fromkeys(WIDTHS, 1.0)
    network = allocated(pricer, limits, scales, {"block:3": [0.0], "block:4": [50.0]}, uniform(pricer, limits))
    assert space.dropped(network.genotype) == ("3",)


def test_every_limit_is_kept(space):
    pricer = Pricer(space, None, ["params", "macs"])
    original = pricer.price(space.full)
    limits = {"params": 0.5 * original["params"], "macs": 0.3 * original["macs"]}
    network = allocated(pricer, limits, dict.fromkeys(WIDTHS, 1.0), dict.fromkeys(BLOCKS, (9.0,)), space.smallest)
    assert pricer.within(network, limits)
    assert pricer.price(network)["macs"] > 0.8 * limits["macs"]


def test_damage_is_the_sum_of_all_cuts(space):
    pricer = Pricer(space, None, ["params"])
    network = space.architecture([6, 12, 4, "drop", "keep"])
    found = damage(pricer, dict.fromkeys(WIDTHS, 2.0), {"block:3": [0.5], "block:4": [7.0]}, network)
    assert found == pytest.approx(2 * math.log(2) ** 2 + 2 * math.log(3) ** 2 + 0.5)


def test_probes_lie_around_the_uniform_network(space):
    limits = {"params": 0.25 * space.params(space.full)}
    vector = [int(index) for index in space.vector(uniform(Pricer(space, None, limits), limits))]
    probes = to_probe(space, vector, 1)
    assert probes[-2:] == [(3, 0), (4, 0)]  # blocks: without them
    assert [index for _, index in probes[:3]] == vector[:3]
    three = [index for position, index in to_probe(space, vector, 3) if position == 0]
    assert three == sorted(three, reverse=True)
    assert three[0] > vector[0] >= three[-1]


class Likes:
    """Scores the uniform network, or what has another width of the stem, higher."""

    objectives: ClassVar = {"score": "max"}

    def __init__(self, stem):
        self.stem = stem

    @nas.hookimpl
    def evaluate(self, run):
        width = run.space.widths(run.trial.architecture)["0"]
        return nas.Evaluation({"score": 1.0 + 0.5 * (width == 12) - 0.1 * abs(width - self.stem)})


def contest(space, monkeypatch, *, better, **settings):
    """A search whose allocated network has a stem of 4 channels, which the evaluator likes more or less."""
    other = space.vector(space.architecture([4, 12, 12, "keep", "keep"]))
    monkeypatch.setattr(
        "nasplug_reduction.sensitivity.analyse", lambda run, **_: {"vector": list(other), "loss": 0.0, "losses": {}}
    )
    strategy = Sensitivity(0.6, final_epochs=3, **settings)
    likes = Likes(4 if better else 9)
    study = nas.search(images(), space=space, strategy=strategy, evaluator=likes, objectives={"score": "max"}, trials=9)
    return study, [trial.proposal.info["role"] for trial in study.trials]


def test_the_better_network_goes_on_from_its_own_weights(space, monkeypatch):
    study, roles = contest(space, monkeypatch, better=True, tune_epochs=2)
    assert roles == ["original", "candidate", "candidate", "found", "uniform"]
    found, even = study.trials[-2:]
    assert found.proposal.inherits.trial == 2
    assert found.architecture == study.trials[2].architecture
    assert (study.budget_of(found).epochs, study.budget_of(even).epochs) == (3, 5)


def test_the_uniform_network_stays_where_nothing_is_better(space, monkeypatch):
    study, roles = contest(space, monkeypatch, better=False)
    assert roles == ["original", "candidate", "candidate", "uniform"]
    assert study.trials[-1].proposal.inherits.trial == 1  # its short training is not lost
    assert study.budget_of(study.trials[-1]).epochs == 3


def test_a_small_lead_is_not_enough(space, monkeypatch):
    assert contest(space, monkeypatch, better=True, lead=0.9)[1][-1] == "uniform"


def test_untuned_networks_start_from_the_original_weights(space, monkeypatch):
    study, _ = contest(space, monkeypatch, better=True, tune_epochs=0)
    assert study.trials[-2].proposal.inherits is None
    assert study.budget_of(study.trials[1]).epochs == 0


def test_losses_of_all_choices_are_measured(space, monkeypatch):
    answers, real = [], sensitivity.analyse

    def remembered(run, **arguments):
        answers.append(real(run, **arguments))
        return answers[-1]

    monkeypatch.setattr(sensitivity, "analyse", remembered)
    strategy = Sensitivity(0.4, final_epochs=1, probes=2, batches=2)
    study = nas.search(images(), space=space, strategy=strategy, objectives={"val_acc": "max"}, trials=9, seed=3)
    assert all(trial.state == "complete" for trial in study.trials), [trial.failure for trial in study.trials]
    assert len(answers) == 1
    losses = answers[0]["losses"]
    assert set(losses) == {*WIDTHS, *BLOCKS}
    assert all(math.isfinite(loss) for pairs in losses.values() for _, loss in pairs)
    assert answers[0]["loss"] == pytest.approx(math.log(10), rel=0.3)  # an untrained network of 10 classes
    assert space.params(study.trials[-1].architecture) <= 0.4 * space.params(space.full)


@pytest.mark.parametrize(("automatic", "why"), [(False, "steps its optimizers itself"), (True, "answers NoneType")])
def test_a_module_without_a_loss_is_refused(project, automatic, why):
    import own_project

    class Lossless(own_project.Lit):
        def __init__(self):
            super().__init__(width=8)
            self.automatic_optimization = automatic

        def training_step(self, batch, _):
            return None

    with pytest.raises(
        StudyError, match=rf"(?s)training_step of Lossless returns no loss.*{why}.*reduction\.evolution"
    ):
        shrink(Lossless(), data=own_project.Data(), keep=0.4, epochs=1, rehearse=False)


def test_a_users_module_is_shrunk_by_default(project):
    reduced = shrink("own_project:Lit", project / "w.ckpt", "own_project.Data", keep=0.4, epochs=2)
    assert reduced.found.costs["params"] <= 0.4 * reduced.original.costs["params"]
    assert reduced.found.metrics["val_acc"] > 0.6
    assert torch.isfinite(reduced.network(torch.randn(2, 3, 8, 8))).all()


@pytest.mark.parametrize("wrong", [{"probes": 0}, {"batches": 0}, {"tune_epochs": -1}, {"lead": -0.1}])
def test_numbers_are_checked(wrong):
    with pytest.raises(SpecError, match=r"probes and batches must be >= 1, tune_epochs and lead >= 0"):
        Sensitivity(0.5, **wrong)

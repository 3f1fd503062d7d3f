"""`nasplug recommend`: fresh trainings of the best few, what they say, and who goes by it."""

from __future__ import annotations

import statistics

import pytest
import yaml

NOISY = '''
import numpy as np
import nasplug as nas


@nas.hookimpl
def register(catalog):
    catalog.space("pair", f"{__name__}:Pair", summary="Two numbers.")
    catalog.evaluator("noisy", f"{__name__}:Noisy", summary="Their sum, badly measured.")
    catalog.strategy("wise", f"{__name__}:Wise", summary="Knows the truth.")


class Pair(nas.ChoiceSpace):
    def __init__(self):
        super().__init__("pair", [nas.Choice("x", tuple(range(6))), nas.Choice("y", tuple(range(6)))])

    def build(self, architecture, task):
        raise NotImplementedError


class Noisy:
    objectives = {"score": "max"}

    @nas.hookimpl
    def evaluate(self, run):
        noise = 4 * np.random.default_rng(run.trial.seed).standard_normal()
        return nas.Evaluation({"score": float(sum(run.trial.architecture.genotype) + noise)})


class Wise:
    """Random search that recommends by the truth, or as it is told.

    Args:
        answer: Number to recommend.
    """

    def __init__(self, answer: int | None = None):
        self.answer = answer

    @nas.hookimpl
    def propose(self, study, count):
        return [study.proposal(study.space.sample(study.rng("wise", study.proposed + i))) for i in range(count)]

    @nas.hookimpl
    def recommend(self, study):
        best = max(study.candidates(), key=lambda trial: (sum(trial.architecture.genotype), -trial.number))
        return best.number if self.answer is None else self.answer
'''


@pytest.fixture
def search(cli, tmp_path):
    """Runs a noisy search; keyword arguments replace keys of its specification."""
    (tmp_path / "noisy.py").write_text(NOISY)

    def run(**changes):
        spec = {
            **{"space": "pair", "evaluator": "noisy", "plugins": ["noisy.py"], "budget": {"trials": 20}},
            **{"run": {"seed": 1, "storage": "s.sqlite"}},
        }
        (tmp_path / "s.yaml").write_text(yaml.safe_dump(spec | changes))
        assert cli("run", "s.yaml").code == 0
        return "s.sqlite"

    return run


def trials(cli, file):
    return {trial["number"]: trial for trial in cli("trials", file, "--json").json["trials"]}


def test_without_a_model_it_is_the_best_measured(cli, search):
    file = search()
    found = cli("recommend", file, "--json", "--trust").json
    measured = {number: trial["objectives"]["score"] for number, trial in trials(cli, file).items()}
    assert found["trial"] == found["best_measured"] == max(measured, key=measured.get)
    assert (found["by"], found["repeats"], found["noise"]) == ("best", [], None)
    shown = cli("recommend", file, "--trust").out
    assert "the best value measured" in shown
    assert "--repeats 3" in shown


def test_fresh_trainings_decide_and_tell_the_noise(cli, search):
    file = search()
    found = cli("recommend", file, "--repeats", 12, "--top", 4, "--json", "--trust").json
    assert found["by"] == "repeats"
    measured = {number: trial["objectives"]["score"] for number, trial in trials(cli, file).items()}
    top = sorted(measured, key=measured.get, reverse=True)[:4]
    assert {one["trial"] for one in found["repeats"]} == set(top)
    again = trials(cli, "s-repeats-4x12.sqlite")
    assert len(again) == 48
    assert len({trial["seed"] for trial in again.values()}) == 48
    for one in found["repeats"]:
        assert one["measured"] == measured[one["trial"]]
        assert len(one["values"]) == 12
        assert one["mean"] == pytest.approx(statistics.mean(one["values"]))
        assert one["standard_error"] == pytest.approx(statistics.stdev(one["values"]) / 12**0.5)
    means = [one["mean"] for one in found["repeats"]]
    assert means == sorted(means, reverse=True)
    assert found["trial"] == found["repeats"][0]["trial"]
    assert found["noise"] == pytest.approx(4, rel=0.35)
    assert "standard deviation of one training" in cli("recommend", file, "--trust").out
    assert cli("recommend", file, "--json", "--trust").json == found, "what was trained is found again"
    assert cli("recommend", file, "--repeats", 12, "--top", 4, "--json", "--trust").json == found


def test_half_done_repeats_are_gone_on_with(cli, search):
    file = search()
    cli("recommend", file, "--repeats", 2, "--top", 3, "--trust", "--set", "run.workers=1")
    whole = trials(cli, "s-repeats-3x2.sqlite")
    cli("copy", "s-repeats-3x2.sqlite", "kept.sqlite")
    assert cli("recommend", file, "--repeats", 2, "--top", 3, "--trust").code == 0
    assert trials(cli, "s-repeats-3x2.sqlite") == whole


def test_the_strategy_is_asked(cli, search):
    file = search(strategy="wise")
    found = cli("recommend", file, "--json", "--trust").json
    sums = {number: sum(trial["architecture"]["genotype"]) for number, trial in trials(cli, file).items()}
    assert found["by"] == "wise"
    assert sums[found["trial"]] == max(sums.values())
    shown = cli("recommend", file, "--trust").out
    assert "what the model of wise expects to be best" in shown
    assert "the best value measured is that of" in shown


def test_an_answer_that_is_no_good_trial_is_a_fault_of_the_plugin(cli, search):
    file = search(strategy={"wise": {"answer": 99}})
    done = cli("recommend", file, "--trust")
    assert done.code != 0
    assert "strategy:wise" in done.err
    assert "99" in done.err


def test_several_objectives_name_the_front(cli, spec):
    cli("run", spec(run={"seed": 3, "storage": "m.sqlite"}))
    shown = cli("recommend", "m.sqlite", "--trust")
    assert shown.code == 0
    assert "pareto" in shown.out
    refused = cli("recommend", "m.sqlite", "--repeats", 2, "--trust")
    assert refused.code == 2
    assert "several objectives" in refused.err


def test_a_study_without_any_result(cli, spec):
    cli("run", spec(evaluator={"bowl": {"fail": True}}, objectives={"height": "min"}, constraints=[]))
    done = cli("recommend", "runs/search.sqlite", "--trust")
    assert done.code != 0
    assert "no best one" in done.err


def test_export_and_retrain_take_it_and_say_so(cli, search):
    file = search(strategy="wise")
    best = cli("recommend", file, "--json", "--trust").json
    assert best["trial"] != best["best_measured"]
    from nasplug.cli.loading import pick_trial, read_study
    from nasplug.plugins.discovery import discover

    study = read_study(file)
    catalog = discover(["noisy.py"]).catalog
    assert pick_trial(study, None, file, catalog).number == best["trial"]
    assert pick_trial(study, 3, file, catalog).number == 3
    assert pick_trial(study, None, file).number == best["best_measured"]

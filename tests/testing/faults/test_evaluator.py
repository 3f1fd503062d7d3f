"""Faults that the suite for evaluators finds."""

from __future__ import annotations

import random

import pytest

import nasplug as nas
from nasplug.testing import EvaluatorConformance, Shapes, SyntheticEvaluator
from tests.testing.faults import WRONG


class TestHealthyEvaluator(EvaluatorConformance):
    def make_evaluator(self):
        return SyntheticEvaluator(noise=0.1)


@pytest.mark.parametrize(
    ("answer", "test"),
    [
        (lambda trial: {"val_acc": float("nan")}, "test_metrics_are_there_and_finite"),
        (lambda trial: {"other": 1.0}, "test_metrics_are_there_and_finite"),
        (lambda trial: {"val_acc": 1.0}, "test_declared_objectives_are_reported"),
        (lambda trial: {"val_acc": random.SystemRandom().random()}, "test_equal_seeds_give_equal_metrics"),
    ],
)
def test_evaluators(answer, test):
    class Evaluator:
        objectives = {"val_acc": "max", "loss": "min"}  # noqa: RUF012

        @nas.hookimpl
        def evaluate(self, run):
            return nas.Evaluation(answer(run.trial))

    suite = type("Suite", (EvaluatorConformance,), {"make_evaluator": lambda self: Evaluator()})()
    with pytest.raises(WRONG):
        getattr(suite, test)()


class Base:
    objectives = {"val_acc": "max"}  # noqa: RUF012


class Silent(Base):
    """Answers steps that nobody could see."""

    @nas.hookimpl
    def evaluate(self, run):
        return nas.Evaluation({"val_acc": 1.0}, (nas.Measurement(1, {"val_acc": 1.0}),))


class Deaf(Base):
    """Reports, and goes on whatever the answer is."""

    @nas.hookimpl
    def evaluate(self, run):
        for step in range(run.budget.epochs):
            run.report(nas.Measurement(step, {"val_acc": 1.0}))
        return nas.Evaluation({"val_acc": 1.0})


class Backwards(Base):
    @nas.hookimpl
    def evaluate(self, run):
        for step in (2, 1):
            run.report(nas.Measurement(step, {"val_acc": 1.0}))
        return nas.Evaluation({"val_acc": 1.0})


class Folds(Base):
    """Healthy: two stages."""

    def skip(self, stage):
        return stage.finished

    @nas.hookimpl
    def evaluate(self, run):
        scores = []
        for fold in range(2):
            with run.stage(f"fold-{fold}") as stage:
                if not self.skip(stage):
                    for step in range(run.budget.epochs):
                        reason = stage.report(step, {"val_acc": 0.1 * step})
                        if reason:
                            return nas.Evaluation({"val_acc": 0.0}, pruned=reason)
                    stage.finish({"val_acc": stage.seed % 100 / 100})
                scores.append(stage.metrics["val_acc"])
        return nas.Evaluation({"val_acc": sum(scores)})


class TestHealthyFolds(EvaluatorConformance):
    def make_evaluator(self):
        return Folds()


class Repeating(Folds):
    """Does every stage again."""

    def skip(self, stage):
        stage.finished = False
        stage.measurements.clear()
        return False


class Grows(Base):
    """Healthy: another layer while it trains, with a record of it."""

    def say(self, run):
        run.edit({"by": "grows"})

    @nas.hookimpl
    def evaluate(self, run):
        network = run.network
        self.edit(network, {"by": "grows"})
        self.say(run)
        run.report(nas.Measurement(1, {"val_acc": 1.0}))
        return nas.Evaluation({"val_acc": 1.0}, network=network)

    @nas.hookimpl
    def edit(self, network, edit):
        from torch import nn

        if edit.get("by") != "grows":
            return None
        last = network[-1]
        network.append(nn.Linear(last.out_features, last.out_features))
        return network


class GrowsConformance(EvaluatorConformance):
    def make_task(self):
        return Shapes((3, 8, 8), 10)


class TestHealthyGrows(GrowsConformance):
    def make_evaluator(self):
        return Grows()


class Secretive(Grows):
    def say(self, run):
        pass


@pytest.mark.parametrize(
    ("evaluator", "test", "arguments"),
    [
        (Silent, "test_measurements_are_reported_as_they_come", ()),
        (Deaf, "test_a_pruner_is_obeyed", ()),
        (Backwards, "test_measurements_are_ordered", ()),
        (Repeating, "test_stages_outlive_an_interruption", ("tmp_path",)),
        (Secretive, "test_structure_that_changes_is_said", ("tmp_path",)),
    ],
)
def test_evaluators_that_train(evaluator, test, arguments, tmp_path):
    suite = type("Suite", (GrowsConformance,), {"make_evaluator": lambda self: evaluator()})()
    with pytest.raises(WRONG):
        getattr(suite, test)(*[tmp_path for _ in arguments])

"""A space whose choices come from the task sees it before anything is drawn, in every process."""

from __future__ import annotations

import pytest

import nasplug as nas
from nasplug.contract.errors import SpaceError, SpecError
from nasplug.contract.protocols import bind
from nasplug.spaces.choices import Choice, ChoiceSpace
from nasplug.spaces.hyperparameters import HyperparameterSpace
from nasplug.testing import Shapes, SpaceConformance


class Inside(ChoiceSpace):
    """One choice."""

    def build(self, architecture, task):
        raise NotImplementedError


class Answers:
    """An option for every output of the task."""

    name = "answers"

    def __init__(self):
        self.inside = None

    def bind(self, task):
        if task.outputs > 5:
            raise SpecError("answers are at most 5", where="space answers")
        self.inside = Inside(self.name, [Choice("answer", tuple(range(task.outputs)))])

    def _known(self):
        if self.inside is None:
            raise SpaceError("nobody has shown it a task", where="space answers")
        return self.inside

    def architecture(self, genotype):
        return self._known().architecture(genotype)

    def validate(self, architecture):
        self._known().validate(architecture)

    def sample(self, rng):
        return self._known().sample(rng)

    def build(self, architecture, task):
        from torch import nn

        return nn.Sequential(nn.Flatten(), nn.Linear(4, task.outputs))


class Looks:
    """Reads the answer off the architecture."""

    needs_task = True

    @nas.hookimpl
    def evaluate(self, run):
        return nas.Evaluation({"val_acc": float(run.trial.architecture.genotype[0])})


def search(outputs=3, **options):
    return nas.search(
        Shapes((4,), outputs), space=Answers(), evaluator=Looks(), trials=6, progress=False, rehearse=False, **options
    )


@pytest.mark.parametrize("options", [{}, {"workers": 2}])
def test_any_strategy_draws_from_what_the_task_has(options):
    study = search(**options)

    assert {trial.state for trial in study.trials} == {"complete"}
    assert {trial.architecture.genotype[0] for trial in study.trials} <= {0, 1, 2}


def test_what_the_space_refuses_is_said_before_anything_runs():
    with pytest.raises(SpecError, match="at most 5"):
        search(outputs=6)


def test_hyperparameters_around_a_space_hand_the_task_on():
    space = HyperparameterSpace(Answers(), {"lr": {"choices": [0.1, 0.2]}})

    bind(space, Shapes((4,), 2))

    assert space.inner.inside is not None


def test_a_space_without_the_method_is_left_alone():
    bind(object(), Shapes())


class TestAnswersConformance(SpaceConformance):
    input_shapes = ((4,),)
    outputs = 3

    def make_space(self):
        return Answers()

    def bound_task(self):
        return Shapes((4,), 3)

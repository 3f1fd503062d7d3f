"""A name or a dictionary where a task wants an object is refused with the way to say it."""

from __future__ import annotations

import pytest

import nasplug as nas
from nasplug.contract.errors import TaskError
from nasplug.data.digits import Digits
from nasplug.tasks.segmentation.task import Segmentation
from nasplug.tasks.supervised import Multilabel, Regression, Tabular


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: nas.ImageClassification(data="digits"),
            r"`data` must be an instance of nasplug\.data\.source\.ImageSource, got 'digits'(?s:.*)"
            r'nasplug\.component\("image_classification", data=\'digits\'\)',
        ),
        (lambda: nas.ImageClassification(training={"lr": 0.1}), r"`training` must be .*TrainingSettings, got \{'lr'"),
        (lambda: nas.ImageClassification(split=0.2), r"`split` must be .*Split, got <class 'float'>"),
        (lambda: Regression(data="houses.csv"), r'nasplug\.component\("regression", data=\'houses.csv\'\)'),
        (lambda: Tabular(data=Digits()), r"`data` must be .*SampleSource, got <class 'nasplug\.data\.digits\.Digits'"),
        (lambda: Multilabel(data=None), r"`data` must be .*SampleSource"),
        (lambda: Segmentation(data="Task04"), r"`data` must be .*VolumeSource, got 'Task04'"),
    ],
)
def test_what_is_not_a_part_is_refused_at_once(make, message):
    with pytest.raises(TaskError, match=message):
        make()


def test_a_component_may_name_its_parts():
    study = nas.search(
        nas.component("image_classification", data="digits", limit=60, training={"lr": 0.01}),
        space=nas.component("tabular_mlp"),
        costs=["params"],
        trials=1,
        epochs=1,
        progress=False,
        rehearse=False,
    )
    assert [trial.state for trial in study.trials] == ["complete"]

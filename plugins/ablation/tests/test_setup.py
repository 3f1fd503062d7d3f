"""What all trainings of a study share, in Python and as keys of a specification."""

from __future__ import annotations

import pytest
from nasplug_ablation import AblationStudy, Setup
from nasplug_ablation.planted import Planted, PlantedData
from nasplug_ablation.setup import grouped

from nasplug.contract.errors import SpecError

OPTIONS = {"trainer": {"limit_train_batches": 2}, "run": {"workers": 2, "seed": 4}, "build": ["fraction"]}


def study(**arguments):
    return AblationStudy(Planted, PlantedData, components=[{"module": "useless"}], **arguments)


def test_python_and_specification_mean_the_same():
    flat = {"module": Planted, "data": PlantedData, "components": [{"module": "useless"}], **OPTIONS}
    made = [AblationStudy.parse(flat), study(setup=OPTIONS), study(setup=Setup(**OPTIONS))]
    specs = [each.specification()[0].to_plain() for each in made]
    assert specs[0] == specs[1] == specs[2]
    assert specs[0]["run"]["workers"] == 2
    assert specs[0]["run"]["executor"] == "process"
    assert specs[0]["evaluator"]["lightning"]["trainer"] == {"limit_train_batches": 2}
    assert list(specs[0]["build"])[-1] == "ablation"


def test_options_of_the_trainer_belong_to_the_evaluator_that_is_given():
    with pytest.raises(SpecError, match="options of the Trainer and an evaluator"):
        study(setup={"trainer": {"limit_train_batches": 2}, "evaluator": "lightning"})
    assert Setup(evaluator="lightning").training == "lightning"


def test_unknown_names_are_refused():
    with pytest.raises(SpecError, match="did you mean 'trainer'"):
        study(setup={"trainr": {}})
    with pytest.raises(SpecError, match="there is no key 'trainr'"):
        AblationStudy.parse({"module": Planted, "trainr": {}})


def test_only_what_belongs_to_a_setup_is_grouped():
    assert grouped({"epochs": 2, "run": {}, "callbacks": None}) == {
        "epochs": 2,
        "setup": {"run": {}, "callbacks": None},
    }
    assert grouped({"epochs": 2}) == {"epochs": 2}

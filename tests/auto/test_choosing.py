"""Tasks, networks and strategies follow from the data and from what trainings start from."""

from __future__ import annotations

import pytest

from nasplug.auto.choosing import Start, space_of, strategy_for, task_of
from nasplug.auto.looking import look
from nasplug.auto.planning import plan
from nasplug.contract.errors import SpecError
from nasplug.plugins.discovery import discover

PLAN = {"minutes": 10.0, "workers": 2, "seed": 3, "storage": "s.sqlite"}


class Measured:
    """Networks that all take a second for an epoch of a hundred batches."""

    steps = 100

    def __call__(self, space):
        return 1.0


def test_images_that_start_from_weights_are_like_those_of_the_weights():
    (plain,) = task_of(look("digits")).values()
    (tuned,) = task_of(look("digits"), Start("resnet10t.c3_in1k")).values()
    assert "loading" not in plain
    assert tuned["loading"] == {"like": "timm:resnet10t.c3_in1k"}
    assert tuned["training"] == {**plain["training"], "layer_decay": 0.75, "head_factor": 10}


def test_one_model_is_tuned_from_its_weights():
    made = plan(look("digits"), discover().catalog, measure=Measured(), start=Start("resnet10t.c3_in1k"), **PLAN)
    plain = made.spec.to_plain()
    space = plain["space"]["with_hyperparameters"]["space"]
    assert space == {"timm": {"models": ["resnet10t.c3_in1k"], "kwargs": {"drop_rate": [0.0, 0.2]}}}
    assert plain["build"] == [{"pretrained": {"weights": "hub"}}]
    assert made.spec.enqueue == ([["resnet10t.c3_in1k", 0.0], {"lr": 5e-4}],)
    assert "from weights that were trained elsewhere" in dict(made.reasons)["space"]


def test_weights_are_for_images(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "".join(f"{i},{i / 7}\n" for i in range(40)))
    with pytest.raises(SpecError, match="--pretrained is for images"):
        plan(look(str(path)), discover().catalog, measure=Measured(), start=Start("resnet18"), **PLAN)


def test_weights_that_timm_does_not_have_are_named():
    with pytest.raises(SpecError, match=r"no weights .timm:resnet10x"):
        plan(look("digits"), discover().catalog, start=Start("resnet10x"), **PLAN)


def test_networks_for_images_are_those_that_fit():
    space, words, seconds, first = space_of(look("digits"), 60.0, Measured(), discover().catalog, None)
    assert list(space) == ["resnet"]
    assert "pays 60 epochs" in words
    assert (seconds, first[0]) == (1.0, [1, 96, 3, 1, 0.0])


@pytest.mark.parametrize(
    ("epochs", "name"), [(1, "regularized_evolution"), (2, "regularized_evolution"), (3, "hyperband")]
)
def test_long_trainings_are_halved(epochs, name):
    assert list(strategy_for(epochs)[0]) == [name]

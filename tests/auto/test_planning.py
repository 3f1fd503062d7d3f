"""Plans follow from the data, the time and what is installed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from nasplug.auto.looking import Looked, look
from nasplug.auto.planning import SEARCH, plan
from nasplug.plugins.discovery import discover


@dataclass
class Measured:
    """Networks that all take equally long."""

    seconds: float
    steps: int = 100

    def __call__(self, space):
        return self.seconds


def planned(looked, minutes=10.0, per_epoch=1.0, workers=2, catalog=None):
    return plan(
        looked,
        catalog or discover().catalog,
        minutes=minutes,
        workers=workers,
        seed=3,
        storage="s.sqlite",
        measure=Measured(per_epoch),
    )


def space_of(made):
    """The name of the space, and whether a learning rate is searched beside it."""
    space = made.spec.to_plain()["space"]
    if isinstance(space, dict) and "with_hyperparameters" in space:
        return next(iter(space["with_hyperparameters"]["space"])), True
    return next(iter(space)), False


def test_time_decides_the_longest_training():
    # 10 minutes on two workers pay 360 seconds of search; eight trainings of 27 epochs of 1 second cost 216.
    assert planned(look("digits")).spec.budget.epochs == 27
    # 360 / 8 / 10 = 4 epochs of 10 seconds.
    assert planned(look("digits"), per_epoch=10.0).spec.budget.epochs == 4
    assert planned(look("digits"), per_epoch=10.0, workers=1).spec.budget.epochs == 2
    assert planned(look("digits"), minutes=20.0, per_epoch=10.0).spec.budget.epochs == 9


def test_where_not_even_an_epoch_fits_the_search_sees_a_part_of_the_data():
    made = planned(look("digits"), per_epoch=180.0)
    assert made.spec.budget.epochs == 1
    assert [item.to_plain() for item in made.spec.build] == [{"fraction": {"fraction": 0.25}}]
    assert dict(made.reasons)["less data"].startswith("the search trains on 25%")
    assert not planned(look("digits"), per_epoch=45.0).spec.build


def test_short_trainings_are_not_halved():
    assert planned(look("digits"), per_epoch=30.0).spec.strategy.name == "regularized_evolution"
    assert planned(look("digits"), per_epoch=15.0).spec.strategy.name == "hyperband"


def test_the_search_gets_its_part_of_the_time_and_a_test_part_is_held_out():
    spec = planned(look("digits"), minutes=5.0).spec
    assert spec.budget.seconds == pytest.approx(60 * 5 * SEARCH)
    assert spec.task.args["split"] == {"val_fraction": 0.15, "test_fraction": 0.15}
    assert (spec.run.executor.name, spec.run.workers, spec.run.seed) == ("process", 2, 3)
    assert planned(look("digits"), workers=1).spec.run.executor.name == "inline"


def test_rows_are_searched_by_perceptrons_with_the_right_direction(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "".join(f"{i},{i / 7}\n" for i in range(40)))
    made = planned(look(str(path)))
    assert (space_of(made), made.metric) == (("tabular_mlp", True), "val_rmse")
    assert made.spec.to_plain()["objectives"] == {"val_rmse": "min"}


def test_volumes_are_searched_by_u_nets_without_a_learning_rate():
    looked = Looked(
        "volumes", {"segmentation": {"data": {"brain_template": {"resolution": 6, "blocks": 8}}}}, "a brain"
    )
    made = planned(looked)
    assert (space_of(made), made.metric) == (("unet", False), "val_dice")


def test_images_are_searched_by_residual_networks_that_the_time_lets_train(tmp_path):
    made = planned(look("digits"), per_epoch=2.0)
    assert space_of(made) == ("resnet", True)
    space = made.spec.to_plain()["space"]["with_hyperparameters"]["space"]["resnet"]
    assert space == {"stems": [1], "widths": [48, 64, 96], "stages": [3, 4], "blocks": [1, 2]}
    assert made.seconds_per_epoch == 2.0
    # 6 minutes of the last training pay 180 epochs of 2 seconds.
    assert "of which the last training pays 180 epochs" in dict(made.reasons)["space"]
    assert made.spec.enqueue == ([[1, 96, 3, 1, 0.0], {"lr": 0.01}], [[1, 96, 4, 1, 0.0], {"lr": 0.01}])


def test_a_plan_goes_on_with_an_earlier_search_for_the_time_of_the_new_one():
    first, second = planned(look("digits"), minutes=1.0), planned(look("digits"), minutes=3.0, per_epoch=50.0)
    on = second.on(first.spec)
    assert on.spec.budget.epochs == first.spec.budget.epochs
    assert on.spec.budget.seconds == second.spec.budget.seconds


def test_the_search_leaves_the_last_training_its_part_of_what_is_left():
    made = planned(look("digits"), minutes=10.0, per_epoch=2.0)  # trainings of 22 epochs: 44 s
    assert made.spec.budget.seconds == 180.0
    # A third of 400 s, less a training that has begun.
    assert made.within(400.0).spec.budget.seconds == pytest.approx(400 / 3 - 44)
    assert made.within(10.0).spec.budget.seconds == 1.0
    assert made.within(10_000.0) is made

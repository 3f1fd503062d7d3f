"""What is drawn is what the study holds: a mark for every trial, the first objective, nothing where nothing is."""

from __future__ import annotations

import numpy as np
import pytest

import nasplug as nas
from nasplug.contract.records import Failure
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.view import Setting
from nasplug.report.page import _chosen
from nasplug.report.plots import hypervolume, progress


def study(values, directions=None, states=None):
    """A study of trials with these values; None stands for a trial that failed."""
    directions = directions or {"score": "max"}
    ledger = Ledger(Setting(objectives=tuple(nas.Objective(*item) for item in directions.items())))
    for number, value in enumerate(values):
        architecture = nas.Architecture("s", (number,), str(number))
        trial = ledger.propose(nas.Proposal(architecture))
        if value is None:
            trial = trial.with_(state="failed", failure=Failure("error", "broken"))
        else:
            metrics = dict(zip(directions, value if isinstance(value, tuple) else (value,), strict=True))
            trial = trial.with_(state=(states or {}).get(number, "complete"), metrics=metrics)
        ledger.observe(trial)
    return ledger.result()


def drawn(picture):
    """Points of every labelled line."""
    (axes,) = picture.figure.axes
    return {
        line.get_label(): np.asarray(line.get_xydata()).tolist() for line in axes.lines if line.get_label()[0] != "_"
    }


def test_every_trial_has_its_mark():
    found = drawn(progress(study([1.0, None, 3.0, 2.0, None], states={3: "pruned"})))
    assert found["complete"] == [[0, 1.0], [2, 3.0]]
    assert found["pruned"] == [[3, 2.0]]
    assert found["failed"] == [[1, 0.0], [4, 0.0]]
    assert found["best so far"][-1] == [4, 3.0]


def test_of_several_objectives_the_first_is_shown():
    picture = progress(study([(1.0, 10.0), (2.0, 5.0)], {"score": "max", "loss": "min"}))
    assert picture.figure.axes[0].get_ylabel() == "score"
    assert drawn(picture)["complete"] == [[0, 1.0], [1, 2.0]]
    assert picture.alt.startswith("score of 2 trials")
    assert progress(study([])) is None


@pytest.mark.parametrize("values", [[(1.0, 1.0), (1.0, 1.0)], [(1.0, 2.0), (1.0, 2.0), (1.0, 2.0)]])
def test_a_volume_of_nothing_is_not_drawn(values):
    assert hypervolume(study(values, {"a": "max", "b": "max"})) is None


def test_a_volume_is_drawn_to_its_end():
    picture = hypervolume(study([(1.0, 1.0), (3.0, 2.0), (2.0, 4.0)], {"a": "max", "b": "max"}))
    (line,) = picture.figure.axes[0].lines
    assert line.get_ydata()[-1] > 0
    assert line.get_xdata()[-1] == 2


@pytest.mark.parametrize(
    ("values", "roles"),
    [
        ([(1.0, 2.0)], ["Pareto front"]),
        ([(1.0, 2.0), (2.0, 1.0)], ["Pareto front"] * 2),
        (
            [(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)],
            ["best a", "middle of the Pareto front", "other end of the Pareto front"],
        ),
    ],
)
def test_networks_of_a_front_are_its_ends_and_its_middle_each_once(values, roles):
    found = study(values, {"a": "max", "b": "max"})
    chosen = _chosen(found, found.trials)
    assert [role for _, role in chosen] == roles
    assert len({trial.number for trial, _ in chosen}) == len(values)

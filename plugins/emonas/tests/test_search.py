"""All parts together: real trainings on digits, the correlation of BOO with size, and the command."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from nasplug_emonas.boo.command import BooCommand
from nasplug_emonas.boo.correlation import Correlation, boo_correlation, pearson, ranks
from nasplug_emonas.boo.counting import count
from nasplug_emonas.boo.formats import BitFormat

import nasplug as nas
from nasplug.cli.app import main
from nasplug.contract.errors import StudyError


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A small search on digits with accuracy and BOO as objectives."""
    file = tmp_path_factory.mktemp("boo") / "digits.sqlite"
    nas.search(
        nas.ImageClassification(limit=150, training=nas.Training(lr=5e-3)),
        space=nas.component("emonas.macro", nodes=3, channels=2),
        strategy=nas.component("emonas", population=3, offspring=3),
        objectives={"val_acc": "max", "boo/ones": "min"},
        costs=["params"],
        trials=9,
        epochs=1,
        batch=3,
        storage=file,
        progress=False,
    )
    return file


def test_a_search_for_few_ones(path):
    study = nas.load_study(path)
    assert [trial.state for trial in study.trials] == ["complete"] * 9
    assert [trial.proposal.info["generation"] for trial in study.trials] == [0] * 3 + [1] * 3 + [2] * 3
    for trial in study.pareto():
        values = trial.values
        assert values["boo/weights"] < values["params"]  # biases and batch normalisation do not count
        assert values["boo/mean"] == values["boo/ones"] / values["boo/weights"]
        assert values["boo/per_mac"] > 0


def test_it_is_the_trained_weights_that_count(path):
    study = nas.load_study(path)
    trial = study.trials[0]
    found = count(study.network(trial), BitFormat.parse("float32"))
    assert found.ones == trial.values["boo/ones"]
    assert found.ones != count(study.build(trial), BitFormat.parse("float32")).ones


def test_in_float32_the_ones_are_a_count_of_weights_and_in_sign_magnitude_less_so(path):
    recorded, plain, fixed = boo_correlation(nas.load_study(path), ["float32", "Q0.7/sign_magnitude"])
    assert (recorded.format, recorded.trials) == ("recorded", 9)
    assert (plain.pearson, plain.spearman) == (recorded.pearson, recorded.spearman)
    assert plain.counts_weights
    assert 0.9 < plain.spearman_params <= 1.0
    assert plain.spread < fixed.spread
    assert plain.pearson > fixed.pearson


def test_what_a_count_of_weights_is():
    def found(spearman, lowest, highest):
        return Correlation("int4", 50, spearman, spearman, math.nan, lowest, highest)

    assert found(0.995, 1.0, 2.0).counts_weights  # the same order
    assert found(0.5, 2.0, 2.08).counts_weights  # networks of one size: a constant
    assert not found(0.98, 1.0, 1.1).counts_weights
    assert not found(math.nan, 0.0, 1.1).counts_weights


def test_the_command_says_so(path, capsys):
    assert main(["boo", str(path), "--format", "int8"]) == 0
    out = capsys.readouterr().out
    assert "recorded: BOO is a count of weights here" in out
    assert "int8 " in out
    assert main(["boo", str(path), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["counts_weights"] is True
    assert main(["boo", str(path), "--format", "int99"]) == 2
    assert "int2 to int16" in capsys.readouterr().err


def test_a_study_with_too_little_in_it(tmp_path):
    study = nas.Ledger().result()
    with pytest.raises(StudyError, match="record the cost `boo`"):
        boo_correlation(study)
    with pytest.raises(StudyError, match="keep weights"):
        boo_correlation(study, ["int8"])
    assert BooCommand.__doc__


def test_ranks_share_their_mean_and_constants_have_no_correlation():
    assert ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [3.5, 1.0, 3.5, 2.0]
    assert math.isnan(pearson(np.ones(3), np.arange(3.0)))
    assert pearson(np.arange(4.0), -np.arange(4.0)) == pytest.approx(-1.0)

from __future__ import annotations

import json
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nasplug as nas
from nasplug.contract.errors import NasplugError, SpecError, TrialError
from nasplug.contract.records import (
    Architecture,
    Budget,
    Constraint,
    Failure,
    Inherit,
    Measurement,
    Objective,
    Proposal,
    Trial,
    freeze,
)

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.floats(-1, 1)
genotypes = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=8)


@given(genotypes)
def test_an_architecture_survives_json(genotype):
    architecture = Architecture("s", freeze(genotype), "key")
    again = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
    assert again == architecture
    assert again.genotype == architecture.genotype
    assert hash(again) == hash(architecture)


def test_architectures_are_equal_by_canonical_key():
    assert Architecture("s", ("a", "no_op"), "a") == Architecture("s", ("no_op", "a"), "a")
    assert Architecture("s", ("a",), "a") != Architecture("t", ("a",), "a")


def test_genotypes_hold_plain_data_only():
    with pytest.raises(TypeError, match="not dict"):
        freeze([{"a": 1}])


def test_a_trial_survives_json():
    trial = Trial(
        7,
        Proposal(
            Architecture("s", ("a",), "a"), {"lr": 0.1}, Budget(3), Inherit(2, "weights"), {"generation": 1}, seed=5
        ),
        state="failed",
        seed=11,
        metrics={"val_acc": 0.1 + 0.2},
        costs={"params": 5.0},
        measurements=(Measurement(0, {"val_acc": 0.25}),),
        artifacts={"weights": "trial-00007/weights.safetensors"},
        failure=Failure("nan", "the loss is nan", "trace"),
        reason="r",
        copied_from=0,
        seconds=1.5,
        edits=({"op": "grow", "layer": "conv1", "by": 4},),
        stages={"fold-0": {"dice": 0.5}},
    )
    assert Trial.from_json(json.loads(json.dumps(trial.to_json()))) == trial
    assert Trial.decode(trial.encode()) == trial


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.1 + 0.2, -0.0, 5e-324, 2**60])
def test_every_number_survives_json(value):
    trial = Trial(
        0,
        Proposal(Architecture("s", ("a",), "a")),
        metrics={"x": value},
        costs={"y": value},
        measurements=(Measurement(1, {"x": value}, "fold"),),
        stages={"fold": {"x": value}},
    )
    again = Trial.decode(trial.encode())
    for found in (again.metrics["x"], again.costs["y"], again.measurements[0].metrics["x"], again.stages["fold"]["x"]):
        assert repr(found) == repr(value)


def test_a_metric_called_nan_is_a_name():
    trial = Trial(0, Proposal(Architecture("nan", ("nan",), "inf"), info={"nan": "nan"}), metrics={"nan": 1.0})
    assert Trial.decode(trial.encode()) == trial


@pytest.mark.parametrize(
    ("text", "values", "violation"),
    [
        ("macs <= 50e6", {"macs": 50e6}, 0.0),
        ("macs <= 50e6", {"macs": 60e6}, 10e6),
        ("val_acc >= 0.9", {"val_acc": 0.8}, pytest.approx(0.1)),
        ("npu/latency_s<=1e-3", {}, float("inf")),
        ("a <= 1", {"a": float("nan")}, float("inf")),
    ],
)
def test_constraints(text, values, violation):
    assert Constraint.parse(text).violation(values) == violation


@pytest.mark.parametrize(
    "text", ["macs < 5", "macs <=", "<= 5", "macs <= many", "macs <= 5 and params <= 3", "__import__('os')"]
)
def test_a_constraint_that_cannot_be_read_says_how_to_write_it(text):
    with pytest.raises(SpecError, match="NAME <= NUMBER"):
        Constraint.parse(text)


def test_an_objective_has_a_direction():
    assert Objective("a", "min").sign == -1
    with pytest.raises(SpecError, match="neither"):
        Objective("a", "up")  # type: ignore[arg-type]


def test_identity_tells_different_trainings_apart():
    base = Proposal(Architecture("s", ("a",), "a"))
    assert base.identity() == Proposal(base.architecture, info={"generation": 9}).identity()
    for other in (
        Proposal(base.architecture, {"lr": 0.1}),
        Proposal(base.architecture, budget=Budget(2)),
        Proposal(base.architecture, inherits=Inherit(1)),
    ):
        assert other.identity() != base.identity()


def test_errors_cross_process_borders():
    for error in (TrialError("nan", "w", where="x", fix="f"), SpecError("w", why="y")):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)
    assert issubclass(TrialError, NasplugError)


def test_a_proposal_that_went_through_another_process_is_written_alike():
    architecture = Architecture("s", ("a",), "a")
    for inherits in (Inherit(3), Inherit(3, "weights")):
        proposal = Proposal(architecture, inherits=inherits)
        assert pickle.loads(pickle.dumps(proposal)).to_json() == proposal.to_json()


def _with_numbers(number, value):
    return nas.Trial(
        number,
        nas.Proposal(nas.Architecture("s", ("a", ("b", (1, ("c",)))), "k")),
        metrics={"score": value, "n": 3},
        costs={"params": value},
        measurements=(nas.Measurement(1, {"loss": value}, "fold"), nas.Measurement(2, {"loss": 0.5})),
        stages={"fold": {"loss": value}},
    )


@pytest.mark.parametrize("odd", [float("inf"), float("-inf"), float("nan")])
def test_many_trials_are_decoded_as_one_by_one_also_with_numbers_that_are_not_finite(odd):
    trials = [_with_numbers(number, odd if number in (3, 2100) else number / 7) for number in range(2200)]
    texts = [trial.encode().decode() for trial in trials]
    assert [repr(trial) for trial in nas.Trial.decode_all(texts)] == [repr(trial) for trial in trials]
    assert [repr(nas.Trial.decode(text)) for text in texts[:5]] == [repr(trial) for trial in trials[:5]]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"score":1.0', '"score":"large"'),
        lambda text: text.replace('"score":1.0', '"score":true'),
        lambda text: text.replace('"score":1.0', '"score":[1.0]'),
        lambda text: f"{text},{text}",
        lambda text: text[:-1],
        lambda text: "[]",
        lambda text: "",
    ],
)
def test_what_is_not_a_trial_is_refused_alone_and_among_many(change):
    text = _with_numbers(0, 1.0).encode().decode()
    wrong = change(text)
    assert wrong != text
    with pytest.raises(ValueError):
        nas.Trial.decode(wrong)
    with pytest.raises(ValueError):
        nas.Trial.decode_all([text, wrong, text])

import pytest
import yaml

from nasplug.contract.errors import SpecError
from nasplug.contract.grammar import divide, parse
from nasplug.contract.ranges import Categorical, FloatRange, IntRange
from nasplug.run.spec import apply_override


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{low: 1.0e-4, high: 1.0e-1, log: true}", FloatRange(1e-4, 1e-1, log=True)),
        ("{low: 16, high: 64, step: 16}", IntRange(16, 64, step=16)),
        ("{low: 16, high: 64}", IntRange(16, 64)),
        ("{low: 0, high: 1, type: float}", FloatRange(0.0, 1.0)),
        ("{low: 1, high: 0x40, log: true, type: int}", IntRange(1, 64, log=True)),
        ("{low: 0, high: 0.9}", FloatRange(0.0, 0.9)),
        ("{low: 0, high: 1, step: 0.25}", FloatRange(0.0, 1.0, step=0.25)),
        ("{choices: [16, 32, 64]}", Categorical((16, 32, 64))),
        ("{choices: [16, 32]}", Categorical((16, 32))),
        ("{choices: [only]}", Categorical(("only",))),
        ("{choices: [a, b], weights: [0.75, 0.25]}", Categorical(("a", "b"), (0.75, 0.25))),
        ("{choices: ['1', '2']}", Categorical(("1", "2"))),
        ("[32, 64]", IntRange(32, 64)),
        ("[32.0, 64]", FloatRange(32.0, 64.0)),
        ("[0.0, 0.9]", FloatRange(0.0, 0.9)),
        ("[1.0e-4, 1.0e-1, log]", FloatRange(1e-4, 1e-1, log=True)),
        ("[0.1, 0.5, linear]", FloatRange(0.1, 0.5)),
        ("[8, 64, int]", IntRange(8, 64)),
        ("[8.0, 64.0, int]", IntRange(8, 64)),
        ("[8, 64, int, log]", IntRange(8, 64, log=True)),
        ("[8, 64, log, int]", IntRange(8, 64, log=True)),
        ("[8, 64, log]", IntRange(8, 64, log=True)),
        ("[8, 64, float]", FloatRange(8.0, 64.0)),
        ("[16, 32, 64]", Categorical((16, 32, 64))),
        ("[0.1, 0.2, 0.4, 0.8]", Categorical((0.1, 0.2, 0.4, 0.8))),
        ("[adam, sgd]", Categorical(("adam", "sgd"))),
        ("[log, linear]", Categorical(("log", "linear"))),
        ("[true, false]", Categorical((True, False))),
        ("[16, 32, null]", Categorical((16, 32, None))),
        ("[auto, 16]", Categorical(("auto", 16))),
        ("[1, null]", Categorical((1, None))),
    ],
)
def test_what_a_form_means(text, expected):
    assert parse(yaml.safe_load(text), where="x") == expected


def test_records_and_tuples_are_read_too():
    assert parse(IntRange(1, 2), where="x") == IntRange(1, 2)
    assert parse((1, 2.5), where="x") == FloatRange(1.0, 2.5)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "not a range"),
        (3, "not a range"),
        ("adam", "not a range"),
        ([], "nothing to choose"),
        ([0.1], "without brackets"),
        ([0.1, "log"], "two bounds"),
        ([0.1, 0.2, "lgo"], r"did you mean 'log'\?(.|\n)*choices"),
        ([0.1, 0.2, "log", 3], "two numbers"),
        ([1, 2, 3, "log"], "two numbers"),
        ([1, 2, "log", "log"], "at most once"),
        ([1, 2, "log", "linear"], "at most once"),
        ([1, 2, "int", "float"], "at most once"),
        ([0.5, 2, "int"], "not an integer"),
        ([2, 1], "swap the bounds"),
        ([1, 1], "write the value alone"),
        ([0, 1, "log"], "above 0"),
        (["1e-4", "1e-1", "log"], "looks like a number"),
        ([1, [2, 3]], "a list holds"),
        (["a", "a"], "repeated"),
        ([1, 2, True], "repeated"),
        ({}, "low is missing"),
        ({"low": 1}, "high is missing"),
        ({"low": 1, "hihg": 2}, "did you mean 'high'"),
        ({"low": "1", "high": 2}, "'1' is not a number"),
        ({"low": 1, "high": 2, "log": "yes"}, "true or false"),
        ({"low": 1, "high": 2, "type": "whole"}, "type must be int or float"),
        ({"low": 1, "high": 10, "step": 4}, "high: 9"),
        ({"low": 1, "high": 2.5, "type": "int"}, "not an integer"),
        ({"choices": "adam"}, "choices are a list"),
        ({"choices": []}, "no options"),
        ({"choices": [1, {}]}, "choices are a list"),
        ({"choices": [1, 2], "low": 3}, "there is no key 'low'"),
        ({"choices": [1, 2], "weights": [1]}, "distribution"),
        ({"choices": [1, 2], "weights": "even"}, "weights are a list"),
    ],
)
def test_errors_say_where_and_what_to_do(value, message):
    with pytest.raises(SpecError, match=message) as caught:
        parse(value, where="hyperparameters.lr")
    assert caught.value.where == "hyperparameters.lr"
    assert caught.value.fix


def test_searched_and_fixed_hyperparameters():
    given = {"lr": [1e-3, 1e-1, "log"], "optimizer": "sgd", "width": [16, 32, 64], "nesterov": True, "clip": None}
    searched, fixed = divide(given, where="hyperparameters")
    assert searched == {"lr": FloatRange(1e-3, 1e-1, log=True), "width": Categorical((16, 32, 64))}
    assert fixed == {"optimizer": "sgd", "nesterov": True, "clip": None}
    with pytest.raises(SpecError, match=r"^hyperparameters\.lr: cannot read"):
        divide({"lr": [1]}, where="hyperparameters")


def test_the_command_line_reads_numbers_in_this_form():
    data = {}
    apply_override(data, "hyperparameters.lr={low: 1e-4, high: 1e-1, log: true}")
    assert parse(data["hyperparameters"]["lr"], where="x") == FloatRange(1e-4, 1e-1, log=True)

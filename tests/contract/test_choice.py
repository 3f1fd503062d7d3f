import pytest

from nasplug.contract.choice import Choice, nest
from nasplug.contract.errors import SpaceError, SpecError
from nasplug.contract.ranges import Categorical, FloatRange, IntRange


def test_listed_options_stay_as_they_are():
    choice = Choice("width", (16, 32), (0.5, 0.5))
    assert (choice.options, choice.weights, choice.when) == ((16, 32), (0.5, 0.5), None)
    assert choice.domain == Categorical((16, 32), (0.5, 0.5))
    assert (choice.gene(32), choice.value(1), choice.continuous) == (1, 32, False)
    assert hash(choice) == hash(Choice("width", [16, 32], (0.5, 0.5)))


def test_ranges_are_read_in_the_one_grammar():
    assert Choice("lr", {"low": 1e-4, "high": 1e-1, "log": True}).options == FloatRange(1e-4, 1e-1, log=True)
    assert Choice("n", {"low": 1, "high": 4}).domain == IntRange(1, 4)
    weighted = Choice("op", {"choices": ["a", "b"], "weights": [0.25, 0.75]})
    assert (weighted.options, weighted.weights) == (("a", "b"), (0.25, 0.75))
    with pytest.raises(SpecError, match=r"choice 'lr': cannot read"):
        Choice("lr", {"low": 1})


def test_genes_of_ranges():
    units = Choice("units", IntRange(16, 64, step=16))
    assert (units.gene(48), units.value(2), units.continuous) == (2, 48, False)
    rate = Choice("rate", FloatRange(0.0, 1.0))
    assert (rate.gene(0.5), rate.value(0.5), rate.continuous) == (0.5, 0.5, True)
    for choice, wrong in ((units, 17), (rate, 2.0), (Choice("op", ("a",)), "b")):
        with pytest.raises(ValueError, match="is not in"):
            choice.gene(wrong)


def test_conditions_are_lists_of_values_or_ranges():
    choice = Choice("x", (1,), when={"a": "conv", "b": ["x", "y"], "c": [1, 9], "d": {"low": 1, "high": 3}, "e": None})
    assert choice.when == {"a": ("conv",), "b": ("x", "y"), "c": (1, 9), "d": IntRange(1, 3), "e": (None,)}
    assert Choice("x", (1,), when={}).when is None
    assert Choice("x", (1,), when={"a": {"choices": [1, 2]}}).when == {"a": (1, 2)}


def test_what_cannot_be_is_refused():
    with pytest.raises(SpaceError, match="takes no weights"):
        Choice("x", IntRange(1, 2), (0.5, 0.5))
    with pytest.raises(SpaceError, match="allows no value"):
        Choice("x", (1,), when={"a": []})
    with pytest.raises(SpecError, match="when 'a'"):
        Choice("x", (1,), when={"a": {"lo": 1}})


def test_nested_choices_are_renamed_with_their_conditions():
    inner = (Choice("k", (3, 5), (0.5, 0.5)), Choice("d", (1, 2), when={"k": 3}))
    first, second = nest("cell", inner, {"op": "conv"})
    assert first == Choice("cell.k", (3, 5), (0.5, 0.5), {"op": "conv"})
    assert second == Choice("cell.d", (1, 2), when={"op": "conv", "cell.k": 3})
    assert nest("cell", inner)[0].when is None

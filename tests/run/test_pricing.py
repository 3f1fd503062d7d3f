"""What cost plugins answer: numbers in a namespace of their own, each from one of them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nasplug.contract.errors import PluginError, SpaceError
from nasplug.run.pricing import price


def plugin(name, answer, trained=False):
    def call(candidate, target):
        if isinstance(answer, Exception):
            raise answer
        return answer

    return SimpleNamespace(name=name, needs_trained_weights=trained, call=call)


def priced(*plugins, trained=False, known=None, target=None):
    return price(list(plugins), None, target, trained=trained, known=known or {})


def test_answers_are_put_together_as_floats():
    found = priced(plugin("a", [{"a": 1, "a/b": 2.5}, None]), plugin("b", [{}]))
    assert found == {"a": 1.0, "a/b": 2.5}
    assert {type(value) for value in found.values()} == {float}


def test_only_those_that_are_due_are_asked():
    early, late = plugin("early", [{"early": 1}]), plugin("late", [{"late": 2}], trained=True)
    assert priced(early, late) == {"early": 1.0}
    assert priced(early, late, trained=True, known={"early": 1.0}) == {"late": 2.0}


def test_a_target_answers_under_its_own_family():
    assert priced(plugin("target", [{"npu/energy": 3}]), target=SimpleNamespace(name="npu:edge")) == {"npu/energy": 3.0}


@pytest.mark.parametrize(
    ("plugins", "known", "why"),
    [
        ([("a", [3])], {}, "answers 3, not a mapping"),
        ([("a", [{1: 2}])], {}, "answers the key 1"),
        ([("a", [{"b": 2}])], {}, "outside its namespace 'a'"),
        ([("a", [{"a": 2}, {"a": 3}])], {}, "answers 'a', which cost 'a' answers too"),
        ([("a", [{"a": 2}]), ("a", [{"a": 3}])], {}, "answers 'a', which cost 'a' answers too"),
        ([("a", [{"a": 2}])], {"a": 1.0}, "answers 'a', which an earlier cost answers too"),
        ([("a", [{"a": "2"}])], {}, "answers '2' for 'a', which is not a number"),
        ([("a", [{"a": None}])], {}, "answers None for 'a', which is not a number"),
    ],
)
def test_anything_else_is_the_fault_of_the_plugin_by_name(plugins, known, why):
    with pytest.raises(PluginError) as caught:
        priced(*(plugin(*each) for each in plugins), known=known)
    assert why in str(caught.value)
    assert "cost 'a'" in str(caught.value)


def test_an_error_of_ours_keeps_its_kind_and_names_the_cost():
    with pytest.raises(SpaceError) as caught:
        priced(plugin("a", SpaceError("too wide", where="layer 3")))
    assert "cost 'a'" in str(caught.value)
    assert "layer 3" in str(caught.value)

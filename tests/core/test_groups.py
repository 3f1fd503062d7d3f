"""Groups of settings in constructors, as plain data and as records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest

from nasplug.contract.errors import SpecError
from nasplug.plugins.catalog import Catalog
from nasplug.plugins.component import Component, component, instantiate
from nasplug.plugins.groups import groups_of


@dataclass(frozen=True)
class Training:
    lr: float = 0.1
    kind: Literal["sgd", "adam"] = "sgd"
    window: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise SpecError(f"lr must be > 0, got {self.lr}")


@dataclass(frozen=True)
class Other:
    lr: float = 0.2
    decay: float = 0.0


class Search:
    nasplug_renamed: ClassVar = {"force": "other.decay"}

    def __init__(
        self, rounds: int = 1, training: Training = Training(lr=0.3), other: Other | None = None, free: Other | str = ""
    ) -> None:
        self.rounds, self.training, self.other, self.free = rounds, training, other, free

    def propose(self, study, count):
        return []


@pytest.fixture
def make(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or __import__(__name__))
    catalog = Catalog()
    catalog.strategy("search", f"{__name__}:Search")

    def made(**arguments):
        return instantiate("strategy", component("search", **arguments), catalog, where="strategy")

    return made


def test_what_is_a_group():
    assert groups_of({"a": Training, "b": Other | None, "c": Other | str, "d": int, "e": list[Other]}) == {
        "a": Training,
        "b": Other,
    }


def test_settings_are_converted_and_the_others_keep_the_default(make):
    search = make(training={"kind": "adam", "window": [1, 2.5]})
    assert search.training == Training(lr=0.3, kind="adam", window=(1.0, 2.5))
    assert make(other={"decay": 1}).other == Other(decay=1.0)
    assert make().other is None
    assert make(other=None).other is None
    assert make(training={}).training == Training(lr=0.3)


def test_a_ready_record_is_taken_as_it_is(make):
    record = Training(lr=0.7)
    assert make(training=record, rounds=3).training is record


def test_yaml_gives_the_same(make):
    import yaml

    text = "search: {training: {lr: 0.5}, other: {decay: 0.25}}"
    parsed = Component.parse(yaml.safe_load(text), where="strategy")
    assert make(**parsed.args).training.lr == 0.5
    assert parsed.to_plain() == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"training": {"lrr": 0.5}}, "unknown setting 'lrr' in 'training'[\\s\\S]*did you mean 'lr'"),
        ({"training": {"kind": "adma"}}, "takes one of 'sgd', 'adam', and was given 'adma'"),
        ({"training": {"lr": -1.0}}, "lr must be > 0"),
        ({"training": "sgd"}, "'training' is a group of settings, got 'sgd'[\\s\\S]*lr, kind, window"),
        ({"training": None}, "'training' is a group of settings, got None"),
        ({"training": [0.5]}, "'training' is a group of settings"),
        ({"other": 0.5}, "'other' is a group of settings, got 0.5"),
    ],
)
def test_what_is_wrong_is_named(make, arguments, message):
    with pytest.raises(SpecError, match=message):
        make(**arguments)


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("window", "write training: {window: ...}"),
        ("lr", "write training: {lr: ...} or other: {lr: ...}"),
        ("other_lr", "write other: {lr: ...}"),
        ("weight_decay", "write other: {decay: ...}"),
        ("force", "write other: {decay: ...}"),
        ("roundz", "did you mean 'rounds'"),
    ],
)
def test_an_argument_outside_its_group_is_told_where_it_belongs(make, name, fix):
    with pytest.raises(SpecError, match=f"there is no argument '{name}'") as caught:
        make(**{name: 0.5})
    assert fix in str(caught.value)

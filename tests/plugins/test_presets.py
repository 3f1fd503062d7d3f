from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from nasplug.contract.errors import SpecError, UnknownNameError
from nasplug.plugins.catalog import Catalog
from nasplug.plugins.component import component, instantiate
from nasplug.plugins.groups import groups_of, takes_changes
from nasplug.plugins.presets import Changes, choose


@dataclass(frozen=True, slots=True)
class Settings:
    size: int = 10
    rate: float = 0.5

    def __post_init__(self) -> None:
        if self.size < 1:
            raise SpecError(f"size must be >= 1, got {self.size}")


NAMED = {"small": Settings(2), "large": Settings(100, 0.25)}


class Search:
    def __init__(self, preset: str = "small", evolution: Changes[Settings] = None) -> None:
        self.settings = choose(NAMED, preset, evolution, where="search")

    def propose(self, study: Any, count: int) -> list[Any]:
        return []


def made(**arguments: Any) -> Any:
    catalog = Catalog()
    catalog.strategy("search", f"{__name__}:Search")
    return instantiate("strategy", component("search", **arguments), catalog, where="strategy").settings


def test_what_is_not_changed_is_the_preset_s():
    assert made() == Settings(2, 0.5)
    assert made(preset="large") == Settings(100, 0.25)
    assert made(preset="large", evolution={"size": 7}) == Settings(7, 0.25)
    assert made(preset="large", evolution={}) == made(preset="large", evolution=None) == NAMED["large"]


def test_values_are_converted_like_any_argument():
    assert isinstance(made(evolution={"rate": 1}).rate, float)
    with pytest.raises(SpecError, match="wrong type"):
        made(evolution={"size": "many"})


def test_a_whole_record_takes_the_place_of_the_preset():
    record = Settings(3, 0.75)
    assert made(preset="large", evolution=record) is record
    assert choose(NAMED, "large", record, where="search") is record


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"preset": "smal"}, UnknownNameError, "there is no preset 'smal'(.|\n)*did you mean 'small'"),
        ({"evolution": {"sise": 1}}, SpecError, "'sise'(.|\n)*did you mean 'size'"),
        ({"evolution": {"size": 0}}, SpecError, "size must be >= 1"),
        ({"evolution": "large"}, SpecError, "group of settings"),
        ({"size": 3}, SpecError, r"write evolution: \{size: ...\}"),
    ],
)
def test_what_is_wrong_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        made(**arguments)


def test_python_callers_get_the_same_refusals():
    with pytest.raises(SpecError, match="did you mean 'size'"):
        choose(NAMED, "small", {"sise": 1}, where="search")
    with pytest.raises(SpecError, match="expected settings by name or a Settings"):
        choose(NAMED, "small", 5, where="search")  # type: ignore[arg-type]


def test_changes_are_a_group():
    hints = {"a": Changes[Settings], "b": Settings | None, "c": dict[str, int]}
    assert groups_of(hints) == {"a": Settings, "b": Settings}
    assert [takes_changes(hint) for hint in hints.values()] == [True, False, False]

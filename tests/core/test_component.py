"""Plain data become configured objects, or one clear error."""

from __future__ import annotations

import sys

import pytest

from nasplug.contract.errors import SpecError, UnknownNameError
from nasplug.contract.protocols import Strategy
from nasplug.plugins.catalog import Catalog
from nasplug.plugins.component import Component, component, instantiate


class Inner:
    def __init__(self, size: int = 1) -> None:
        self.size = size

    def propose(self, study, count):
        return []


class Outer:
    def __init__(
        self,
        inner: Strategy,
        rate: float = 0.5,
        name: str | None = None,
        shape: tuple[int, ...] = (),
        others: list[Strategy] = (),
    ) -> None:
        self.inner, self.rate, self.name, self.shape, self.others = inner, rate, name, shape, others


class Free:
    def __init__(self, **options) -> None:
        self.options = options


class Picky:
    def __init__(self, low: int, high: int) -> None:
        if low > high:
            raise ValueError("Did you swap low and high?")


class Unreadable:
    __signature__ = "not a signature"


@pytest.fixture
def catalog():
    catalog = Catalog()
    for cls in (Inner, Outer, Free, Picky, Unreadable):
        catalog.strategy(cls.__name__.lower(), f"{__name__}:{cls.__name__}")
    return catalog


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or __import__(__name__))


def make(catalog, data):
    return instantiate("strategy", Component.parse(data, where="strategy"), catalog, where="strategy")


def test_components_nest_by_annotation(catalog):
    outer = make(
        catalog, {"outer": {"inner": {"inner": {"size": 3}}, "rate": 1, "others": ["inner", {"inner": {"size": 2}}]}}
    )
    assert outer.inner.size == 3
    assert outer.rate == 1.0
    assert [other.size for other in outer.others] == [1, 2]


def test_ready_objects_pass_through(catalog):
    ready = Inner(9)
    assert make(catalog, component("outer", inner=ready)).inner is ready


def test_values_are_converted_by_annotation(catalog):
    assert make(catalog, {"outer": {"inner": "inner", "shape": [3, 32, 32]}}).shape == (3, 32, 32)
    assert make(catalog, {"free": {"anything": [1]}}).options == {"anything": [1]}


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        ({"outer": {"inner": "iner"}}, UnknownNameError, "did you mean 'inner'"),
        ({"outer": {"inner": "inner", "rte": 1}}, SpecError, "did you mean 'rate'"),
        ({"outer": {"inner": "inner", "rate": "fast"}}, SpecError, "wrong type"),
        ({"outer": {}}, SpecError, "'inner' is missing"),
        (
            {"outer": {"inner": {"inner": {"size": "x"}}}},
            SpecError,
            r"outer\.inner: inner: the argument 'size' has the wrong type\nWhy: it takes int, and was given 'x'",
        ),
        ({"picky": {"low": 2, "high": 1}}, SpecError, "Did you swap"),
        ({"a": {}, "b": {}}, SpecError, "cannot read"),
        (5, SpecError, "cannot read 5"),
    ],
)
def test_mistakes_are_named_where_they_are(catalog, data, error, match):
    with pytest.raises(error, match=match):
        make(catalog, data)


def test_plain_form_is_the_shortest():
    assert component("a").to_plain() == "a"
    assert component("a", inner=component("b", x=1)).to_plain() == {"a": {"inner": {"b": {"x": 1}}}}
    assert Component("m.C", is_path=True).to_plain() == {"class_path": "m.C"}


@pytest.mark.parametrize("kind", ["class", "function", "dataclass"])
def test_what_only_type_checkers_import_is_not_imported(kind, tmp_path, monkeypatch, catalog):
    (tmp_path / "heavy_as_lead.py").write_text("class Lead: ...\n")
    made = {
        "class": "class Light:\n    def __init__(self, rate: float = 0.5, shape: tuple[int, ...] = ()) -> None:\n"
        "        self.rate, self.shape = rate, shape\n    def lead(self) -> Lead: ...\n",
        "function": "class Made:\n    pass\n\ndef Light(rate: float = 0.5, shape: tuple[int, ...] = ()) -> Any:\n"
        "    made = Made()\n    made.rate, made.shape = rate, shape\n    return made\n",
        "dataclass": "@dataclass\nclass Light:\n    rate: float = 0.5\n    shape: tuple[int, ...] = ()\n",
    }[kind]
    (tmp_path / f"light_{kind}.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "from typing import TYPE_CHECKING, Any\n"
        f"if TYPE_CHECKING:\n    from heavy_as_lead import Lead\n\n{made}"
    )
    monkeypatch.syspath_prepend(tmp_path)
    catalog.strategy("light", f"light_{kind}:Light")
    light = make(catalog, {"light": {"rate": 1, "shape": [1, 2]}})
    assert (light.rate, light.shape) == (1.0, (1, 2))
    assert "heavy_as_lead" not in sys.modules
    with pytest.raises(SpecError, match="rate"):
        make(catalog, {"light": {"rate": "fast"}})


class PartlyHidden:
    """A constructor of which one annotation exists for type checkers only."""

    def __init__(self, inner: Strategy, model: OnlyForTypeCheckers | None = None) -> None:  # type: ignore[name-defined]  # noqa: F821
        self.inner, self.model = inner, model


def test_one_annotation_for_type_checkers_does_not_hide_the_others(catalog):
    catalog.strategy("hidden", f"{__name__}:PartlyHidden")
    made = make(catalog, {"hidden": {"inner": "inner"}})
    assert type(made.inner) is type(make(catalog, "inner"))


def test_a_class_whose_arguments_cannot_be_known_is_refused_by_name(catalog):
    with pytest.raises(SpecError) as caught:
        make(catalog, "unreadable")
    assert str(caught.value).startswith("strategy: unreadable: this cannot be configured")
    assert "__signature__" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "is_path"),
    [("my_space.Mlp", True), ("a.b.Net", True), ("qnas.conv", False), ("timm", False), ("Mlp", False), (".Mlp", False)],
)
def test_a_name_that_ends_in_a_class_is_a_class_path(name, is_path):
    made = component(name, width=3)
    assert made.is_path == is_path
    assert made.to_plain() == ({"class_path": name, "init_args": {"width": 3}} if is_path else {name: {"width": 3}})


def test_an_unknown_name_with_a_dot_says_how_a_class_is_written():
    with pytest.raises(UnknownNameError, match=r"there is no space 'my.space'[\s\S]*\{class_path: my.space\}"):
        Catalog().get("space", "my.space")
    with pytest.raises(UnknownNameError) as caught:
        Catalog().get("space", "mine")
    assert "class_path" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ({"dimensions": 4}, "'dimensions' has the wrong type\nWhy: it takes one of 2, 3, and was given 4"),
        ({"loss": {"name": "lovasz"}}, "'loss.name' has the wrong type\nWhy: it takes one of 'dice', 'dice_ce', "),
        ({"data": {"mask_folder": {"path": "a", "classes": ["a", "b"]}}}, r"Why: it takes Mapping\[str, int\]"),
    ],
)
def test_a_wrong_type_is_said_in_words_of_the_file(data, match):
    from nasplug.plugins.discovery import discover

    with pytest.raises(SpecError, match=match) as caught:
        instantiate(
            "task", Component("segmentation", {"data": "brain_template", **data}), discover().catalog, where="t"
        )
    assert "jsonargparse" not in str(caught.value)
    assert "<class" not in str(caught.value)
    assert "Do: " in str(caught.value)


def test_a_path_in_the_place_of_a_name_is_told_where_it_belongs(catalog):
    with pytest.raises(UnknownNameError, match=r"the component that reads it: \{NAME: \{path: data/Task04\}\}"):
        make(catalog, "data/Task04")

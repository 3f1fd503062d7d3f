"""The suites for everything that an installed plugin announces; what `nasplug test-plugin` runs."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import nasplug.testing as suites_by_name
from nasplug.contract.errors import UnknownNameError, did_you_mean
from nasplug.plugins.catalog import Catalog, Entry
from nasplug.plugins.component import Component, instantiate
from nasplug.plugins.discovery import Discovery, Plugin, discover
from nasplug.plugins.packages import is_installed, known

#: Kinds that have a suite, with the factory method that the suite wants.
_SUITES = {
    "strategy": ("StrategyConformance", "make_strategy"),
    "space": ("SpaceConformance", "make_space"),
    "evaluator": ("EvaluatorConformance", "make_evaluator"),
    "cost": ("CostConformance", "make_cost"),
    "target": ("TargetConformance", "make_target"),
    "wrapper": ("WrapperConformance", "make_wrapper"),
    "executor": ("ExecutorConformance", "make_executor"),
    "tracker": ("TrackerConformance", "make_tracker"),
    "exporter": ("ExporterConformance", "make_exporter"),
}


@dataclass(frozen=True, slots=True)
class Announcement:
    """How an announcing module behaves when it is imported in a fresh process.

    Attributes:
        milliseconds: Time of the import, once nasplug itself is there.
        heavy: Libraries it pulled in that it should leave to its components.
    """

    milliseconds: float
    heavy: tuple[str, ...]


def find_plugin(name: str, found: Discovery) -> Plugin:
    """The plugin of that name: entry point, module or file stem, distribution, or distribution without `nasplug-`.

    Raises:
        UnknownNameError: None is installed.
    """
    wanted = name.replace("_", "-")
    for plugin in found.plugins:
        distribution = plugin.distribution.split(" ")[0]
        if name in (plugin.name, plugin.module) or wanted in (distribution, distribution.removeprefix("nasplug-")):
            return plugin
    ours = next((package for package in known() if wanted in (package, package.removeprefix("nasplug-"))), None)
    raise UnknownNameError(
        f"no plugin {name!r} is installed",
        fix=f"pip install {ours}"
        if ours and not is_installed(ours)
        else f"{did_you_mean(name, [plugin.name for plugin in found.plugins])}. Inside its folder: pip install -e .",
    )


def entries_of(plugin: Plugin, found: Discovery) -> list[Entry]:
    """Everything that the plugin's distribution announces."""
    return [entry for entry in found.catalog.entries() if entry.distribution == plugin.distribution]


def announcement(module: str) -> Announcement:
    """Imports an announcing module in a process of its own, and looks at what it brings along."""
    program = (
        "import importlib, json, sys, time; import nasplug; nasplug.hookimpl; nasplug.Catalog; "
        "start = time.perf_counter(); importlib.import_module(sys.argv[1]); "
        "ms = 1000 * (time.perf_counter() - start); "
        "heavy = [n for n in ('torch', 'pytorch_lightning', 'lightning', 'timm') if n in sys.modules]; "
        "print(json.dumps([ms, heavy]))"
    )
    command = [sys.executable, "-c", program, module.partition(":")[0]]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    milliseconds, heavy = json.loads(answer.stdout.splitlines()[-1])
    return Announcement(milliseconds, tuple(heavy))


def suites(name: str, files: Sequence[str | Path] = ()) -> dict[str, type]:
    """A test class for the announcement and for every component, by class name.

    A component is configured with its defaults. If its constructor needs arguments, it offers examples: a class method
    `nasplug_examples()`, or a function of that name in the module of a factory function, that returns a list of keyword
    arguments; each one is tested. A class attribute `nasplug_conformance`, or a class method of that name, replaces
    attributes of the suite, such as `{"trials": 120}`.

    Args:
        name: See `find_plugin`.
        files: Single-file plugins to load as well.
    """
    found = discover(files)
    plugin = find_plugin(name, found)
    made: dict[str, type] = {}
    if plugin.distribution.split(" ")[0] != "file":
        made["TestAnnouncement"] = type("TestAnnouncement", (AnnouncementRules,), {"module": plugin.module})
    for entry in entries_of(plugin, found):
        title = f"Test{_camel(entry.kind)}{_camel(entry.name)}"
        made[title] = type(title, (ComponentRules,), {"entry": entry})
        if entry.kind in _SUITES:
            made.update(_conformance(title, entry, found.catalog))
    return made


class AnnouncementRules:
    """What the announcing module must keep to."""

    module: str

    def test_it_imports_no_torch(self) -> None:
        """Listing plugins and `nasplug --help` stay fast only if announcing loads nothing heavy."""
        brought = announcement(self.module).heavy
        assert not brought, f"{self.module} imports {', '.join(brought)}; announce lazily, as 'module:Attribute'"


class ComponentRules:
    """What every announced component must keep to."""

    entry: Entry

    def test_it_loads(self) -> None:
        """The announced location exists."""
        assert callable(self.entry.load()) or self.entry.kind == "command"

    def test_it_is_documented(self) -> None:
        """It has a summary for listings, and a docstring for `nasplug list`."""
        assert self.entry.summary.strip(), "give `summary=` when announcing"
        assert (inspect.getdoc(self.entry.load()) or "").strip(), "write a docstring"


def _conformance(title: str, entry: Entry, catalog: Catalog) -> dict[str, type]:
    """Suites for one component, one per example."""
    suite_name, method = _SUITES[entry.kind]
    suite = getattr(suites_by_name, suite_name)
    try:
        factory = entry.load()
    except Exception:  # ComponentRules reports it
        return {}
    examples = examples_of(factory)
    if examples is None:
        return {f"{title}Conformance": type(f"{title}Conformance", (_NeedsExamples,), {"entry": entry})}
    made = {}
    for position, arguments in enumerate(examples):
        replaced = getattr(factory, "nasplug_conformance", {})
        attributes = {**_attributes(entry, factory), **dict(replaced() if callable(replaced) else replaced)}
        attributes[method] = _maker(entry, arguments, catalog)
        class_name = f"{title}Conformance" + (str(position) if len(examples) > 1 else "")
        made[class_name] = type(class_name, (suite,), attributes)
    return made


class _NeedsExamples:
    entry: Entry

    def test_conformance(self) -> None:
        """Says how to have the component tested."""
        pytest.skip(
            f"the constructor of {self.entry.kind} {self.entry.name!r} needs arguments; give it a class method "
            "nasplug_examples() that returns a list of keyword arguments"
        )


def examples_of(factory: Any) -> list[Mapping[str, Any]] | None:
    """Keyword arguments to try a component with; None if it needs some and offers none."""
    offered = getattr(factory, "nasplug_examples", None)
    if offered is None and not isinstance(factory, type):
        offered = getattr(sys.modules.get(factory.__module__), "nasplug_examples", None)
    if offered is not None:
        return list(offered())
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            return None
    return [{}]


def _attributes(entry: Entry, factory: Any) -> dict[str, Any]:
    """What the suites want to know, as far as the component itself says it."""
    if entry.kind == "cost":
        return {"name": entry.name}
    if entry.kind == "target":
        return {"names": tuple(getattr(factory, "variants", ())) or (entry.name,)}
    if entry.kind == "evaluator" and getattr(factory, "needs_task", False):
        return {"make_task": lambda self: _small_task()}
    return {}


def _small_task() -> Any:
    """A task with real data that needs no file, and with two folds for evaluators that ask for them."""
    from nasplug.data import Split
    from nasplug.tasks import ImageClassification

    class Digits(ImageClassification):
        """Digits; each fold holds out other images."""

        folds = 2

        def fold(self, index: int) -> ImageClassification:
            """The task of one fold."""
            return ImageClassification(split=Split(seed=index))

    return Digits()


def _maker(entry: Entry, arguments: Mapping[str, Any], catalog: Catalog) -> Any:
    """A factory method: built through the catalogue, with the checks that a specification gets."""

    def make(self: Any) -> Any:
        return instantiate(entry.kind, Component(entry.name, dict(arguments)), catalog, where=entry.kind)

    return make


def _camel(text: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in text.replace(".", "_").replace(":", "_").split("_"))

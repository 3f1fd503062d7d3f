"""Asking cost plugins: who is due, in which namespace, and one owner per key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nasplug.contract.errors import NasplugError, PluginError
from nasplug.contract.protocols import HardwareTarget
from nasplug.cost.candidate import Candidate
from nasplug.plugins.catalog import Catalog
from nasplug.plugins.component import Component
from nasplug.plugins.manager import Manager

#: How cost plugins are told from others in a study's plugin manager.
PREFIX = "cost:"


@dataclass(frozen=True)
class CostCaller:
    """One cost plugin, callable with all wrappers of the `cost` hook around it."""

    name: str
    needs_trained_weights: bool
    call: Callable[..., list[Mapping[str, float] | None]]


def price(
    costs: list[CostCaller],
    candidate: Candidate | None,
    target: HardwareTarget | None,
    *,
    trained: bool,
    known: Mapping[str, float],
) -> dict[str, float]:
    """Asks the cost plugins that are due and merges their answers.

    Args:
        costs: All cost plugins.
        candidate: Candidate to price.
        target: The run's hardware target.
        trained: Whether to ask the plugins that need trained weights, or those that do not.
        known: Costs answered earlier, which must not be answered again.

    Raises:
        PluginError: A key outside the plugin's namespace, answered twice, or a value that is not a number.
    """
    owners = dict.fromkeys(known, "an earlier cost")
    values: dict[str, float] = {}
    family = "" if target is None else target.name.split(":")[0]
    for plugin in costs:
        if plugin.needs_trained_weights != trained:
            continue
        where = f"cost {plugin.name!r}"
        try:
            answers = plugin.call(candidate=candidate, target=target)
        except NasplugError as error:
            raise error.within(where) from error.__cause__
        for answer in answers:
            if answer is not None and not isinstance(answer, Mapping):
                raise PluginError(f"answers {answer!r:.100}, not a mapping of names to numbers", where=where)
            for key, value in (answer or {}).items():
                if not isinstance(key, str):
                    raise PluginError(f"answers the key {key!r:.100}, which is not a text", where=where)
                if key.split("/")[0] not in (plugin.name, family):
                    raise PluginError(f"answers {key!r}, outside its namespace {plugin.name!r}", where=where)
                if key in owners:
                    raise PluginError(f"answers {key!r}, which {owners[key]} answers too", where=where)
                try:
                    if isinstance(value, str):
                        raise TypeError
                    values[key] = float(value)
                except (TypeError, ValueError):
                    raise PluginError(f"answers {value!r} for {key!r}, which is not a number", where=where) from None
                owners[key] = where
    return values


def cost_callers(manager: Manager) -> list[CostCaller]:
    """The cost plugins of a study, in the order of their registration."""
    plugins = [(name, plugin) for name, plugin in manager.named() if name.startswith(PREFIX)]
    callers = []
    for name, plugin in plugins:
        others = [other for _, other in plugins if other is not plugin]
        callers.append(
            CostCaller(
                name.removeprefix(PREFIX),
                bool(getattr(plugin, "needs_trained_weights", False)),
                manager.without(others, "cost"),
            )
        )
    return callers


def namespace_of(item: Component, plugin: object, catalog: Catalog) -> str:
    """First part of a cost's keys: its slug, also if it came as an object or by class path; else its `name`."""
    if not item.is_path:
        return item.name
    location = f"{type(plugin).__module__}:{type(plugin).__qualname__}"
    announced = [entry.name for entry in catalog.entries("cost") if entry.location == location]
    return announced[0] if announced else str(getattr(plugin, "name", item.name.rpartition(".")[2].lower()))

"""Asks one cost or target as a run would."""

from __future__ import annotations

from typing import Any

from nasplug.cost.candidate import Candidate
from nasplug.plugins.manager import Manager
from nasplug.run.pricing import CostCaller, price


def manager_of(plugin: object, name: str) -> Manager:
    """Returns a manager with one plugin, checked against the contract.

    Raises:
        PluginError: A hook has an argument that the contract does not know.
    """
    return Manager([(name, plugin)])


def priced(plugin: object, name: str, candidate: Candidate, target: Any = None) -> dict[str, float]:
    """The costs that a plugin answers, under the rules of a run.

    Args:
        plugin: The cost plugin.
        name: Registered name of the cost.
        candidate: Candidate to price.
        target: The hardware target, if any.

    Raises:
        PluginError: A key outside the namespace, or a value that is not a number.
    """
    trained = bool(getattr(plugin, "needs_trained_weights", False))
    manager = manager_of(plugin, f"cost:{name}")
    assert manager.hook.cost.get_hookimpls(), "a cost has a `cost` hook"
    caller = CostCaller(name, trained, manager.hook.cost)
    return price([caller], candidate, target, trained=trained, known={})

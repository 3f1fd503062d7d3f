"""Arguments of plugins as hyperparameters: `COMPONENT/ARGUMENT` searches an argument of a wrapper or a callback.

Tasks never see such names. Every trial gets plugins of its own, made with the values that its hyperparameters say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from nasplug.contract.arguments import SEPARATOR
from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.records import Scalar
from nasplug.plugins.component import Component
from nasplug.plugins.manager import Manager

if TYPE_CHECKING:
    from nasplug.contract.protocols import HasHyperparameters

#: Keys of a specification whose components may have searched arguments, with the prefix of their names in a manager.
PLACES: Mapping[str, str] = {"build": "build", "callbacks": "callback"}


def with_arguments(component: Component, hyperparameters: Mapping[str, Scalar]) -> Component:
    """Returns a component with the arguments that hyperparameters decide.

    Args:
        component: Component of a specification.
        hyperparameters: Hyperparameters of a trial; others than those of the component are left alone.

    Raises:
        SpecError: A dotted argument leads through something that is not a mapping.
    """
    args = json.loads(json.dumps(dict(component.args))) if _of(component, hyperparameters) else dict(component.args)
    for name, value in _of(component, hyperparameters).items():
        *path, last = name.split(".")
        place = args
        for key in path:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise SpecError(
                    f"{component.name}{SEPARATOR}{name} leads through {key!r}, which is not a mapping",
                    where="hyperparameters",
                )
        place[last] = value
    return Component(component.name, args, component.is_path)


def _of(component: Component, hyperparameters: Mapping[str, Scalar]) -> dict[str, Scalar]:
    start = f"{component.name}{SEPARATOR}"
    return {name.removeprefix(start): value for name, value in hyperparameters.items() if name.startswith(start)}


class Variants:
    """Plugins of single trials, in the order of those of the run.

    Args:
        manager: Plugins of the run.
        components: Components that may have searched arguments, by their names in the manager.
        make: Function that makes a plugin of its name in the manager and its component.
    """

    def __init__(
        self, manager: Manager, components: Mapping[str, Component], make: Callable[[str, Component], object]
    ) -> None:
        self._manager, self._components, self._make = manager, components, make
        self._last: tuple[str, Manager] | None = None

    def __call__(self, hyperparameters: Mapping[str, Scalar]) -> Manager:
        """Returns the plugins of a trial.

        Args:
            hyperparameters: Hyperparameters of the trial.
        """
        searched = {name: value for name, value in hyperparameters.items() if SEPARATOR in name}
        if not searched:
            return self._manager
        key = json.dumps(searched, sort_keys=True)
        if self._last is None or self._last[0] != key:
            plugins = [(name, self._own(name, plugin, searched)) for name, plugin in self._manager.named()]
            self._last = key, Manager(plugins, self._manager.watchdog)
        return self._last[1]

    def _own(self, name: str, plugin: object, searched: Mapping[str, Scalar]) -> object:
        component = self._components.get(name)
        if component is None or not _of(component, searched):
            return plugin
        return self._make(name, with_arguments(component, searched))


def check_arguments(names: Iterable[str], components: Sequence[tuple[Component, bool]]) -> None:
    """Checks that every name of an argument leads to one plugin.

    Args:
        names: Names of hyperparameters; those without a separator are the task's.
        components: Components of `build` and `callbacks`, and whether each can be made anew.

    Raises:
        SpecError: The plugin is missing, several have the name, or it is an object that was made in Python.
    """
    known = [component.name for component, _ in components]
    for name in names:
        base, found, _ = name.partition(SEPARATOR)
        if not found:
            continue
        where = "hyperparameters"
        if base not in known:
            raise SpecError(
                f"{name!r} is an argument of {base!r}, which is not in `build` or `callbacks`",
                where=where,
                fix=did_you_mean(base, known) if known else f"add `build: [{base}]` or `callbacks: [{base}]`",
            )
        if known.count(base) > 1:
            raise SpecError(f"{name!r}: {base!r} is there several times", where=where, fix="leave one of them")
        if not dict(zip(known, (made for _, made in components), strict=True))[base]:
            raise SpecError(
                f"{name!r}: {base!r} is an object, whose arguments cannot be changed",
                where=where,
                fix=f"give it by name: nasplug.component({base!r}, ...)",
            )


def example_of(space: HasHyperparameters, seed: int = 0) -> Mapping[str, Scalar]:
    """Returns hyperparameters that a trial could have, to try plugins with before anything runs.

    Args:
        space: Space with hyperparameters.
        seed: Seed of the draw.
    """
    import numpy as np

    return space.hyperparameters(space.sample(np.random.default_rng(seed)))  # type: ignore[attr-defined]

"""Where the modules, data and callbacks of a study come from."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from nasplug.contract.errors import SpecError, TaskError, did_you_mean
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.plugins.catalog import load_location

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningDataModule, LightningModule

#: How hyperparameters of the data module are told from those of the module.
DATA = "data."


@runtime_checkable
class Source(Protocol):
    """A task whose module can be made anew, whole, with other hyperparameters."""

    @property
    def label(self) -> str: ...  # noqa: D102

    def make(self, changes: JsonObject) -> LightningModule:
        """Makes the whole module, with the global random generators as they are.

        Args:
            changes: Hyperparameters that differ from the base.
        """

    def make_data(self, changes: JsonObject) -> LightningDataModule:
        """Makes the data module.

        Args:
            changes: Hyperparameters that differ from the base; those that begin with `data.` are its own.
        """

    def value_of(self, name: str) -> Json:
        """Returns the value that a hyperparameter has in the base.

        Raises:
            SpecError: There is no such hyperparameter.
        """

    def make_callbacks(self) -> Mapping[str, Callback]:
        """Returns fresh callbacks of the base by name."""


def resolved(thing: object, where: str) -> Callable[..., Any]:
    """Returns the class or function that a specification names, or that a Python caller gave.

    Args:
        thing: Path such as `my_project:LitNet`, class, or function.
        where: Place of it, for messages.

    Raises:
        SpecError: It is neither.
    """
    if isinstance(thing, str):
        thing = load_location(thing, where=where)
    if not callable(thing) or (hasattr(thing, "training_step") and not isinstance(thing, type)):
        raise SpecError(
            f"expected a class or a function, got {type(thing).__name__}",
            where=where,
            why="every trial begins with a new one",
            fix="give the class, or a function that makes it",
        )
    return thing


class Factory:
    """A class or function with arguments, of which single ones can be changed.

    Args:
        function: The class or function.
        args: Keyword arguments.
        where: Place of it, for messages.

    Raises:
        SpecError: It does not take one of the arguments, or needs another one.
    """

    def __init__(self, function: Callable[..., Any], args: JsonObject, where: str) -> None:
        self.function, self.args, self.where = function, dict(args), where
        self._parameters: dict[str, inspect.Parameter] = {}
        self._open = False
        try:
            self._parameters = dict(inspect.signature(function).parameters)
        except ValueError:  # built in C, without a signature: nothing can be checked
            self._open = True
        self._open |= any(item.kind is inspect.Parameter.VAR_KEYWORD for item in self._parameters.values())
        for name in self.args:
            self._check(name)
        missing = [
            name
            for name, item in self._parameters.items()
            if item.default is item.empty
            and item.kind not in (item.VAR_KEYWORD, item.VAR_POSITIONAL)
            and name not in self.args
        ]
        if missing:
            raise SpecError(f"the argument {missing[0]!r} is missing", where=where, fix=f"give {', '.join(missing)}")

    def __call__(self, changes: JsonObject) -> Any:
        """Makes a new one.

        Args:
            changes: Arguments that differ.
        """
        return self.function(**{**copy.deepcopy(self.args), **changes})

    def value_of(self, name: str) -> Json:
        """Returns the value of an argument in the base: as it is given, or by default.

        Args:
            name: Name of the argument.

        Raises:
            SpecError: It has no such argument.
        """
        if name in self.args:
            return self.args[name]
        self._check(name)
        item = self._parameters.get(name)
        return None if item is None or item.default is item.empty else item.default

    def _check(self, name: str) -> None:
        if name not in self._parameters and not self._open:
            raise SpecError(
                f"{getattr(self.function, '__name__', self.function)} has no argument {name!r}",
                where=self.where,
                fix=did_you_mean(name, self._parameters),
            )


def named_callbacks(given: Mapping[str, object] | Sequence[object] | None, where: str) -> dict[str, Callable[[], Any]]:
    """Returns functions that make callbacks, by name.

    Args:
        given: Callbacks by name, or a list, whose callbacks are named after their classes; each one a path, a
            `{class_path, init_args}` mapping, or a ready callback.
        where: Place of them, for messages.

    Raises:
        SpecError: Two have one name, or one is not a callback.
    """
    made: dict[str, Callable[[], Any]] = {}
    items: Iterable[tuple[str | None, object]] = (
        given.items() if isinstance(given, Mapping) else [(None, item) for item in given or ()]
    )
    for name, item in items:
        known, make = _callback(item, where)
        key = name or known
        if key in made:
            raise SpecError(f"two callbacks are named {key!r}", where=where, fix="give them names: {NAME: CALLBACK}")
        made[key] = make
    return made


def _callback(item: object, where: str) -> tuple[str, Callable[[], Any]]:
    """Name and maker of one callback."""
    if isinstance(item, Mapping) and "class_path" in item:
        args = item.get("init_args") or {}
        factory = Factory(resolved(item["class_path"], where), args, f"{where}: {item['class_path']}")
        return getattr(factory.function, "__name__", str(item["class_path"])), partial(factory, {})
    if isinstance(item, str):
        function = resolved(item, where)
        return getattr(function, "__name__", item), function
    if hasattr(item, "on_train_start") and not isinstance(item, type):
        return type(item).__name__, partial(copy.deepcopy, item)
    raise SpecError(f"{item!r:.100} is not a callback", where=where, fix="write {class_path: module.Class}")


def check_module(made: object, label: str) -> None:
    """Refuses what is not a LightningModule.

    Raises:
        TaskError: It is something else.
    """
    if not all(callable(getattr(made, name, None)) for name in ("training_step", "configure_optimizers")):
        raise TaskError(
            f"calling the module gave a {type(made).__name__}, not a LightningModule",
            where=label,
            fix="wrap the network in a LightningModule, or give a function that returns one",
        )

"""Augmentations of training data: steps of transforms, found by the names of their classes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from torch import nn

from nasplug.contract.errors import SpecError, did_you_mean

#: Data sets and transforms are what people make of them.
Thing: TypeAlias = Any
Change: TypeAlias = Callable[[Any], Any]
#: Attributes of data sets that lead to other data sets, and those that hold transforms.
_INSIDE = ("dataset", "data", "datasets")
_TRANSFORMS = ("transform", "transforms", "target_transform", "augment", "augmentation", "augmentations")


def names_in(loader: Thing) -> list[str]:
    """Returns the names of all steps that the training data go through, with a number behind those that occur twice.

    Args:
        loader: Loader of training data, or several.
    """
    names: list[str] = []
    for dataset in _datasets(loader):
        walked(dataset, lambda step, name: names.append(name) or step)  # type: ignore[func-returns-value]
    return list(dict.fromkeys(names))


def without(dataset: Thing, names: set[str]) -> Thing:
    """Returns a shallow copy of a data set whose transforms lack some steps.

    Args:
        dataset: Data set, perhaps inside of others.
        names: Names of steps, as `names_in` gives them.
    """
    return walked(dataset, lambda step, name: _Nothing() if name in names else step)


def check_name(name: str, known: list[str], where: str) -> None:
    """Refuses a step that the training data do not go through.

    Raises:
        SpecError: There is none of that name.
    """
    if name not in known:
        raise SpecError(
            f"the training data have no augmentation {name!r}",
            where=where,
            why=f"their transforms have the steps {', '.join(known)}"
            if known
            else "no transform was found in the data set of the training loader",
            fix=did_you_mean(name, known)
            if known
            else "write it as a hyperparameter of the data (`data.augment`), or as a custom component",
        )


class _Nothing:
    """A step that changes nothing."""

    def __call__(self, value: object, *more: object) -> Thing:
        """Returns what it is given."""
        return (value, *more) if more else value


def walked(dataset: Thing, change: Callable[[Thing, str], Thing]) -> Thing:
    """Returns a shallow copy of a data set with every step of its transforms changed.

    Args:
        dataset: Data set.
        change: Function of a step and its name, which returns the step to use.
    """
    seen: dict[str, int] = {}

    def named(step: Thing) -> Thing:
        kind = step.__name__ if hasattr(step, "__name__") else type(step).__name__
        seen[kind] = seen.get(kind, 0) + 1
        return change(step, kind if seen[kind] == 1 else f"{kind}#{seen[kind]}")

    return _dataset(dataset, named)


def _dataset(dataset: Thing, named: Change) -> Thing:
    if not hasattr(dataset, "__dict__"):
        return dataset
    made = copy.copy(dataset)
    for name, value in vars(dataset).items():
        if name in _INSIDE and isinstance(value, (list, tuple)):
            vars(made)[name] = type(value)(
                _dataset(item, named) if hasattr(item, "__getitem__") else item for item in value
            )
        elif name in _INSIDE and hasattr(value, "__getitem__") and hasattr(value, "__dict__"):
            vars(made)[name] = _dataset(value, named)
        elif name in _TRANSFORMS and value is not None:
            vars(made)[name] = _transform(value, named)
    return made


def _transform(transform: Thing, named: Change) -> Thing:
    if isinstance(transform, nn.Sequential):
        return nn.Sequential(*(_module(named(step)) for step in transform))
    steps = transform if isinstance(transform, (list, tuple)) else getattr(transform, "transforms", None)
    if steps is None:
        return named(transform) if callable(transform) else transform
    changed = type(steps)([_transform(step, named) if hasattr(step, "transforms") else named(step) for step in steps])
    if steps is transform:
        return changed
    made = copy.copy(transform)
    made.transforms = changed
    return made


def _module(step: Thing) -> nn.Module:
    return step if isinstance(step, nn.Module) else nn.Identity()


def _datasets(loader: Thing) -> Iterator[Thing]:
    if isinstance(loader, dict):
        loader = list(loader.values())
    if isinstance(loader, (list, tuple)):
        for item in loader:
            yield from _datasets(item)
    elif hasattr(loader, "flattened"):
        yield from _datasets(list(loader.flattened))
    elif hasattr(loader, "dataset"):
        yield loader.dataset

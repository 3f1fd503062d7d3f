"""Presets: named settings of a component, of which a specification may change single values.

A component that has some takes two parameters: `preset`, a name, and a group of settings annotated with `Changes`. A
specification then writes `{qnas: {preset: table, evolution: {update_rate: 0.3}}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from nasplug.contract.errors import SpecError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    S = TypeVar("S", bound=DataclassInstance)
else:
    S = TypeVar("S")

#: Settings to change, by name; or a whole record, which takes the place of the preset; None changes nothing.
Changes: TypeAlias = S | Mapping[str, Any] | None


def choose(named: Mapping[str, S], preset: str, changes: Changes[S] = None, *, where: str) -> S:
    """Returns the settings of a preset with some values changed.

    Args:
        named: Settings by name of the preset, all of one dataclass.
        preset: Name of the preset.
        changes: Settings to change by name, or a whole record, which is returned as it is.
        where: Component, for messages.

    Raises:
        UnknownNameError: Unknown preset.
        SpecError: Unknown setting, or a value that the dataclass refuses.
    """
    if preset not in named:
        raise UnknownNameError(f"there is no preset {preset!r}", where=where, fix=did_you_mean(preset, named))
    base = named[preset]
    if changes is None:
        return base
    if not isinstance(changes, Mapping):
        if not isinstance(changes, type(base)):
            raise SpecError(
                f"expected settings by name or a {type(base).__name__}, got {changes!r}",
                where=where,
                fix=f"settings are {', '.join(field.name for field in fields(base))}",
            )
        return changes
    known = [field.name for field in fields(base)]
    for name in changes:
        if name not in known:
            raise SpecError(f"unknown setting {name!r}", where=where, fix=did_you_mean(str(name), known))
    return replace(base, **changes)

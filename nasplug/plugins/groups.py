"""Groups of settings: constructor parameters whose type is a dataclass, given as `{training: {lr: 0.5}}`.

What a specification leaves out keeps the value of the parameter's default. Where the type is `Changes` of a dataclass,
it keeps the value of the preset, see `nasplug.plugins.presets`.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.plugins.trust import check_argument


def groups_of(hints: Mapping[str, object]) -> dict[str, type]:
    """Returns the dataclass of every parameter whose type is one, one or None, or changes of a preset's.

    Args:
        hints: Types of the parameters by name.
    """
    groups = {}
    for name, hint in hints.items():
        parts = [part for part in _parts(hint) if part is not type(None) and not _is_mapping(part)]
        if len(parts) == 1 and isinstance(parts[0], type) and is_dataclass(parts[0]):
            groups[name] = parts[0]
    return groups


def takes_changes(hint: object) -> bool:
    """Returns whether a group takes changes of a preset, so that settings that are not given must stay open.

    Args:
        hint: Type of the group's parameter.
    """
    return any(_is_mapping(part) for part in _parts(hint))


def _parts(hint: object) -> tuple[object, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _is_mapping(part: object) -> bool:
    return typing.get_origin(part) is Mapping


def check_group(name: str, value: object, group: type, *, where: str) -> None:
    """Refuses what is not a mapping of the group's settings.

    Args:
        name: Name of the parameter.
        value: Plain data that was given for it.
        group: Dataclass of the parameter.
        where: Component, for messages.

    Raises:
        SpecError: The value is not a mapping, or a key is unknown.
        TrustError: A setting would be turned into code, and nobody here trusts it.
    """
    known = [field.name for field in fields(group)]
    hints = typing.get_type_hints(group)
    if not isinstance(value, Mapping):
        raise SpecError(
            f"{name!r} is a group of settings, got {value!r}",
            where=where,
            fix=f"write {name}: {{{known[0]}: ...}}; its settings are {', '.join(known)}",
        )
    for key, setting in value.items():
        if key not in known:
            raise SpecError(f"unknown setting {key!r} in {name!r}", where=where, fix=did_you_mean(str(key), known))
        check_argument(setting, hints[key], f"{where}.{name}.{key}")


def places_of(name: str, groups: Mapping[str, type], renamed: Mapping[str, str]) -> list[tuple[str, str]]:
    """Returns the groups that take an argument, each with the name of the setting there.

    The name may be that of a setting (`lr`), or of a setting with the group in front of it (`logits_lr`).

    Args:
        name: Name of the argument.
        groups: Dataclasses by parameter.
        renamed: Arguments that have another name now, as `group.setting`.
    """
    if name in renamed:
        group, _, setting = renamed[name].partition(".")
        return [(group, setting)]
    known = [(group, field.name) for group, kind in groups.items() for field in fields(kind)]
    return (
        [(group, field) for group, field in known if name == f"{group}_{field}"]
        or [(group, field) for group, field in known if name == field]
        or [(group, field) for group, field in known if name.endswith(f"_{field}")]
    )


def where_it_belongs(name: str, groups: Mapping[str, type], renamed: Mapping[str, str]) -> str | None:
    """Returns how to write an argument that belongs into a group, or None if no group takes it.

    Args:
        name: Name of the argument.
        groups: Dataclasses by parameter.
        renamed: Arguments that have another name now, as `group.setting`.
    """
    written = [f"{group}: {{{setting}: ...}}" for group, setting in places_of(name, groups, renamed)]
    return f"it belongs to a group of settings: write {' or '.join(written)}" if written else None

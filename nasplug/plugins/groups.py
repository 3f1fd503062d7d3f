"""Groups of settings: constructor parameters whose type is a dataclass, given as `{training: {lr: 0.5}}`."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.plugins.trust import check_argument


def groups_of(hints: Mapping[str, Any]) -> dict[str, type]:
    """Returns the dataclass of every parameter whose type is one, or one or None.

    Args:
        hints: Types of the parameters by name.
    """
    groups = {}
    for name, hint in hints.items():
        union = typing.get_origin(hint) in (typing.Union, types.UnionType)
        parts = [part for part in (typing.get_args(hint) if union else (hint,)) if part is not type(None)]
        if len(parts) == 1 and isinstance(parts[0], type) and is_dataclass(parts[0]):
            groups[name] = parts[0]
    return groups


def check_group(name: str, value: Any, group: type, *, where: str) -> None:
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


def where_it_belongs(name: str, groups: Mapping[str, type], renamed: Mapping[str, str]) -> str | None:
    """Returns how to write an argument that belongs into a group, or None if no group takes it.

    The name may be that of a setting (`lr`), or of a setting with the group in front of it (`logits_lr`).

    Args:
        name: Name of the argument.
        groups: Dataclasses by parameter.
        renamed: Arguments that have another name now, as `group.setting`.
    """
    if name in renamed:
        paths = [renamed[name]]
    else:
        known = [(group, field.name) for group, kind in groups.items() for field in fields(kind)]
        paths = [f"{group}.{field}" for group, field in known if name == f"{group}_{field}"]
        paths = paths or [f"{group}.{field}" for group, field in known if name == field]
        paths = paths or [f"{group}.{field}" for group, field in known if name.endswith(f"_{field}")]
    if not paths:
        return None
    written = [f"{group}: {{{field}: ...}}" for group, field in (path.split(".") for path in paths)]
    return f"it belongs to a group of settings: write {' or '.join(written)}"

"""Checks that a value is JSON data: what it holds now is what a file gives back."""

from __future__ import annotations

import math

from nasplug.contract.errors import PluginError

_SIMPLE = frozenset({str, bool, int, type(None)})


def check_json(value: object, name: str, where: str) -> None:
    """Refuses a value that does not come back from JSON as it was.

    Raises:
        PluginError: It holds something other than texts, finite numbers, booleans, None, lists and string-keyed
            mappings of them.
    """
    if type(value) in _SIMPLE:
        return
    if isinstance(value, (list, tuple)):
        if _SIMPLE.issuperset(map(type, value)):
            return
        for item in value:
            check_json(item, name, where)
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise PluginError(f"{name} has the key {key!r}, which is not a text", where=where)
            check_json(item, f"{name}[{key!r}]", where)
        return
    if type(value) is float:
        if math.isfinite(value):
            return
        raise PluginError(f"{name} is {value}, which JSON cannot say", where=where, fix="use None, or leave it out")
    raise PluginError(
        f"{name} holds a {type(value).__module__}.{type(value).__qualname__}, which is not JSON data",
        where=where,
        why=f"got {value!r:.100}",
        fix="use str, int, float, bool, None, and lists and dictionaries of them (`.item()` of NumPy numbers)",
    )

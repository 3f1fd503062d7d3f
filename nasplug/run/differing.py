"""What differs between two pieces of plain data, in words."""

from __future__ import annotations

from collections.abc import Mapping

from nasplug.contract.jsondata import Json


def differences(before: Json, after: Json, path: str = "") -> list[str]:
    """Returns one line for every value that is not the same, such as `budget.epochs was 3 and is 5`.

    Args:
        before: The one.
        after: The other.
        path: Path of both in what they are part of.
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = sorted(set(before) | set(after))
        return [
            line
            for key in keys
            if before.get(key) != after.get(key)
            for line in differences(before.get(key), after.get(key), f"{path}.{key}" if path else key)
        ]
    return [f"{path} was {before!r} and is {after!r}"]

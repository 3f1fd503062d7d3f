"""Names of modules: exact paths, unique endings, globs by segments, and classes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.wording import plural

if TYPE_CHECKING:
    from torch import nn

#: Names in a message.
_SHOWN = 6


def is_glob(name: str) -> bool:
    """Returns whether a name is a pattern: `*` within one segment of a path, `**` for any number of segments."""
    return bool(re.search(r"[*?\[]", name))


def one_module(name: str, paths: Sequence[str], where: str) -> str:
    """Returns the path of a module that is named in full, or by the end of its path if that is unique.

    Args:
        name: Path or the end of one, such as `layer3.1`.
        paths: Paths of all modules.
        where: Place of the name, for messages.

    Raises:
        SpecError: There is no such module, or several.
    """
    if is_glob(name):
        raise SpecError(
            f"{name!r} is a pattern, and `module` takes one",
            where=where,
            why=f"it matches {_listed(matching(name, paths)) or 'nothing'}",
            fix="write `modules:` for one trial each, or `group:` for one trial without all of them",
        )
    if name in paths:
        return name
    found = [path for path in paths if path.endswith(f".{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise SpecError(
            f"{name!r} is ambiguous: {plural(len(found), 'module')} of the network end so",
            where=where,
            why=_listed(found),
            fix=f"write the whole path, `modules: '**.{name}'` for one trial each, or `group: '**.{name}'` for one "
            "trial without all of them",
        )
    raise SpecError(f"the network has no module {name!r}", where=where, fix=did_you_mean(name, paths))


def matching(pattern: str, paths: Iterable[str]) -> list[str]:
    """Returns the paths that a pattern matches, in the order of the network.

    Args:
        pattern: Path whose segments may hold `*`, `?` and `[...]`; a segment `**` stands for any number of them.
        paths: Paths of all modules.
    """
    wanted = pattern.split(".")
    return [path for path in paths if _matches(wanted, path.split("."))]


def several_modules(pattern: str, paths: Sequence[str], where: str) -> list[str]:
    """Returns the modules that a pattern or a name stands for.

    Args:
        pattern: Pattern, path, or unique end of a path.
        paths: Paths of all modules.
        where: Place of the pattern, for messages.

    Raises:
        SpecError: It matches nothing.
    """
    if not is_glob(pattern):
        return [one_module(pattern, paths, where)]
    found = matching(pattern, paths)
    if not found:
        anywhere = matching(f"**.{pattern}", paths)
        raise SpecError(
            f"the pattern {pattern!r} matches no module",
            where=where,
            why=f"the network has {_listed(list(paths))}",
            fix=f"write '**.{pattern}', which matches {_listed(anywhere)}" if anywhere else "check its spelling",
        )
    return found


def of_type(name: str, modules: Iterable[tuple[str, nn.Module]], where: str) -> list[str]:
    """Returns the paths of all modules of a class or of one that is derived from it.

    Args:
        name: Name of the class, with or without its package.
        modules: Modules by path.
        where: Place of the name, for messages.

    Raises:
        SpecError: There are none.
    """
    known: dict[str, list[str]] = {}
    for path, module in modules:
        for base in type(module).__mro__:
            if base.__name__ in ("Module", "object"):
                continue
            full = f"{base.__module__}.{base.__qualname__}"
            for form in {base.__name__, full, re.sub(r"^torch\.nn\.modules\.\w+\.", "torch.nn.", full)}:
                known.setdefault(form, []).append(path)
    found = known.get(name)
    if not found:
        short = sorted({form for form in known if "." not in form})
        raise SpecError(f"the network has no module of type {name!r}", where=where, fix=did_you_mean(name, short))
    return found


def _matches(pattern: Sequence[str], path: Sequence[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_matches(pattern[1:], path[start:]) for start in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _matches(pattern[1:], path[1:])


def _listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more

"""What a file may make happen: reading somebody's study or network runs the code of installed plugins, nothing else.

A specification can name classes by path and single-file plugins. Whoever runs a specification has chosen to run them.
Whoever opens a study, or a network that was exported, has only chosen to look: there, a path outside the installed
plugins and a file that was not named by the reader are refused, until the reader says that the file is trusted.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from nasplug.contract.errors import PluginError, TrustError
from nasplug.contract.kinds import METHODS

#: Files that may be loaded as plugins; None while everything is trusted.
_ALLOWED: ContextVar[frozenset[Path] | None] = ContextVar("nasplug_trust", default=None)


def trusted() -> bool:
    """Returns whether code from outside the installed plugins may run."""
    return _ALLOWED.get() is None


@contextmanager
def untrusted(files: Iterable[str | Path] = ()) -> Iterator[None]:
    """Refuses code from outside the installed plugins.

    Args:
        files: Plugin files that the reader named, and so trusts.
    """
    token = _ALLOWED.set(frozenset(Path(file).resolve() for file in files))
    try:
        yield
    finally:
        _ALLOWED.reset(token)


@contextmanager
def trusting() -> Iterator[None]:
    """Allows any code, such as what a person names on the command line."""
    token = _ALLOWED.set(None)
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def check_files(files: Iterable[Path]) -> None:
    """Refuses plugin files that nobody here trusts.

    Raises:
        TrustError: One of them was not named by the reader.
    """
    allowed = _ALLOWED.get()
    if allowed is None:
        return
    for file in files:
        if file.resolve() not in allowed:
            raise TrustError(
                "it names a plugin file, which would be executed",
                where="plugins",
                why=f"{str(file)!r} is not an installed plugin",
                fix=f"read the file; if you trust it, add --plugin {file} (or trust=True in Python)",
            )


def is_installed_code(location: str) -> bool:
    """Returns whether a class path leads into the core or an installed plugin."""
    return _is_installed(location)


def check_location(location: str, where: str) -> None:
    """Refuses an import from outside the installed plugins, before it happens.

    Raises:
        TrustError: It would run code that nobody here trusts.
    """
    if not trusted() and not _is_installed(location):
        raise _refusal(location, where)


def check_origin(value: object, location: str, where: str) -> None:
    """Refuses something that was only reached through an installed plugin, such as a module that it imports.

    Raises:
        TrustError: It comes from elsewhere.
    """
    if not trusted() and not _is_installed(str(getattr(value, "__module__", None) or "")):
        raise _refusal(location, where)


def check_kind(factory: Callable[..., object], kind: str, location: str, where: str) -> None:
    """Checks that what a class path names can be a component of its kind, before it is called.

    Raises:
        PluginError: A class without the members of its kind, or something whose result nobody can know.
    """
    made = factory if isinstance(factory, type) else _returned(factory)
    if made is None:
        raise PluginError(
            f"{location!r} is not a class, and calling it could do anything",
            where=where,
            fix=f"name a class, or annotate what the function returns as one that is a {kind}",
        )
    present = set(dir(made)) | set(getattr(made, "__annotations__", ()))
    missing = [" or ".join(group) for group in METHODS.get(kind, ()) if not present & set(group)]
    if missing:
        raise PluginError(
            f"{location!r} is not a {kind}: this one lacks {', '.join(missing)}",
            where=where,
            fix=f"`nasplug list {kind}` shows those that there are",
        )


def check_argument(value: object, hint: object, where: str) -> None:
    """Refuses an argument that would be turned into code: a class path inside it, or text for a class or a function.

    Raises:
        TrustError: Nobody here trusts it.
    """
    if trusted():
        return
    if isinstance(value, Mapping):
        path = value.get("class_path")
        if path is not None:
            check_location(str(path), where)
        for name, item in value.items():
            check_argument(item, None, f"{where}.{name}")
    elif isinstance(value, (list, tuple)):
        for item in value:
            check_argument(item, None, where)
    if isinstance(value, (str, Mapping)) and not _is_plain(hint):
        path = value if isinstance(value, str) else value.get("class_path", "")
        check_location(str(path), where)


def asks_for_code(data: object) -> bool:
    """Returns whether a specification, as plain data, names code from outside the installed plugins."""
    if isinstance(data, Mapping):
        path = data.get("class_path")
        if data.get("plugins") or (isinstance(path, str) and not _is_installed(path)):
            return True
        return any(asks_for_code(item) for item in data.values())
    return isinstance(data, (list, tuple)) and any(asks_for_code(item) for item in data)


def _is_plain(hint: object) -> bool:
    """Whether a type hint asks for data, and not for objects or functions."""
    if hint in (Any, None, type(None), inspect.Parameter.empty) or typing.get_origin(hint) is Literal:
        return True
    if isinstance(hint, str):
        return True
    arguments = [item for item in typing.get_args(hint) if item is not ...]
    origin = typing.get_origin(hint)
    united = origin is types.UnionType or not isinstance(origin, type)  # `str | Path` has a class of its own
    if origin is not None and (united or issubclass(origin, (Mapping, Iterable))):
        return all(_is_plain(item) for item in arguments)
    if not isinstance(hint, type):
        return False
    return issubclass(hint, (str, int, float, bool, bytes, Enum, Path, Mapping, list, tuple, set)) or (
        hasattr(hint, "__dataclass_fields__")
    )


def _returned(factory: Callable[..., object]) -> type | None:
    try:
        made = typing.get_type_hints(factory).get("return")
    except Exception:
        return None
    return made if isinstance(made, type) else None


def _package(location: str) -> str:
    return location.replace(":", ".").split(".")[0]


def _is_installed(location: str) -> bool:
    """Whether it belongs to the core or to an installed plugin."""
    package = _package(location)
    return package == "nasplug" or package in plugin_packages()


@cache
def plugin_packages() -> frozenset[str]:
    """Top-level packages of all installed plugins; looks at every package of the environment, once."""
    return frozenset(_package(point.value) for point in metadata.entry_points(group="nasplug"))


def _refusal(location: str, where: str) -> TrustError:
    return TrustError(
        f"it names {location!r}, which would be executed",
        where=where,
        why="it does not belong to an installed plugin",
        fix="if you know who made the file and trust it, repeat the command with --trust (or trust=True in Python)",
    )

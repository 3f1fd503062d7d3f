"""What will go away: warnings with the version and the way out, and the window that every name is given.

A public name stays for at least `WINDOW` minor versions after the one that deprecates it, and warns in all of them.
`tests/contract/test_deprecation.py` reads the sources: it fails where a name stays longer than it said.
"""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from packaging.version import InvalidVersion, Version

#: Minor versions in which a deprecated name still works.
WINDOW = 2

P = ParamSpec("P")
R = TypeVar("R")


class NasplugDeprecationWarning(FutureWarning):
    """A name of nasplug, or of one of its packages, will be gone; people see it without asking for it."""


def deprecate(what: str, *, since: str, gone: str, fix: str, level: int = 2) -> None:
    """Warns that something will be gone.

    Args:
        what: Name that is deprecated, such as "the argument `trials_per_worker`".
        since: Version of the distribution that deprecates it.
        gone: Version that will not have it any more.
        fix: Way out, such as "write `workers`".
        level: Frames between this call and the line that the warning is to name; 2 is the caller of the caller.

    Raises:
        ValueError: The window is shorter than promised.
    """
    check_window(what, since, gone)
    text = f"{what} is deprecated since {since} and will be gone in {gone}: {fix}"
    warnings.warn(text, NasplugDeprecationWarning, stacklevel=level + 1)


def check_window(what: str, since: str, gone: str) -> None:
    """Checks that a name stays as long as promised.

    Args:
        what: Name that is deprecated.
        since: Version that deprecates it.
        gone: Version that will not have it any more.

    Raises:
        ValueError: It goes too early, or something is not a version.
    """
    try:
        first, last = Version(since), Version(gone)
    except InvalidVersion as error:
        raise ValueError(f"{what}: {error}") from None
    if last.major == first.major and last.minor - first.minor < WINDOW:
        raise ValueError(
            f"{what}: goes in {gone}, and names that are deprecated in {since} stay until "
            f"{first.major}.{first.minor + WINDOW} or the next major version"
        )
    if last <= first:
        raise ValueError(f"{what}: goes in {gone}, which is not later than {since}")


def renamed_arguments(names: Mapping[str, str], *, since: str, gone: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Returns a decorator that takes arguments by their old names as well, with a warning.

    Args:
        names: New name by old name.
        since: Version that renames them.
        gone: Version that will not take the old names any more.
    """
    for old in names:
        check_window(f"the argument `{old}`", since, gone)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for old, new in names.items():
                if old in kwargs:
                    if new in kwargs:
                        raise TypeError(f"{function.__name__}() got `{old}` and `{new}`, which are the same argument")
                    what = f"the argument `{old}` of {function.__name__}()"
                    deprecate(what, since=since, gone=gone, fix=f"write `{new}`")
                    kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate


def moved_names(module: str, names: Mapping[str, str], *, since: str, gone: str) -> Callable[[str], Any]:
    """Returns what a module whose names have moved takes as its `__getattr__`.

    Args:
        module: Name of the module that they have left.
        names: Place of each by its old name, as `module:name`.
        since: Version that moved them.
        gone: Version that will not find them here any more.
    """
    for old in names:
        check_window(f"{module}.{old}", since, gone)

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place, _, attribute = names[name].partition(":")
        deprecate(f"{module}.{name}", since=since, gone=gone, fix=f"take it from {place}, as `{attribute}`")
        return getattr(importlib.import_module(place), attribute)

    return find

"""The catalogue: names of components, and where their classes are, without importing them."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from nasplug.contract.errors import PluginError, PluginImportError, UnknownNameError, did_you_mean
from nasplug.contract.kinds import KINDS
from nasplug.plugins.packages import missing
from nasplug.plugins.trust import check_location, check_origin

#: A class, or a function that makes a component.
Factory: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One announced component.

    Attributes:
        kind: One of `KINDS`.
        name: The slug that specifications use.
        location: `"package.module:Attribute"`, imported on first use.
        summary: One line for listings.
        distribution: Distribution that announced it, e.g. `nasplug-qnas 0.1.0`.
    """

    kind: str
    name: str
    location: str
    summary: str
    distribution: str

    def load(self) -> Factory:
        """Imports and returns the class or factory.

        Raises:
            PluginImportError: The module does not import, or has no such attribute.
        """
        found: Factory = _load(self.location, f"{self.kind} {self.name!r} of {self.distribution}")
        return found


def load_location(location: str, *, where: str) -> Any:
    """Imports `"package.module:Attribute"` (or `"package.module.Attribute"`).

    Raises:
        TrustError: It is outside the installed plugins, and comes out of a file that nobody here trusts.
        PluginImportError: It cannot be imported; the cause is chained.
        MissingExtraError: Passed on from the module, as it already says what to install.
    """
    check_location(location, where)
    value = _load(location, where)
    check_origin(value, location, where)
    return value


def _load(location: str, where: str) -> Any:
    module_name, _, attribute = location.partition(":")
    if not attribute:
        module_name, _, attribute = location.rpartition(".")
    if not module_name or not attribute:
        raise PluginImportError(
            f"cannot import {location!r}",
            where=where,
            why="it names no module or nothing in it",
            fix="write package.module:Name, such as my_project:Model",
        )
    try:
        value: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            value = getattr(value, part)
        return value
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF.get((error.name or "").split(".")[0])
        raise PluginImportError(
            f"cannot import {location!r}",
            where=where,
            why=str(error),
            fix=f'pip install "nasplug[{extra}]"'
            if extra
            else f"{_near(error.name, module_name)}check the spelling, or install the package that has it",
        ) from error
    except (ImportError, AttributeError, ValueError, RuntimeError) as error:
        near = None
        if isinstance(error, AttributeError) and error.name is not None:
            names = [name for name in dir(error.obj) if not name.startswith("_")]
            near = did_you_mean(error.name, names) if names else None
        raise PluginImportError(f"cannot import {location!r}", where=where, why=str(error), fix=near) from error


def _near(absent: str | None, wanted: str) -> str:
    """A suggestion where a module beside the wanted one has almost its name; none for what it imports itself."""
    if not absent or not f"{wanted}.".startswith(f"{absent}."):
        return ""
    package, _, last = absent.rpartition(".")
    paths = getattr(sys.modules.get(package), "__path__", None) if package else None
    names = [found.name for found in pkgutil.iter_modules(paths)] if paths or not package else []
    near = difflib.get_close_matches(last, names, n=1, cutoff=0.6)
    return f"did you mean {'.'.join(filter(None, (package, near[0])))!r}? " if near else ""


#: Which extra of the core brings a library that component modules import at their top.
_EXTRA_OF = {
    "torch": "train",
    "pytorch_lightning": "train",
    "torchmetrics": "train",
    "sklearn": "train",
    "safetensors": "train",
    "PIL": "train",
    "timm": "timm",
    "matplotlib": "report",
    "jinja2": "report",
    "onnx": "onnx",
    "pytest": "testing",
}


@dataclass
class Catalog:
    """Everything the installed plugins offer. Plugins fill it from their `register` hook.

    Example:
        >>> catalog = Catalog()
        >>> catalog.strategy("annealing", "nasplug_annealing.strategy:Annealing", summary="Simulated annealing.")
        >>> [entry.name for entry in catalog.entries("strategy")]
        ['annealing']
    """

    _entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    #: Set by discovery while one distribution registers, so that its entries are signed.
    distribution: str = "python"

    def add(self, kind: str, name: str, location: str, *, summary: str = "") -> None:
        """Announces a component of any kind; the methods below are shorter.

        Raises:
            PluginError: Unknown kind, malformed name or location, or a name that is taken.
        """
        where = f"register() of {self.distribution}"
        if kind not in KINDS:
            raise PluginError(f"unknown kind of component {kind!r}", where=where, fix=did_you_mean(kind, KINDS))
        if not name or any(character.isspace() or character in "/{}[]," for character in name):
            raise PluginError(
                f"{name!r} cannot be the name of a {kind}", where=where, fix="use lower_case or a.b names"
            )
        if ":" not in location:
            raise PluginError(f"location {location!r} of {kind} {name!r} is not 'module:Attribute'", where=where)
        taken = self._entries.get((kind, name))
        if taken is not None and taken.location != location:
            raise PluginError(
                f"the {kind} {name!r} is announced twice: by {taken.distribution} ({taken.location}) "
                f"and by {self.distribution} ({location})",
                where=where,
                fix="uninstall one of the two, or restrict with NASPLUG_PLUGINS",
            )
        self._entries[kind, name] = Entry(kind, name, location, summary, self.distribution)

    def strategy(self, name: str, location: str, *, summary: str = "") -> None:
        """Announces a search strategy."""
        self.add("strategy", name, location, summary=summary)

    def space(self, name: str, location: str, *, summary: str = "") -> None:
        """Announces a search space."""
        self.add("space", name, location, summary=summary)

    def task(self, name: str, location: str, *, summary: str = "") -> None:
        """Announces a task."""
        self.add("task", name, location, summary=summary)

    def data(self, name: str, location: str, *, summary: str = "") -> None:
        """Announces a source of data."""
        self.add("data", name, location, summary=summary)

    def evaluator(self, name: str, location: str, *, summary: str = "") -> None:
        """Announces an evaluator."""
        self.add("evaluator", name, location, summary=summary)

    def cost(self, name: str, location: str, *, summary: str = "") -> None:
        """Announces a cost; its keys are `name` or `name/...`."""
        self.add("cost", name, location, summary=summary)

    def target(self, name: str, location: str, *, summary: str = "") -> None:
        """Announces a plugin that answers `hardware_target` for `name` and `name:...`."""
        self.add("target", name, location, summary=summary)

    def wrapper(self, name: str, location: str, *, summary: str = "") -> None:
        """Announces a transformation of every built network."""
        self.add("wrapper", name, location, summary=summary)

    def stopper(self, name: str, location: str, *, summary: str = "") -> None:
        """Announces a plugin that answers `should_prune`."""
        self.add("stopper", name, location, summary=summary)

    def callback(self, name: str, location: str, *, summary: str = "") -> None:
        """Announces a Lightning callback (or a plugin with `configure_callbacks`)."""
        self.add("callback", name, location, summary=summary)

    def executor(self, name: str, location: str, *, summary: str = "") -> None:
        """Announces an executor."""
        self.add("executor", name, location, summary=summary)

    def tracker(self, name: str, location: str, *, summary: str = "") -> None:
        """Announces a tracker."""
        self.add("tracker", name, location, summary=summary)

    def exporter(self, name: str, location: str, *, summary: str = "") -> None:
        """Announces an exporter; its name is the format."""
        self.add("exporter", name, location, summary=summary)

    def command(self, name: str, location: str, *, summary: str = "") -> None:
        """Announces a subcommand: a module-level object with `add_arguments(parser)` and `run(arguments) -> int`."""
        self.add("command", name, location, summary=summary)

    def entries(self, kind: str | None = None) -> list[Entry]:
        """All entries, or those of one kind, by kind and name."""
        return sorted(
            (entry for entry in self._entries.values() if kind is None or entry.kind == kind),
            key=lambda entry: (entry.kind, entry.name),
        )

    def names(self, kind: str) -> list[str]:
        """The names of one kind, sorted."""
        return [entry.name for entry in self.entries(kind)]

    def has(self, kind: str, name: str) -> bool:
        """Whether `name` is announced."""
        return (kind, name) in self._entries

    def get(self, kind: str, name: str) -> Entry:
        """The entry of that name.

        Raises:
            UnknownNameError: Nobody announces it; the message names the package that would, or lists what there is.
        """
        try:
            return self._entries[kind, name]
        except KeyError:
            why, fix = missing(self, name, kind)
            own = "" if "." not in name else f"; a class of your own is written {{class_path: {name}}}"
            if "/" in name or "\\" in name:
                own = f"; a path belongs to the component that reads it: {{NAME: {{path: {name}}}}}"
            raise UnknownNameError(
                f"there is no {kind} {name!r}",
                why=why,
                fix=fix
                or f"{did_you_mean(name, self.names(kind))}{own}. `nasplug list {kind}` shows all; "
                "`nasplug plugins` shows which packages are installed and which failed to load",
            ) from None

    def merge(self, other: Catalog) -> None:
        """Takes over all entries of another catalogue, or none: a clash leaves this one as it was.

        Raises:
            PluginError: Both know a name and mean different things.
        """
        merged = Catalog(dict(self._entries))
        for entry in other.entries():
            merged.distribution = entry.distribution
            merged.add(entry.kind, entry.name, entry.location, summary=entry.summary)
        self._entries = merged._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries())

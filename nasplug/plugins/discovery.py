"""Finds installed plugins through the entry-point group `nasplug` and fills the catalogue, one package at a time."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pluggy

from nasplug.contract.errors import NasplugError, PluginError, PluginImportError
from nasplug.contract.hookspecs import CONTRACT_VERSION, PROJECT, CatalogSpecs
from nasplug.plugins.catalog import Catalog
from nasplug.plugins.trust import check_files, plugin_packages
from nasplug.plugins.watchdog import OverdueError

GROUP = "nasplug"
#: Comma-separated entry-point names: only these are loaded. Empty: none but the built-in ones.
ENVIRONMENT_VARIABLE = "NASPLUG_PLUGINS"


@dataclass(frozen=True, slots=True)
class Plugin:
    """One installed plugin and what became of it.

    Attributes:
        name: Name of the entry point, or path of a single file.
        distribution: Name and version of the package.
        module: The module that announces.
        error: Reason why it was left out, or None.
        traceback: Traceback of the error, for the plugin's author.
    """

    name: str
    distribution: str
    module: str
    error: str | None = None
    traceback: str = ""


@dataclass(frozen=True)
class Discovery:
    """The result of looking for plugins: a catalogue of those that work, and a report on all."""

    catalog: Catalog
    plugins: tuple[Plugin, ...]

    @property
    def broken(self) -> tuple[Plugin, ...]:
        """The plugins that were left out."""
        return tuple(plugin for plugin in self.plugins if plugin.error is not None)


def discover(files: Iterable[str | Path] = ()) -> Discovery:
    """Loads the built-in components, the installed plugins and single files.

    A package that does not import, asks for another contract version or claims a name that is taken is left out with
    its reason; the rest works.

    Args:
        files: Paths of single-file plugins, as given by `--plugin path.py`; unlike packages, a broken file raises.

    Raises:
        PluginError: A file in `files` is not a plugin.
        TrustError: A file comes out of a study that nobody here trusts.
    """
    base = _discover_installed(os.environ.get(ENVIRONMENT_VARIABLE))
    paths = [Path(file) for file in files]
    if not paths:
        return base
    check_files(paths)
    catalog = Catalog()
    catalog.merge(base.catalog)
    plugins = list(base.plugins)
    for file in paths:
        _add(catalog, load_file(file), name=str(file), distribution=f"file {file.name}")
        plugins.append(Plugin(str(file), f"file {file.name}", file.stem))
    return Discovery(catalog, tuple(plugins))


def forget() -> None:
    """Discovers anew next time; for tests and long-lived processes that install packages."""
    _discover_installed.cache_clear()
    plugin_packages.cache_clear()


@cache
def _discover_installed(allowed: str | None) -> Discovery:
    catalog = Catalog()
    _add(
        catalog, importlib.import_module("nasplug.builtin.plugin"), name="builtin", distribution=f"nasplug {version()}"
    )
    plugins = [Plugin("builtin", f"nasplug {version()}", "nasplug.builtin.plugin")]
    names = None if allowed is None else {name.strip() for name in allowed.split(",") if name.strip()}
    points = sorted(metadata.entry_points(group=GROUP), key=lambda point: (point.name, point.value))
    for point in points:
        if names is not None and point.name not in names:
            continue
        distribution = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        try:
            _add(catalog, point.load(), name=point.name, distribution=distribution)
            plugins.append(Plugin(point.name, distribution, point.value))
        except (KeyboardInterrupt, OverdueError):
            raise
        except BaseException as error:  # whatever a stranger's module does at import must not take the others down
            reason = str(error) if isinstance(error, NasplugError) else f"{type(error).__name__}: {error}"
            plugins.append(Plugin(point.name, distribution, point.value, reason, traceback.format_exc()))
    missing = (names or set()) - {point.name for point in points}
    plugins += [
        Plugin(name, "not installed", "", f"{ENVIRONMENT_VARIABLE} names {name!r}, which is not installed")
        for name in sorted(missing)
    ]
    return Discovery(catalog, tuple(plugins))


def _add(catalog: Catalog, plugin: object, *, name: str, distribution: str) -> None:
    """Asks one plugin to register into a catalogue of its own, then merges it: all of its names or none."""
    check_contract(str(getattr(plugin, "NASPLUG_CONTRACT", CONTRACT_VERSION)), f"plugin {name!r} ({distribution})")
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(CatalogSpecs)
    try:
        manager.register(plugin, name=name)
    except pluggy.PluginValidationError as error:
        raise PluginError(
            "does not fit the contract", where=f"plugin {name!r} ({distribution})", why=str(error)
        ) from error
    own = Catalog(distribution=distribution)
    if not manager.hook.register.get_hookimpls():
        raise PluginError(
            "has no `register` hook",
            where=f"plugin {name!r} ({distribution})",
            fix="define `@nasplug.hookimpl def register(catalog): ...` in the module that the entry point names",
        )
    manager.hook.register(catalog=own)
    catalog.merge(own)


def check_contract(wanted: str, where: str, current: str = CONTRACT_VERSION) -> None:
    """Checks that a plugin fits: written for this major version of the contract, and for no later minor version.

    Args:
        wanted: Contract that the plugin was written for.
        where: Plugin that wants it.
        current: Contract of this nasplug.

    Raises:
        PluginError: It does not fit.
    """
    if not re.fullmatch(r"\d+(\.\d+)?", wanted):
        raise PluginError(
            f"names the contract {wanted!r}, which is not a version",
            where=where,
            fix=f'write NASPLUG_CONTRACT = "{current}"',
        )
    major, minor = (int(part) for part in (wanted if "." in wanted else f"{wanted}.0").split("."))
    ours, newest = map(int, current.split("."))
    if (major, minor) <= (ours, newest) and major == ours:
        return
    raise PluginError(
        f"was written for contract {wanted}, this nasplug has {current}",
        where=where,
        fix="install a version of the plugin made for this nasplug"
        if major < ours
        else "install a later nasplug: pip install -U nasplug",
    )


#: Names of files that came from another machine, where they have another path.
_NAMES: dict[Path, str] = {}


def module_of(path: Path) -> str:
    """Returns the name that the module of a single-file plugin has, in every process and on every machine of a run."""
    path = Path(path).resolve()
    # Not hash(): the name must be the same in every process.
    return _NAMES.get(path) or f"nasplug_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def rename(path: Path, name: str) -> None:
    """Gives the module of a file that came from another machine the name it has there.

    Args:
        path: Path of the file here.
        name: Name that `module_of` gave there.
    """
    _NAMES[Path(path).resolve()] = name


def load_file(path: Path) -> ModuleType:
    """Imports a single-file plugin under a name made from its path, so that spawned workers can do the same.

    Raises:
        PluginImportError: There is no such file, or it does not import.
    """
    path = Path(path).resolve()
    if not path.is_file():
        raise PluginImportError(f"there is no file {str(path)!r}", where="--plugin", fix="give the path of a .py file")
    name = module_of(path)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginImportError(f"{str(path)!r} is not a Python file", where="--plugin")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, (KeyboardInterrupt, OverdueError)):
            raise
        raise PluginImportError("does not import", where=str(path), why=f"{type(error).__name__}: {error}") from error
    return module


def version() -> str:
    """The installed version of nasplug."""
    try:
        return metadata.version("nasplug")
    except metadata.PackageNotFoundError:  # running from a source tree that was never installed
        return "0+source"

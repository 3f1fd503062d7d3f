"""What building a network again needs: installed packages, source files of a user's own, objects made in Python."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from nasplug.contract.errors import NasplugError
from nasplug.plugins.catalog import Catalog
from nasplug.plugins.trust import is_installed_code


class Source(msgspec.Struct, frozen=True):
    """A file of code that does not belong to an installed plugin.

    Attributes:
        name: Class path that leads into it, or the path of a plugin file.
        file: Name of the file, without its folder.
        sha256: Checksum, or "" if the file could not be read.
    """

    name: str
    file: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name} in {self.file}" if self.name != self.file else self.file


class Needs(msgspec.Struct, frozen=True):
    """What has to be there before a network can be built.

    Attributes:
        packages: Versions of distributions by name.
        sources: Files of code outside of them.
        objects: Parts that a Python caller had made, with the class of each.
    """

    packages: Mapping[str, str] = {}
    sources: tuple[Source, ...] = ()
    objects: Mapping[str, str] = {}

    @classmethod
    def of(
        cls, parts: Mapping[str, Any], plugins: Sequence[str], objects: Iterable[str], catalog: Catalog | None
    ) -> Needs:
        """Collects what components need.

        Args:
            parts: Plain data of the components by key, such as `space` and `build`.
            plugins: Paths of plugin files.
            objects: Keys of the parts that were given as objects, such as `space` or `build[0]`.
            catalog: Catalog to look slugs up in; None if there is none.
        """
        packages = {"nasplug": metadata.version("nasplug")}
        sources = {path: _source(path, Path(path)) for path in plugins}
        made = {key: _class_path(parts, key) for key in objects if key.partition("[")[0] in parts}
        for name, is_path in _names(parts):
            if is_path and is_installed_code(name):
                continue
            if is_path:
                module = sys.modules.get(name.rpartition(".")[0])
                file = getattr(module, "__file__", None)
                sources.setdefault(name, _source(name, None if file is None else Path(file)))
            elif catalog is not None:
                entries = [entry for entry in catalog if entry.name == name and entry.kind in ("space", "wrapper")]
                for entry in entries:
                    distribution, _, version = entry.distribution.partition(" ")
                    if distribution != "file":
                        packages[distribution] = version
        return cls(packages, tuple(sources.values()), made)

    def explain(self, error: NasplugError) -> NasplugError:
        """Returns the error with what the network needs, for one that was raised because something is not there."""
        if not self.sources:
            return error
        what = ", ".join(map(str, self.sources))
        fix = f"the network was built by {what}: put that file where Python finds it; {error.fix or 'then try again'}"
        return type(error)(error.what, where=error.where, why=error.why, fix=fix)


def _names(value: Any) -> Iterator[tuple[str, bool]]:
    """Names in plain data that may be those of components, and whether each is a class path."""
    if isinstance(value, Mapping):
        path = value.get("class_path")
        if isinstance(path, str):
            yield path, True
        for key, item in value.items():
            if key != "class_path":
                yield str(key), False
                yield from _names(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _names(item)
    elif isinstance(value, str):
        yield value, False


def _class_path(parts: Mapping[str, Any], key: str) -> str:
    name, _, position = key.partition("[")
    item = parts[name][int(position[:-1])] if position else parts[name]
    return str(item.get("class_path", "")) if isinstance(item, Mapping) else str(item)


def _source(name: str, file: Path | None) -> Source:
    if file is None or not file.is_file():
        return Source(name, "a notebook or a session" if file is None else file.name, "")
    checksum = hashlib.sha256(file.read_bytes()).hexdigest()
    return Source(file.name if name == str(file) else name, file.name, checksum)

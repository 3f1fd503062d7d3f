"""Image data: sources that read files, seeded splits, and a fast Lightning data module.

Importing this package loads nothing heavy: each name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasplug.data.arrays import ImageArrays
    from nasplug.data.cifar import Cifar
    from nasplug.data.datamodule import ImageDataModule
    from nasplug.data.digits import Digits
    from nasplug.data.folder import ImageFolder
    from nasplug.data.idx import Idx
    from nasplug.data.npz import Npz
    from nasplug.data.prepared import PreparedImages, prepare
    from nasplug.data.settings import Loading, Split
    from nasplug.data.source import ImageSource

_MODULES = {
    "Cifar": "cifar",
    "Digits": "digits",
    "Idx": "idx",
    "ImageArrays": "arrays",
    "ImageDataModule": "datamodule",
    "ImageFolder": "folder",
    "ImageSource": "source",
    "Loading": "settings",
    "Npz": "npz",
    "PreparedImages": "prepared",
    "Split": "settings",
    "prepare": "prepared",
}

__all__ = [
    "Cifar",
    "Digits",
    "Idx",
    "ImageArrays",
    "ImageDataModule",
    "ImageFolder",
    "ImageSource",
    "Loading",
    "Npz",
    "PreparedImages",
    "Split",
    "prepare",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

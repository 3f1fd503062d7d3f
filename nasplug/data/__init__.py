"""Image data: sources that read files, seeded splits, and a fast Lightning data module.

Importing this package loads nothing heavy: each name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.lazy import attach

if TYPE_CHECKING:
    from nasplug.data.arrays import ImageArrays
    from nasplug.data.cifar import Cifar
    from nasplug.data.datamodule import ImageDataModule
    from nasplug.data.digits import Digits
    from nasplug.data.folder import ImageFolder
    from nasplug.data.idx import Idx
    from nasplug.data.npz import Npz
    from nasplug.data.prepared import PreparedImages, prepare
    from nasplug.data.samples import Samples, SampleSource
    from nasplug.data.settings import Loading, Split
    from nasplug.data.source import ImageSource
    from nasplug.data.table import Table

_HOMES = {
    "Cifar": "nasplug.data.cifar",
    "Digits": "nasplug.data.digits",
    "Idx": "nasplug.data.idx",
    "ImageArrays": "nasplug.data.arrays",
    "ImageDataModule": "nasplug.data.datamodule",
    "ImageFolder": "nasplug.data.folder",
    "ImageSource": "nasplug.data.source",
    "Loading": "nasplug.data.settings",
    "Npz": "nasplug.data.npz",
    "PreparedImages": "nasplug.data.prepared",
    "SampleSource": "nasplug.data.samples",
    "Samples": "nasplug.data.samples",
    "Split": "nasplug.data.settings",
    "Table": "nasplug.data.table",
    "prepare": "nasplug.data.prepared",
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
    "SampleSource",
    "Samples",
    "Split",
    "Table",
    "prepare",
]

__getattr__, __dir__ = attach(__name__, _HOMES)

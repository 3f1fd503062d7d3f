"""Loaders whose batches, or whose augmentations, are changed; the data behind them stay as they are."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import torch
from torch.utils.data import DataLoader

from nasplug.contract.jsondata import JsonObject
from nasplug_ablation.data.features import Place, changed

#: Batches and loaders are what people make of them.
Batch: TypeAlias = Any
Loader: TypeAlias = Any
Change: TypeAlias = Callable[[Any], Any]


class Without:
    """Takes features out of batches.

    Args:
        places: Features and the options with which each one leaves.
        seed: Seed of permutations.
    """

    def __init__(self, places: list[tuple[Place, JsonObject]], seed: int = 0) -> None:
        self.places, self.seed = places, seed
        self._generator: torch.Generator | None = None

    def __call__(self, batch: Batch) -> Batch:
        """Returns the batch without them.

        Args:
            batch: Batch as the data make it.
        """
        if self._generator is None:
            self._generator = torch.Generator().manual_seed(self.seed)
        # From the back, so that dropping one does not move another one.
        for place, options in sorted(self.places, key=lambda item: item[0].index, reverse=True):
            batch = changed(batch, place, options, self._generator)
        return batch

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_generator": None}


class Collated:
    """A collation of a DataLoader with something after it.

    Args:
        collate: Collation of the loader.
        then: Function of the batch.
    """

    def __init__(self, collate: Change, then: Change) -> None:
        self.collate, self.then = collate, then

    def __call__(self, samples: object) -> Batch:
        """Makes the batch.

        Args:
            samples: Samples of the data set.
        """
        return self.then(self.collate(samples))


class Batched:
    """Any iterable of batches with something done to each.

    Args:
        loader: The iterable.
        then: Function of the batch.
    """

    def __init__(self, loader: Loader, then: Change) -> None:
        self.loader, self.then = loader, then

    def __iter__(self) -> Iterator[Batch]:
        return map(self.then, self.loader)

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str) -> Loader:
        if name.startswith("__") or name == "loader":
            raise AttributeError(name)
        return getattr(self.loader, name)


def with_batches(loader: Loader, then: Change) -> Loader:
    """Returns a loader with something done to each of its batches; the loader that is given stays as it is.

    Args:
        loader: DataLoader or any other iterable, or a list or mapping of those.
        then: Function of the batch.
    """
    return _each(loader, lambda one: _with_batches(one, then))


def with_samples(loader: Loader, change: Change) -> Loader:
    """Returns a loader of a changed data set.

    Args:
        loader: DataLoader, or a list or mapping of those.
        change: Function that returns a changed copy of the data set.
    """
    return _each(loader, lambda one: _with_samples(one, change))


def _each(loader: Loader, change: Change) -> Loader:
    if isinstance(loader, Mapping):
        return {name: _each(item, change) for name, item in loader.items()}
    if isinstance(loader, (list, tuple)):
        return [_each(item, change) for item in loader]
    if hasattr(loader, "flattened") and hasattr(loader, "iterables"):  # Lightning's CombinedLoader
        combined = copy.copy(loader)
        combined.flattened = [_each(item, change) for item in loader.flattened]
        return combined
    return change(loader)


def _with_batches(loader: Loader, then: Change) -> Loader:
    if not isinstance(loader, DataLoader):
        return Batched(loader, then)
    made = copy.copy(loader)
    made._iterator = None
    made.collate_fn = Collated(loader.collate_fn, then)
    return made


def _with_samples(loader: Loader, change: Change) -> Loader:
    if not hasattr(loader, "dataset"):
        return loader
    made = copy.copy(loader)
    if isinstance(made, DataLoader):
        made._iterator = None
        object.__setattr__(made, "dataset", change(loader.dataset))
    else:
        made.dataset = change(loader.dataset)
    return made

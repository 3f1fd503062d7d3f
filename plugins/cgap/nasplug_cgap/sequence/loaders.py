"""Chosen positions behind any loader that addresses its data by position."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
)

from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural
from nasplug.data.batches import Batches
from nasplug.data.batches import BatchSampler as ImageSampler
from nasplug.data.fraction import labels_of

Positions = NDArray[np.int64]


class Listed(Sampler[int]):
    """Positions in order, or shuffled by torch's global generator.

    Args:
        positions: Positions to yield; one may occur several times.
        shuffle: Whether to shuffle them anew in every epoch.
        generator: Generator of the shuffling; None means torch's global one.
    """

    def __init__(self, positions: Positions, *, shuffle: bool, generator: torch.Generator | None = None) -> None:
        self.positions, self.shuffle, self.generator = positions.tolist(), shuffle, generator

    def __iter__(self) -> Iterator[int]:
        if not self.shuffle:
            return iter(self.positions)
        order = torch.randperm(len(self.positions), generator=self.generator).tolist()
        return iter([self.positions[i] for i in order])

    def __len__(self) -> int:
        return len(self.positions)


class Indexed:
    """A loader of labelled samples, of which others with chosen samples can be made.

    The data set, its transforms, collation, batch size and workers stay those of the loader.

    Args:
        loader: Batches of the core, or a torch DataLoader over data with positions; its batches are pairs of inputs and
            class labels.
        where: Name of the component, for messages.

    Attributes:
        labels: Class of every sample, int64 (N,).

    Raises:
        SpecError: The loader is of another kind, or its data do not say their classes.
    """

    def __init__(self, loader: object, where: str = "cgap") -> None:
        self._loader, self._where = loader, where
        self._source, self._shuffles, self._generator = self._read()
        self.labels = self._labels()

    def __len__(self) -> int:
        return len(self._source)

    def of(self, classes: Sequence[int]) -> Positions:
        """Returns the indices of all samples of some classes, in the order of the data.

        Args:
            classes: Labels.
        """
        return np.flatnonzero(np.isin(self.labels, list(classes)))

    def take(self, indices: Positions) -> Any:
        """Returns a loader of chosen samples, shuffled if the original one is.

        Args:
            indices: Indices into `labels`; one may occur several times.

        Raises:
            SpecError: There are none, or they do not fill a batch that must be full.
        """
        loader: Any = self._loader
        if not len(indices):
            raise SpecError("there are no samples of the classes of a stage", where=self._where)
        positions = self._source[indices]
        if isinstance(loader, Batches):
            return Batches(loader.data, self._images(loader.requests, positions))
        made = copy.copy(loader)  # subclasses may have constructors of their own; torch guards these attributes
        if isinstance(loader.sampler, ImageSampler):
            object.__setattr__(made, "sampler", self._images(loader.sampler, positions))
            return made
        sampler = Listed(positions, shuffle=self._shuffles, generator=self._generator)
        if loader.batch_sampler is None:
            object.__setattr__(made, "sampler", sampler)
            return made
        inner = loader.batch_sampler
        if inner.drop_last and len(positions) < inner.batch_size:
            raise SpecError(
                f"{plural(len(positions), 'sample')} of a stage do not fill a batch of {inner.batch_size}",
                where=self._where,
                fix="use smaller batches or a larger memory, or drop_last=False",
            )
        object.__setattr__(made, "batch_sampler", BatchSampler(sampler, inner.batch_size, inner.drop_last))
        return made

    @property
    def sample_bytes(self) -> int:
        """Number of bytes that keeping one input takes, in the form in which the data are stored."""
        loader: Any = self._loader
        images = getattr(getattr(loader, "data", None), "images", None)  # pixels as they are stored, mostly one byte
        if images is None:
            images = getattr(getattr(loader, "dataset", None), "images", None)
        if isinstance(images, Tensor):
            return images[0].numel() * images.element_size()
        batch = next(iter(self.take(np.arange(1))))
        return int(batch[0][0].numel() * batch[0].element_size())

    def _images(self, sampler: ImageSampler, positions: Positions) -> ImageSampler:
        return ImageSampler(torch.from_numpy(positions), sampler.batch_size, shuffle=sampler.shuffle)

    def _read(self) -> tuple[Positions, bool, torch.Generator | None]:
        """Positions in the data set that the loader goes through, whether it shuffles, and with which generator."""
        loader: Any = self._loader
        sampler = loader.requests if isinstance(loader, Batches) else getattr(loader, "sampler", None)
        if isinstance(sampler, ImageSampler):
            return sampler.index.numpy(), sampler.shuffle, None
        if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
            raise self._refused(f"a {type(loader).__name__} does not address its data by position")
        batches = loader.batch_sampler
        if batches is not None and type(batches) is not BatchSampler:
            raise self._refused(f"a {type(batches).__name__} makes batches in a way of its own")
        if isinstance(batches, BatchSampler):
            sampler = batches.sampler
        dataset: Any = loader.dataset
        if type(sampler) is SequentialSampler:
            return np.arange(len(dataset)), False, None
        if type(sampler) is RandomSampler and not sampler.replacement and sampler.num_samples == len(dataset):
            return np.arange(len(dataset)), True, sampler.generator
        if type(sampler) is SubsetRandomSampler:
            return np.asarray(sampler.indices, np.int64), True, sampler.generator
        listed = getattr(sampler, "positions", None)
        if isinstance(listed, list):  # a part of the data that was taken before
            return np.asarray(listed, np.int64), isinstance(sampler, Listed) and sampler.shuffle, None
        raise self._refused(f"a {type(sampler).__name__} draws samples in a way of its own")

    def _labels(self) -> NDArray[np.int64]:
        loader: Any = self._loader
        if isinstance(loader, Batches):
            found: Any = loader.data.labels.numpy()
        elif isinstance(loader.sampler, ImageSampler):
            found = loader.dataset.labels.numpy()
        else:
            found = labels_of(loader.dataset)
            if found is None:
                return self._looked_up(loader.dataset)
        labels = np.asarray(found)[self._source]
        if labels.dtype.kind not in "iub":
            raise self._refused(f"its labels are of type {labels.dtype}, not integers")
        return labels.astype(np.int64)

    def _looked_up(self, dataset: Any) -> NDArray[np.int64]:
        """Labels of a data set that does not list them: every sample is read once."""
        labels = []
        for position in self._source.tolist():
            sample = dataset[position]
            label = sample[1] if isinstance(sample, (tuple, list)) and len(sample) == 2 else None
            value = label.item() if isinstance(label, (Tensor, np.generic)) and label.ndim == 0 else label
            if not isinstance(value, int) or isinstance(value, bool):
                raise self._refused(f"sample {position} is not a pair of an input and a class")
            labels.append(value)
        return np.asarray(labels, np.int64)

    def _refused(self, why: str) -> SpecError:
        return SpecError(
            "the training data cannot be divided by class",
            where=self._where,
            why=why,
            fix="return a torch DataLoader over a data set with __getitem__ and __len__, whose samples are pairs of an "
            "input and an integer class",
        )

"""A part of the training data behind any loader: the same data set, collation and workers, fewer positions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from nasplug.contract.errors import TrialError
from nasplug.contract.wording import plural
from nasplug.data.batches import Batches
from nasplug.data.batches import BatchSampler as ImageSampler
from nasplug.data.splits import stratified_split

Mask = NDArray[np.bool_]


def cut(loader: object, fraction: float, rng: Callable[[int], np.random.Generator]) -> object:
    """Returns a loader of a random part of another one's data, with equal shares of all classes where they are known.

    Args:
        loader: A DataLoader, or a list or mapping of those, as `train_dataloader` may return.
        fraction: Part to keep, above 0 and at most 1.
        rng: Random stream of the loader of an index, counted through all of them.

    Raises:
        TrialError: The loader does not address its data by position.
    """
    counter = iter(range(1 << 30))
    return _cut(loader, lambda labels, total: _mask(labels, total, fraction, rng(next(counter))))


def labels_of(dataset: object) -> NDArray[np.generic] | None:
    """Returns the class of every position of a data set, shape (N,), where it can be known without reading the data.

    Args:
        dataset: Dataset with `targets`, `labels` or `y`; a TensorDataset whose last tensor holds integers; or a part or
            a union of those.
    """
    if isinstance(dataset, Subset):
        inner = labels_of(dataset.dataset)
        return None if inner is None else inner[np.asarray(dataset.indices)]
    if isinstance(dataset, ConcatDataset):
        parts = [labels_of(part) for part in dataset.datasets]
        return None if any(part is None for part in parts) else np.concatenate([p for p in parts if p is not None])
    candidates = [getattr(dataset, name, None) for name in ("targets", "labels", "y")]
    if isinstance(dataset, TensorDataset):
        candidates.append(dataset.tensors[-1])
    for value in candidates:
        if isinstance(value, (list, tuple, np.ndarray, torch.Tensor)):
            found = np.asarray(value)
            if (
                isinstance(dataset, Sized)
                and found.ndim == 1
                and len(found) == len(dataset)
                and found.dtype.kind in "iubUS"
            ):
                return found
    return None


def _mask(labels: NDArray[np.generic] | None, total: int, fraction: float, rng: np.random.Generator) -> Mask:
    size = max(1, round(fraction * total))
    kept = np.zeros(total, dtype=bool)
    if size >= total:
        kept[:] = True
    elif labels is not None and len(np.unique(labels)) <= size:
        kept[stratified_split(labels, 1.0 - size / total, rng)[0]] = True
    else:
        kept[rng.permutation(total)[:size]] = True
    return kept


def _cut(loader: object, choose: Callable[[NDArray[np.generic] | None, int], Mask]) -> object:
    if isinstance(loader, Mapping):
        return {name: _cut(item, choose) for name, item in loader.items()}
    if isinstance(loader, (list, tuple)):
        return [_cut(item, choose) for item in loader]
    if hasattr(loader, "flattened") and hasattr(loader, "iterables"):  # Lightning's CombinedLoader
        combined = copy.copy(loader)
        combined.flattened = [_cut(item, choose) for item in loader.flattened]
        return combined
    if isinstance(loader, Batches):
        return Batches(loader.data, _cut_images(loader.requests, loader.data.labels, choose))
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        kind = type(loader.dataset if isinstance(loader, DataLoader) else loader).__name__
        raise TrialError(
            "data",
            f"a part of a {kind} cannot be taken, as it does not address its data by position",
            where="fraction",
            fix="return a torch DataLoader over a data set with __getitem__ and __len__, or take the part yourself",
        )
    return _cut_loader(loader, choose)


def _cut_loader(loader: DataLoader[Any], choose: Callable[[NDArray[np.generic] | None, int], Mask]) -> DataLoader[Any]:
    # A copy, since subclasses may have constructors of their own; torch guards these two attributes after __init__.
    made, sampler, batches = copy.copy(loader), loader.sampler, loader.batch_sampler
    if isinstance(sampler, ImageSampler):
        dataset: Any = loader.dataset
        object.__setattr__(made, "sampler", _cut_images(sampler, dataset.labels, choose))
        return made
    dataset = loader.dataset
    kept = choose(labels_of(dataset), len(dataset))
    if batches is None:  # batches are made by the data set, or not at all
        object.__setattr__(made, "sampler", _cut_sampler(sampler, kept))
        return made
    if loader.drop_last and loader.batch_size is not None and kept.sum() < loader.batch_size:
        raise TrialError(
            "data",
            f"{kept.sum()} of {plural(len(kept), 'training example')} do not fill a batch of {loader.batch_size}",
            where="fraction",
            fix="use a larger fraction, smaller batches, or drop_last=False",
        )
    object.__setattr__(made, "batch_sampler", _cut_sampler(batches, kept))
    return made


def _cut_images(sampler: ImageSampler, labels: torch.Tensor, choose: Callable[..., Mask]) -> ImageSampler:
    kept = torch.from_numpy(choose(labels[sampler.index].numpy(), len(sampler.index)))
    return ImageSampler(sampler.index[kept], sampler.batch_size, shuffle=sampler.shuffle)


def _cut_sampler(sampler: Any, kept: Mask) -> Sampler[Any]:
    """A sampler of the same kind that yields kept positions only."""
    positions = np.flatnonzero(kept)
    if type(sampler) is BatchSampler:
        return BatchSampler(_cut_sampler(sampler.sampler, kept), sampler.batch_size, sampler.drop_last)
    if type(sampler) is SequentialSampler:
        return _Listed(positions.tolist())
    if type(sampler) is SubsetRandomSampler:
        return SubsetRandomSampler([i for i in sampler.indices if kept[i]], sampler.generator)
    if type(sampler) is RandomSampler and not sampler.replacement and sampler.num_samples == len(kept):
        return SubsetRandomSampler(positions.tolist(), sampler.generator)
    if type(sampler) in (RandomSampler, WeightedRandomSampler):
        weights = torch.as_tensor(getattr(sampler, "weights", np.ones(len(kept))), dtype=torch.double)
        number = max(1, round(sampler.num_samples * kept.mean()))
        masked = (weights * torch.from_numpy(kept)).tolist()
        return WeightedRandomSampler(masked, number, sampler.replacement, sampler.generator)
    return _Filtered(sampler, kept)


class _Listed(Sampler[int]):
    """Positions in order."""

    def __init__(self, positions: list[int]) -> None:
        self.positions = positions

    def __iter__(self) -> Iterator[int]:
        return iter(self.positions)

    def __len__(self) -> int:
        return len(self.positions)


class _Filtered(Sampler[int | list[int]]):
    """What somebody's own sampler yields, positions or batches of them, without those that are not kept.

    It has no length, which only the sampler inside could know.
    """

    def __init__(self, sampler: Iterable[int | list[int]], kept: Mask) -> None:
        self.sampler, self.kept = sampler, kept

    def __iter__(self) -> Iterator[int | list[int]]:
        for item in self.sampler:
            if isinstance(item, (list, tuple)):
                rest = [position for position in item if self.kept[position]]
                if rest:
                    yield rest
            elif self.kept[int(item)]:
                yield item

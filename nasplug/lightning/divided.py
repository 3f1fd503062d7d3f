"""Training data for several processes: all walk through the same batches, and each takes every so many-th of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed
from torch.utils.data import DataLoader, IterableDataset, Sampler

from nasplug.contract.errors import SpecError, TrialError
from nasplug.contract.wording import plural
from nasplug.data.batches import Batches
from nasplug.run.seeding import seed_everything, undisturbed

if TYPE_CHECKING:
    from nasplug.evaluate.ranks import Ranks


class EveryNth(Sampler[Any]):
    """Every so many-th batch of a sampler, the same number in each process: the rest of an epoch is left out.

    The first process draws a number for each epoch, which decides what all of them draw in their samplers.

    Args:
        sampler: Sampler of batches.
        rank: Index of this process.
        count: Number of processes.
    """

    def __init__(self, sampler: Iterable[Any], rank: int, count: int) -> None:
        self.sampler, self.rank, self.count = sampler, rank, count

    def __len__(self) -> int:
        return len(self.sampler) // self.count  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        shared = [int(torch.randint(2**31, ()))]
        distributed.broadcast_object_list(shared, src=0)
        with undisturbed():
            seed_everything(shared[0])
            batches = list(self.sampler)
        for number in range(len(batches) // self.count):
            yield batches[number * self.count + self.rank]


def divide(data: Any, ranks: Ranks) -> None:
    """Has a data module give this process its part of the training data; validation data stay whole.

    All processes validate on all data, since the mean of a metric over parts of them is not the metric.

    Args:
        data: LightningDataModule, changed in place.
        ranks: Place of this process.
    """
    whole: Callable[[], object] = data.train_dataloader
    data.train_dataloader = lambda: _divided(whole(), ranks)


def _divided(loader: object, ranks: Ranks) -> object:
    if isinstance(loader, Mapping):
        return {name: _divided(item, ranks) for name, item in loader.items()}
    if isinstance(loader, (list, tuple)):
        return [_divided(item, ranks) for item in loader]
    if hasattr(loader, "flattened") and hasattr(loader, "iterables"):  # Lightning's CombinedLoader
        combined = copy.copy(loader)
        combined.flattened = [_divided(item, ranks) for item in loader.flattened]
        return combined
    if isinstance(loader, Batches):
        made: Any = copy.copy(loader)
        made.requests = _part(loader.requests, ranks)
        return made
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        kind = type(loader.dataset if isinstance(loader, DataLoader) else loader).__name__
        raise SpecError(
            f"the training data are a {kind}, which cannot be divided among {plural(ranks.count, 'device')}",
            where="run.gpus",
            why="it does not address its data by position, so that every device would train on all of them",
            fix="return a torch DataLoader over a data set with __getitem__ and __len__, or give a trial one GPU",
        )
    made = copy.copy(loader)  # subclasses may have constructors of their own; torch guards these attributes
    name = "sampler" if loader.batch_sampler is None else "batch_sampler"
    object.__setattr__(made, name, _part(getattr(loader, name), ranks))
    return made


def _part(sampler: Any, ranks: Ranks) -> Any:
    part = EveryNth(sampler, ranks.rank, ranks.count)
    if hasattr(sampler, "__len__") and not len(part):
        raise TrialError(
            "data",
            f"an epoch has {plural(len(sampler), 'batch', 'batches')}, and the trial {plural(ranks.count, 'device')}",
            where="run.gpus",
            fix="use smaller batches, more data, or one GPU for each trial",
        )
    return part

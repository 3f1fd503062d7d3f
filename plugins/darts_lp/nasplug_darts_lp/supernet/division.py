"""Divides the training data of a task once more: weights learn from one part, logits from the other.

Validation data judge the derived networks and test data nothing: neither is ever read here.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset

from nasplug.contract.errors import TaskError
from nasplug.contract.wording import plural
from nasplug.data.batches import Batches, BatchSampler, LabelledBatches, batches

_WHERE = "darts_lp.search"


def divided(loader: Any, fraction: float, seed: int) -> tuple[Any, Any]:
    """Two loaders over disjoint parts of what a training loader loads, both shuffled.

    Args:
        loader: Loader from a data module: batches of nasplug's own, or a DataLoader over a data set that has a length.
        fraction: Fraction for the logits, between 0 and 1.
        seed: Random seed; the same seed gives the same parts.

    Returns:
        The loader for the weights and the one for the logits.

    Raises:
        TaskError: The data cannot be divided, or one part is empty.
    """
    if isinstance(loader, Batches):
        return _parts(loader.data, loader.requests, fraction, seed, 0)
    if isinstance(loader, DataLoader):
        if isinstance(loader.sampler, BatchSampler) and isinstance(loader.dataset, LabelledBatches):
            return _parts(loader.dataset, loader.sampler, fraction, seed, loader.num_workers)
        dataset = loader.dataset
        if isinstance(dataset, Sized) and not isinstance(dataset, IterableDataset) and loader.batch_size:
            rest, held = _positions(len(dataset), fraction, seed)
            first, second = (_over(loader, Subset(dataset, part.tolist())) for part in (rest, held))
            return first, second
    raise TaskError(
        f"the training data, a {type(loader).__name__}, cannot be divided between weights and logits",
        where=_WHERE,
        why="that takes a DataLoader over a data set that has a length",
        fix="train both together: training.optimisation: joint",
    )


def _parts(data: LabelledBatches, sampler: BatchSampler, fraction: float, seed: int, workers: int) -> tuple[Any, Any]:
    rest, held = _positions(len(sampler.index), fraction, seed)
    size = sampler.batch_size
    first, second = (
        batches(data, BatchSampler(sampler.index[part], min(size, len(part)), shuffle=True), workers)
        for part in (rest, held)
    )
    return first, second


def _positions(count: int, fraction: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    held = round(fraction * count)
    if not 2 <= held <= count - 2:
        raise TaskError(
            f"{held} of {plural(count, 'training example')} would be left for the logits",
            where=_WHERE,
            fix="use more data, another logits.fraction, or training.optimisation: joint",
        )
    return order[held:].sort().values, order[:held].sort().values


def _over(loader: DataLoader[Any], dataset: Dataset[Any]) -> DataLoader[Any]:
    return DataLoader(
        dataset,
        batch_size=loader.batch_size,
        shuffle=True,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        drop_last=loader.drop_last,
    )

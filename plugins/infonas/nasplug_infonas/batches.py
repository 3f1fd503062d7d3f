"""Batches of encoded graphs out of memory: one indexing per batch, no work per graph."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from nasplug.contract.errors import DataError
from nasplug_infonas.encoding import EncodedGraphs

#: Operations int8 (B, V) and adjacency uint8 (B, V, V).
GraphBatch = tuple[Tensor, Tensor]


class GraphBatches:
    """Encoded graphs, cut into batches anew for every epoch.

    Args:
        graphs: The graphs.
        batch_size: Graphs per batch; the last one may be smaller.
        shuffle: Whether to shuffle, by torch's global generator. A last batch of a single graph is then left out,
            since batch normalisation needs more.
    """

    def __init__(self, graphs: EncodedGraphs, batch_size: int, *, shuffle: bool) -> None:
        self.operations = torch.from_numpy(graphs.operations)
        self.adjacency = torch.from_numpy(graphs.adjacency)
        self.batch_size, self.shuffle = batch_size, shuffle

    def __len__(self) -> int:
        full, left = divmod(len(self.operations), self.batch_size)
        return full + (left > (1 if self.shuffle and full else 0))

    def __iter__(self) -> Iterator[GraphBatch]:
        operations, adjacency = self.operations, self.adjacency
        if self.shuffle:
            order = torch.randperm(len(operations))
            operations, adjacency = operations[order], adjacency[order]
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            stop = start + self.batch_size
            yield operations[start:stop], adjacency[start:stop]


class GraphDataModule(LightningDataModule):
    """Graphs to train the autoencoder on, and others to judge it by.

    Args:
        train: Graphs to train on.
        val: Held-out graphs; None means that nothing is judged.
        batch_size: Graphs per training batch; 32 is published.
        eval_batch_size: Graphs per batch of validation.

    Raises:
        DataError: There are not two graphs to train on.
    """

    def __init__(
        self, train: EncodedGraphs, val: EncodedGraphs | None = None, batch_size: int = 32, eval_batch_size: int = 1024
    ) -> None:
        super().__init__()
        if len(train) < 2:
            raise DataError(f"training needs at least 2 graphs, got {len(train)}", where="GraphDataModule")
        self.train, self.val = train, val
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size

    def train_dataloader(self) -> GraphBatches:
        """Shuffled batches."""
        return GraphBatches(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self) -> GraphBatches | list[GraphBatches]:
        """Batches in order; none without held-out graphs."""
        return [] if self.val is None else GraphBatches(self.val, self.eval_batch_size, shuffle=False)

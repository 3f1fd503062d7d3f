"""Labelled and unlabelled batches in turns, as info-NAS takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from nasplug.contract.errors import DataError
from nasplug.contract.wording import plural
from nasplug_infonas.batches import GraphBatch, GraphBatches
from nasplug_infonas.encoding import EncodedGraphs


class LabelledBatch(NamedTuple):
    """Graphs, and what their networks gave.

    Attributes:
        operations: Int8 (B, V).
        adjacency: Uint8 (B, V, V).
        images: Float (B, C, H, W), or None where the target belongs to the network alone.
        targets: Float (B, k).
    """

    operations: Tensor
    adjacency: Tensor
    images: Tensor | None
    targets: Tensor


class LabelledPairs:
    """Every network with every image once per epoch, shuffled; or every network once, if there are no images.

    Args:
        graphs: Graphs of the N networks.
        targets: Float (N, M, k) for M images, or (N, 1, k) without images.
        images: Float (M, C, H, W), or None.
        batch_size: Pairs per batch; a last batch of a single pair is left out.

    Raises:
        DataError: Sizes do not fit.
    """

    def __init__(self, graphs: EncodedGraphs, targets: Tensor, images: Tensor | None, batch_size: int) -> None:
        per_network = 1 if images is None else len(images)
        if targets.ndim != 3 or targets.shape[:2] != (len(graphs), per_network):
            raise DataError(
                f"targets of shape {tuple(targets.shape)} for {plural(len(graphs), 'network')} and "
                f"{plural(per_network, 'image')}",
                where="LabelledPairs",
            )
        self.operations = torch.from_numpy(graphs.operations)
        self.adjacency = torch.from_numpy(graphs.adjacency)
        self.targets, self.images, self.batch_size = targets.flatten(0, 1), images, batch_size
        self.networks, self._per_network = len(graphs), per_network

    def __len__(self) -> int:
        full, left = divmod(len(self.targets), self.batch_size)
        return full + (left > (1 if full else 0))

    def __iter__(self) -> Iterator[LabelledBatch]:
        order = torch.randperm(len(self.targets))
        for number in range(len(self)):
            rows = order[number * self.batch_size : (number + 1) * self.batch_size]
            networks = rows // self._per_network
            images = None if self.images is None else self.images[rows % self._per_network]
            yield LabelledBatch(self.operations[networks], self.adjacency[networks], images, self.targets[rows])


class InterleavedBatches:
    """Runs of labelled batches, with unlabelled ones in between; an epoch ends when both are used up.

    With u unlabelled batches and n labelled networks, c = floor(0.33 u / floor(n / batch size)), at least 1. A labelled
    batch comes whenever `run` (floor(u' / c) + 1) exceeds the number of labelled batches so far, u' being that of
    unlabelled ones: `run` labelled batches, c unlabelled ones, and so on. When one kind is used up, the rest of the
    other follows.

    Args:
        unlabelled: Graphs alone.
        labelled: Graphs with targets.
        run: Labelled batches in a row; 300 are published.
        share: The factor 0.33.
    """

    def __init__(self, unlabelled: GraphBatches, labelled: LabelledPairs, run: int = 300, share: float = 0.33) -> None:
        self.unlabelled, self.labelled, self.run = unlabelled, labelled, run
        groups = max(1, labelled.networks // labelled.batch_size)
        self.gap = max(1, int(share * len(unlabelled) / groups))

    def __len__(self) -> int:
        return len(self.unlabelled) + len(self.labelled)

    def order(self) -> Iterator[bool]:
        """Whether each batch of an epoch is labelled."""
        plain = marked = 0
        while plain < len(self.unlabelled) or marked < len(self.labelled):
            due = self.run * (plain // self.gap + 1) > marked
            take = marked < len(self.labelled) and (due or plain == len(self.unlabelled))
            plain, marked = plain + (not take), marked + take
            yield take

    def __iter__(self) -> Iterator[GraphBatch | LabelledBatch]:
        plain, marked = iter(self.unlabelled), iter(self.labelled)
        for is_labelled in self.order():
            yield next(marked) if is_labelled else next(plain)

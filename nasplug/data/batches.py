"""Batches cut out of one tensor: the whole cost of an epoch is a few tensor operations per batch."""

from __future__ import annotations

from collections.abc import Iterator, Sized

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from nasplug.data.augment import augment
from nasplug.data.prepared import Augment

#: Positions of a batch's images and the seed of its augmentation.
Request = tuple[Tensor, int]
Batch = tuple[Tensor, Tensor]


class LabelledBatches(Dataset[Batch]):
    """Turns positions into a batch, and knows the class of every position.

    Attributes:
        labels: int64 tensor (M,), by which a part with equal shares of the classes can be taken.
    """

    labels: Tensor


class BatchImages(LabelledBatches):
    """Turns positions into a ready batch.

    Args:
        images: uint8 or float tensor (M, H, W, C) of all images.
        labels: int64 tensor (M,).
        scale: Float tensor (C,): pixels are multiplied by it,
        shift: and this float tensor (C,) is added.
        how: Augmentation.
        pad: Largest shift of the crops in pixels, for augmentation.
    """

    def __init__(
        self, images: Tensor, labels: Tensor, scale: Tensor, shift: Tensor, how: Augment = "none", pad: int = 0
    ) -> None:
        self.images = images
        self.labels = labels
        self.scale = scale.view(1, -1, 1, 1)
        self.shift = shift.view(1, -1, 1, 1)
        self.how = how
        self.pad = pad

    def __getitem__(self, request: Request) -> Batch:
        """Returns float32 images (N, C, H, W) and int64 labels (N,)."""
        index, seed = request
        images = self.images[index].permute(0, 3, 1, 2)
        # A new contiguous tensor whatever the type of the pixels, so the in-place steps touch nobody's data.
        images = images.to(torch.float32, memory_format=torch.contiguous_format, copy=True)
        images.mul_(self.scale).add_(self.shift)
        if self.how != "none":
            images = augment(images, self.how, self.pad, torch.Generator().manual_seed(seed))
        return images, self.labels[index]


class BatchSampler(Sampler[Request]):
    """Yields the positions of each batch, shuffled anew every epoch if asked.

    One number drawn from torch's global generator decides an epoch, so the batches follow from the seed of the trial,
    and are the same for any number of workers.

    Args:
        index: int64 tensor (N,) of the positions to use.
        batch_size: Images per batch; the last one may be smaller.
        shuffle: Whether to shuffle. Then a last batch of a single image is left out, since batch normalisation cannot
            train on it; another image is left out in the next epoch.
    """

    def __init__(self, index: Tensor, batch_size: int, *, shuffle: bool) -> None:
        self.index = index
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __len__(self) -> int:
        full, left = divmod(len(self.index), self.batch_size)
        return full + (left > (1 if self.shuffle and full else 0))

    def __iter__(self) -> Iterator[Request]:
        index, seed = self.index, 0
        if self.shuffle:
            seed = int(torch.randint(2**62, ()))
            index = index[torch.randperm(len(index), generator=torch.Generator().manual_seed(seed))]
        for number in range(len(self)):
            yield index[number * self.batch_size : (number + 1) * self.batch_size], seed + number + 1


class Batches(Sized):
    """An epoch of batches made on demand, in this process."""

    def __init__(self, data: LabelledBatches, requests: BatchSampler) -> None:
        self.data = data
        self.requests = requests  # not "sampler": Lightning takes whatever has that for a DataLoader

    def __len__(self) -> int:
        return len(self.requests)

    def __iter__(self) -> Iterator[Batch]:
        for request in self.requests:
            yield self.data[request]


def batches(data: LabelledBatches, sampler: BatchSampler, num_workers: int = 0) -> Batches | DataLoader[Batch]:
    """Returns an epoch's batches: made here on demand, or ahead of time by worker processes."""
    if num_workers == 0:
        return Batches(data, sampler)
    return DataLoader(
        data,
        sampler=sampler,
        batch_size=None,
        num_workers=num_workers,
        persistent_workers=True,
        # Its own draw for the workers' seeds must not come from the global generator, or it would shift ours.
        generator=torch.Generator(),
    )

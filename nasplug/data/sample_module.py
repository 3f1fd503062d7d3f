"""A Lightning data module for samples that fit into memory."""

from __future__ import annotations

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from nasplug.contract.errors import DataError
from nasplug.data.batches import Batch, Batches, BatchSampler, LabelledBatches, Request, batches
from nasplug.data.samples import Divided
from nasplug.data.settings import Loading
from nasplug.data.splits import Indices


class _Rows(LabelledBatches):
    """Turns positions into a batch; samples without classes are all of one."""

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs, self.targets = inputs, targets
        self.labels = targets if targets.ndim == 1 else torch.zeros(len(targets), dtype=torch.int64)

    def __getitem__(self, request: Request) -> Batch:
        index, _ = request
        return self.inputs[index], self.targets[index]


class SampleDataModule(LightningDataModule):
    """Cuts batches out of samples held as one tensor for each part.

    Args:
        data: Divided samples.
        batch_size: Number of samples per training batch.
        loading: Settings of batches; augmentation and normalisation have no meaning here.
    """

    def __init__(self, data: Divided, batch_size: int = 64, loading: Loading = Loading()) -> None:
        super().__init__()
        self.data = data
        self.batch_size = batch_size
        self.loading = loading

    def train_dataloader(self) -> Batches | DataLoader[Batch]:
        """Shuffled batches of the training part."""
        return self._loader(self.data.train, self.batch_size, shuffle=True)

    def val_dataloader(self) -> Batches | DataLoader[Batch]:
        """Batches of the validation part, in order."""
        return self._loader(self.data.val, self._eval_size, shuffle=False)

    def test_dataloader(self) -> Batches | DataLoader[Batch]:
        """Batches of the test part, in order; for the final test of a chosen network, never for a search.

        Raises:
            DataError: There are no test samples.
        """
        if self.data.test is None:
            raise DataError("there are no test samples", where="SampleDataModule", fix="set split.test_fraction")
        return self._loader(self.data.test, self._eval_size, shuffle=False)

    @property
    def _eval_size(self) -> int:
        return self.loading.eval_batch_size or max(self.batch_size, 256)

    def _loader(self, part: Indices, batch_size: int, *, shuffle: bool) -> Batches | DataLoader[Batch]:
        rows = _Rows(torch.from_numpy(self.data.inputs(part)), torch.from_numpy(self.data.outputs(part)))
        sampler = BatchSampler(torch.arange(len(part)), batch_size, shuffle=shuffle)
        return batches(rows, sampler, self.loading.num_workers)

"""The data module of the segmentation task: patches for training, whole volumes for validation and test."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from nasplug.contract.errors import DataError
from nasplug.data.volumes.division import Parts
from nasplug.data.volumes.prepared import Prepared
from nasplug.tasks.segmentation.augment import standard_transform
from nasplug.tasks.segmentation.cutting import Cutter
from nasplug.tasks.segmentation.settings import Patches

if TYPE_CHECKING:
    from nasplug.tasks.segmentation.augment import Sample, Transform

#: Intensities, classes and centres of a case, in files.
Mapped: TypeAlias = tuple[NDArray[np.float32], NDArray[np.uint8], list[NDArray[np.int64]]]
#: Cases whose files a process keeps mapped; each takes three descriptors.
_MAPPED = 64


class Request(int):
    """Position of a case among those of the training, which also carries the seed of one patch of it."""

    seed: int

    @classmethod
    def of(cls, position: int, seed: int) -> Request:
        """Returns a request for a patch.

        Args:
            position: Position of the case.
            seed: Seed of the patch.
        """
        request = cls(position)
        request.seed = seed
        return request

    def __reduce__(self) -> tuple[object, ...]:
        return Request.of, (int(self), self.seed)


class PatchData(Dataset[tuple[Tensor, Tensor]]):
    """Cuts a patch out of a case; the seed in the request decides which one, in whatever process.

    Args:
        cases: Prepared cases.
        positions: Positions of those to cut from.
        size: Size of a patch along each axis.
        patches: Settings.
        transform: Further dictionary transform of MONAI, applied to `image` and `label` of each patch, or None.
    """

    def __init__(
        self,
        cases: Prepared,
        positions: Sequence[int],
        size: Sequence[int],
        patches: Patches,
        transform: Transform | None = None,
    ) -> None:
        self._cases, self._positions = cases, tuple(positions)
        self._cut = Cutter(size, patches.foreground, patches.augment != "none")
        self._vary = standard_transform(len(size)) if patches.augment == "standard" else None
        self._further = transform
        self._mapped: OrderedDict[int, Mapped] = OrderedDict()

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, request: Request) -> tuple[Tensor, Tensor]:
        """Returns intensities (C, *size), float32, and classes (1, *size), int64."""
        rng = np.random.default_rng(request.seed)
        patch, mask = self._cut(*self._map(self._positions[request]), rng)
        if self._vary is None and self._further is None:
            return torch.from_numpy(patch), torch.from_numpy(mask).long()
        sample: Sample = {"image": torch.from_numpy(patch), "label": torch.from_numpy(mask)}
        for number, step in enumerate(filter(None, (self._vary, self._further))):
            if hasattr(step, "set_random_state"):
                step.set_random_state(request.seed + number)
            sample = step(sample)
        return _plain(sample["image"]).float(), _plain(sample["label"]).long()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_mapped": OrderedDict()}  # a pickled map is a copy of the file

    def _map(self, case: int) -> Mapped:
        """The files of a case; those used last stay mapped, as opening them takes longer than cutting."""
        if case in self._mapped:
            self._mapped.move_to_end(case)
            return self._mapped[case]
        if len(self._mapped) >= _MAPPED:
            self._mapped.popitem(last=False)
        self._mapped[case] = (self._cases.image(case), self._cases.label(case), self._cases.centres(case))
        return self._mapped[case]


class PatchSampler(Sampler[Request]):
    """Walks through the cases in random order, again and again; all randomness is torch's.

    Args:
        weights: Number of times that each case comes up in one walk, such as its number of slices.
        count: Number of patches of an epoch.
    """

    def __init__(self, weights: Sequence[int], count: int) -> None:
        self._walk = np.repeat(np.arange(len(weights)), weights)
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Request]:
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        walks = [rng.permutation(self._walk) for _ in range(math.ceil(self._count / len(self._walk)))]
        order = np.concatenate(walks)[: self._count]
        yield from map(Request.of, order.tolist(), rng.integers(2**31, size=self._count).tolist())


class WholeData(Dataset[dict[str, Tensor]]):
    """Whole cases: `image` (C, X, Y, Z), `label` on the same grid, `truth` on that of the file, and `case`.

    Args:
        cases: Prepared cases.
        positions: Positions of the cases.
    """

    def __init__(self, cases: Prepared, positions: Sequence[int]) -> None:
        self._cases, self._positions = cases, tuple(positions)

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Returns one case."""
        position = self._positions[index]
        return {
            "image": torch.from_numpy(self._cases.image(position)),
            "label": torch.from_numpy(self._cases.label(position)),
            "truth": torch.from_numpy(self._cases.truth(position)),
            "case": torch.tensor(position),
        }


class SegmentationData(LightningDataModule):
    """Patches for training; whole cases, one per batch, for validation and test.

    Args:
        cases: Prepared cases.
        parts: Division of the cases.
        size: Size of a patch along each axis.
        batch_size: Number of patches per training batch.
        patches: Further settings.
        transform: Further dictionary transform of MONAI for patches, or None.
    """

    def __init__(
        self,
        cases: Prepared,
        parts: Parts,
        size: Sequence[int],
        batch_size: int,
        patches: Patches,
        transform: Transform | None = None,
    ) -> None:
        super().__init__()
        self.cases, self.parts, self.size = cases, parts, tuple(size)
        self.batch_size, self.patches, self.transform = batch_size, patches, transform

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of patches (N, C, *size) and labels (N, 1, *size), cut anew in every epoch."""
        slices = [self.cases.grids[case].shape[2] if len(self.size) == 2 else 1 for case in self.parts.train]
        sampler = PatchSampler(slices, self.patches.per_epoch or sum(slices))
        data = PatchData(self.cases, self.parts.train, self.size, self.patches, self.transform)
        workers = self.patches.num_workers
        # Its own draw for the workers' seeds must not come from the global generator, or it would shift ours.
        return DataLoader(
            data,
            self.batch_size,
            sampler=sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
            generator=torch.Generator(),
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """Whole cases of the validation part, in order."""
        return self._whole(self.parts.val)

    def test_dataloader(self) -> DataLoader[Any]:
        """Whole cases of the test part, in order; for the final test of a chosen network, never for a search.

        Raises:
            DataError: There are none.
        """
        if not self.parts.test:
            raise DataError("there are no test cases", where="segmentation", fix="set folds.test_fraction")
        return self._whole(self.parts.test)

    def _whole(self, positions: Sequence[int]) -> DataLoader[Any]:
        only: Callable[[list[dict[str, Tensor]]], dict[str, Tensor]] = _only
        return DataLoader(WholeData(self.cases, positions), 1, collate_fn=only)


def _only(batch: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return batch[0]


def _plain(tensor: Any) -> Tensor:
    """A tensor without MONAI's metadata."""
    plain: Tensor = tensor.as_tensor() if hasattr(tensor, "as_tensor") else torch.as_tensor(tensor)
    return plain

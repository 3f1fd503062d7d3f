"""A Lightning data module for images that fit into memory."""

from __future__ import annotations

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from nasplug.contract.errors import DataError, SpecError
from nasplug.data.arrays import ImageArrays
from nasplug.data.batches import Batch, Batches, BatchImages, BatchSampler, batches
from nasplug.data.prepared import Augment, Part, PreparedImages, check_batching, prepare
from nasplug.data.source import ImageSource

Loader = Batches | DataLoader[Batch]


class ImageDataModule(LightningDataModule):
    """Cuts batches out of a whole data set held as one tensor.

    Validation images are always held out of the training images unless the source brings its own, pixels are scaled
    by statistics of the training part alone, and nothing but `test_dataloader` touches a test image.

    Args:
        source: Source of the images.
        batch_size: Images per training batch.
        val_fraction: Part of the training images held out for validation.
        test_fraction: Part of the training images held out for the final test, if the source has no test images.
        seed: Seed of the validation part and of the limit; the order of batches follows torch's global seed instead.
        augment: Augmentation of training images: "none", "flip" (left to right), "crop" (shift by up to `pad`
            pixels), or "crop_flip".
        pad: Largest shift of "crop" in pixels; None means an eighth of the height, 4 for 32 x 32.
        normalise: Whether to bring each channel to mean 0 and standard deviation 1 over the training part; otherwise
            pixels are 0..1 for uint8 images and unchanged for floating ones.
        limit: Number of images, class balanced, for training and validation together; None means all.
        eval_batch_size: Images per batch in validation and test; None means the larger of `batch_size` and 256.
        num_workers: Processes that make batches ahead of time. 0 is nearly always fastest: a batch costs less than
            its way between processes. The batches are the same for any number.
        prepared: Result of `prepared` of an equal data module, to share its memory and work.
    """

    def __init__(
        self,
        source: ImageSource | ImageArrays,
        batch_size: int = 64,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        seed: int = 0,
        augment: Augment = "none",
        pad: int | None = None,
        normalise: bool = True,
        limit: int | None = None,
        eval_batch_size: int | None = None,
        num_workers: int = 0,
        prepared: PreparedImages | None = None,
    ) -> None:
        super().__init__()
        check_batching(batch_size, augment, pad, eval_batch_size, num_workers)
        self.source = source
        self.batch_size = batch_size
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.seed = seed
        self.augment = augment
        self.pad = pad
        self.normalise = normalise
        self.limit = limit
        self.eval_batch_size = eval_batch_size or max(batch_size, 256)
        self.num_workers = num_workers
        self._prepared = prepared

    @property
    def prepared(self) -> PreparedImages:
        """The divided data; read at the first access."""
        if self._prepared is None:
            arrays = self.source if isinstance(self.source, ImageArrays) else self.source.load()
            self._prepared = prepare(
                arrays,
                val_fraction=self.val_fraction,
                test_fraction=self.test_fraction,
                limit=self.limit,
                seed=self.seed,
            )
        return self._prepared

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of one image."""
        return self.prepared.input_shape

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.prepared.classes)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the labels."""
        return self.prepared.classes

    def prepare_data(self) -> None:
        """Looks whether the files are there."""
        if self._prepared is None and isinstance(self.source, ImageSource):
            self.source.check()

    def setup(self, stage: str) -> None:
        """Reads and divides the data.

        Raises:
            SpecError: The Trainer spans several processes, each of which would see all the images.
        """
        divided = "train_dataloader" in vars(self)  # by an evaluator that trains with one process for each device
        if self.trainer is not None and self.trainer.world_size > 1 and not divided:
            raise SpecError(
                f"ImageDataModule feeds one device, and the Trainer uses {self.trainer.world_size}",
                fix="give each trial one device: Trainer(devices=1)",
            )
        _ = self.prepared

    def train_dataloader(self) -> Loader:
        """Shuffled, augmented batches of the training part."""
        return self._loader(self.prepared.train, self.batch_size, training=True)

    def val_dataloader(self) -> Loader:
        """Batches of the validation part, in order."""
        return self._loader(self.prepared.val, self.eval_batch_size, training=False)

    def test_dataloader(self) -> Loader:
        """Batches of the test part, in order; for the final test of a chosen network, never for a search.

        Raises:
            DataError: There are no test images.
        """
        part = self.prepared.test
        if part is None:
            raise DataError(
                "there are no test images", where="ImageDataModule", fix="set test_fraction to hold some out"
            )
        return self._loader(part, self.eval_batch_size, training=False)

    def _loader(self, part: Part, batch_size: int, *, training: bool) -> Loader:
        scale, shift = self._scaling(part)
        pad = max(1, round(self.input_shape[1] / 8)) if self.pad is None else self.pad
        data = BatchImages(
            _tensor(part),
            torch.from_numpy(part.y),
            scale,
            shift,
            self.augment if training else "none",
            pad,
        )
        sampler = BatchSampler(torch.from_numpy(part.index), batch_size, shuffle=training)
        return batches(data, sampler, self.num_workers)

    def _scaling(self, part: Part) -> tuple[Tensor, Tensor]:
        """Factor and summand per channel that take stored pixels to the network's."""
        unit = 1 / 255 if part.x.dtype == "uint8" else 1.0
        mean, std = self.prepared.mean, self.prepared.std
        if not self.normalise:
            mean, std = mean * 0.0, std * 0.0 + 1.0
        return torch.tensor(unit / std, dtype=torch.float32), torch.tensor(-mean / std, dtype=torch.float32)


def _tensor(part: Part) -> Tensor:
    """The images as a tensor (M, H, W, C) over the same memory."""
    x = part.x if part.x.flags.writeable else part.x.copy()  # torch has no read-only tensors
    tensor = torch.from_numpy(x)
    return tensor if tensor.ndim == 4 else tensor.unsqueeze(-1)

"""How images are divided and made into batches, as records of plain data; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Split:
    """Which images are held out.

    Attributes:
        val_fraction: Fraction of the training images held out for validation, unless the source brings its own.
        test_fraction: Fraction of the training images held out for the final test, unless the source brings its own.
        seed: Seed of the validation part and of the limit.
    """

    val_fraction: float = 0.1
    test_fraction: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Loading:
    """How batches are made.

    Attributes:
        normalise: Whether to normalise each channel by the training part.
        pad: Largest shift of the augmentation `crop` in pixels; None means an eighth of the height.
        eval_batch_size: Number of images per batch in validation and test; None means the larger of `batch_size` and
            256.
        num_workers: Number of processes that make batches ahead of time; 0 is nearly always fastest.
        like: Weights whose mean and standard deviation the images are normalised by, and whose image size a folder
            without a `size` takes: `timm:NAME` or `torchvision:NAME`. None means statistics of the training part.
    """

    normalise: bool = True
    pad: int | None = None
    eval_batch_size: int | None = None
    num_workers: int = 0
    like: str | None = None

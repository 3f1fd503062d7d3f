"""Samples with targets of any kind: rows of a table or images, with a class, numbers or labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError, did_you_mean
from nasplug.contract.kinds import component_type
from nasplug.contract.wording import plural
from nasplug.data.settings import Split
from nasplug.data.splits import TEST_SEED, Indices, stratified_split

#: Meaning of targets: one class of several, numbers, or labels any number of which may be right.
Targets = Literal["classes", "values", "labels"]


def check_targets(targets: str, where: str) -> None:
    """Refuses an unknown kind of targets.

    Raises:
        DataError: It is unknown.
    """
    known = get_args(Targets)
    if targets not in known:
        raise DataError(f"unknown targets {targets!r}", where=where, fix=did_you_mean(str(targets), known))


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Samples in one order, and which of them train, validate and test.

    Attributes:
        x: Float array (N, F) of rows, or (N, C, H, W) of images.
        y: Targets: int64 (N,) for classes, float32 (N, T) for values, float32 (N, K) of 0 and 1 for labels.
        targets: Meaning of `y`.
        names: Names of the classes, values or labels.
        split: Split of every sample, "train", "val" or "test" (N,); "" where the source does not say.
        where: Name of these data in error messages.
        about: Steps from a row to its numbers, as JSON data.

    Raises:
        DataError: Shapes differ, a number is not finite, or there are fewer than two classes.
    """

    x: NDArray[np.float32]
    y: NDArray[Any]
    targets: Targets
    names: tuple[str, ...]
    split: NDArray[np.str_]
    where: str = "samples"
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or not len(self.x):
            raise DataError(
                f"there are {plural(len(self.x), 'sample')} and {plural(len(self.y), 'target')}", where=self.where
            )
        for name, values in (("inputs", self.x), ("targets", self.y)):
            if not np.isfinite(values).all():
                raise DataError(
                    f"the {name} hold NaN, infinities or numbers beyond float32",
                    where=self.where,
                    fix="replace them, or leave those samples out",
                )
        if self.targets == "classes" and len(self.names) < 2:
            raise DataError("there is only one class", where=self.where, why="nothing can be told apart")
        if self.targets == "labels" and not np.isin(self.y, (0, 1)).all():
            raise DataError(
                "a label is neither 0 nor 1", where=self.where, fix="write 0 and 1, or take targets: values"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Divided:
    """Samples divided into parts, and the statistics of the training part.

    Attributes:
        samples: The samples.
        train: Positions that train.
        val: Positions that a search is judged by.
        test: Positions of a final test, or None.
        mean: Mean of every input over the training part, of shape (F,) or (C, 1, 1).
        std: Standard deviation likewise; 1 where an input is constant.
        target_mean: Mean of values over the training part (T,); 0 for other targets.
        target_std: Standard deviation likewise; 1 where a value is constant.
    """

    samples: Samples
    train: Indices
    val: Indices
    test: Indices | None
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    target_mean: NDArray[np.float64]
    target_std: NDArray[np.float64]

    @classmethod
    def of(cls, samples: Samples, split: Split) -> Self:
        """Divides samples: first the test part, the same for every seed, then validation; classes by equal shares.

        Args:
            samples: The samples; a split that they have themselves wins.
            split: Fractions and seed.

        Raises:
            DataError: A part would be empty.
        """
        groups = samples.y if samples.targets == "classes" else np.zeros(len(samples.y), np.int64)
        usable = np.flatnonzero(np.isin(samples.split, ("", "train")))
        test = _given(samples, "test")
        if test is None and split.test_fraction:
            rest, held = stratified_split(groups[usable], split.test_fraction, np.random.default_rng(TEST_SEED))
            usable, test = usable[rest], usable[held]
        val = _given(samples, "val")
        if val is None:
            rest, held = stratified_split(groups[usable], split.val_fraction, np.random.default_rng(split.seed))
            usable, val = usable[rest], usable[held]
        if not len(usable):
            raise DataError("there are no training samples", where=samples.where)
        mean, std = _statistics(samples.x[usable], (0,) if samples.x.ndim == 2 else (0, 2, 3))
        outputs = len(samples.names)
        target_mean, target_std = np.zeros(outputs), np.ones(outputs)
        if samples.targets == "values":
            target_mean, target_std = _statistics(samples.y[usable], (0,))
        return cls(samples, usable, val, test, mean, std, target_mean, target_std)

    def counts(self, part: Indices) -> NDArray[np.int64]:
        """Returns the number of samples of each class, or with each label, in a part."""
        y = self.samples.y[part]
        if self.samples.targets == "classes":
            return np.bincount(y, minlength=len(self.samples.names))
        return np.asarray(y.sum(0), np.int64)

    def inputs(self, part: Indices) -> NDArray[np.float32]:
        """Returns the normalised inputs of a part."""
        return np.asarray((self.samples.x[part] - self.mean) / self.std, np.float32)

    def outputs(self, part: Indices) -> NDArray[Any]:
        """Returns the targets of a part; values in units of the training part's standard deviation."""
        y = self.samples.y[part]
        if self.samples.targets == "classes":
            return y
        return np.asarray((y - self.target_mean) / self.target_std, np.float32)

    def __str__(self) -> str:
        """Says in one line what the data are."""
        samples = self.samples
        parts = [f"{len(self.train)} training", f"{len(self.val)} validation"]
        parts += [] if self.test is None else [f"{len(self.test)} test"]
        kind = "rows" if samples.x.ndim == 2 else "images"
        shape = " x ".join(map(str, samples.x.shape[1:]))
        line = f"{' + '.join(parts)} {kind} of {shape} numbers, {len(samples.names)} {samples.targets}"
        if samples.targets == "classes":
            share = self.counts(self.val).max() / len(self.val)
            line += f"; the most frequent one has {share:.1%} of the validation {kind}"
        return line


@component_type("data")
class SampleSource(ABC):
    """Reads samples with targets from somewhere; a small description, like `ImageSource`."""

    @property
    def name(self) -> str:
        """Name of the data for messages and reports."""
        return type(self).__name__.lower()

    def check(self) -> None:  # noqa: B027  (a source without files has nothing to check)
        """Looks quickly whether the data can be there, reading nothing.

        Raises:
            DataError: A file is missing.
        """

    @abstractmethod
    def load(self, targets: Targets) -> Samples:
        """Reads everything.

        Args:
            targets: Meaning of the targets that the task wants.

        Raises:
            DataError: Something is missing, damaged, or no targets of that kind.
        """


def _given(samples: Samples, name: str) -> Indices | None:
    positions = np.flatnonzero(samples.split == name)
    return positions if len(positions) else None


def _statistics(values: NDArray[Any], axes: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    wide = values.astype(np.float64)
    keep = len(axes) > 1
    mean, std = wide.mean(axes, keepdims=keep), wide.std(axes, keepdims=keep)
    mean, std = (mean[0], std[0]) if keep else (mean, std)
    return mean, np.where(std < 1e-8, 1.0, std)

"""What the files of a folder have in common: size, channels, kind of numbers; measured before anything is decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError
from nasplug.contract.wording import plural
from nasplug.data.images import Fit, ImageFacts, inspect_image, value_range
from nasplug.data.preprocessing import Preprocessing

#: Decoded images may take so many bytes by a size that nobody asked for.
_ROOM = 8 << 30

Map = Callable[[Callable[[Path], Any], Iterable[Path]], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class Layout:
    """How the files of a data set become arrays.

    Attributes:
        preprocessing: The way of every file.
        facts: Headers of the files by split.
        paths: Files by split.
        remark: Decisions made by looking at the files.
    """

    preprocessing: Preprocessing
    facts: Mapping[str, Sequence[ImageFacts]]
    paths: Mapping[str, Sequence[Path]]
    remark: str

    @classmethod
    def of(
        cls,
        paths: Mapping[str, Sequence[Path]],
        map_: Map,
        *,
        size: tuple[int, int] | None,
        channels: int | None,
        fit: Fit,
        background: int,
        span: tuple[float, float] | None,
    ) -> Layout:
        """Looks at all files.

        Args:
            paths: Files by split; "train" is there.
            map_: The function `map`, of a pool for example.
            size: Height and width, or None for those of the files.
            channels: 1, 3, or None for grey where all files are grey.
            fit: Way of resizing.
            background: Grey level behind transparent pixels.
            span: Numbers that become 0 and 1, or None for those of the training files.

        Raises:
            DataError: A file cannot be decoded, or files of different kinds lie together.
        """
        facts = {
            split: list(map_(lambda path: inspect_image(path, str(path)), files)) for split, files in paths.items()
        }
        every = [fact for found in facts.values() for fact in found]
        remarks = []
        deep = _one_kind(facts, paths)
        if channels is None:
            channels = 1 if all(fact.grey for fact in every) else 3
        if size is None:
            size, remark = _size_of(every, channels, deep, fit)
            remarks += remark
        if any(fact.alpha for fact in every):
            remarks.append(f"transparent pixels show a background of grey level {background}")
        if deep and span is None:
            span = _span_of(paths["train"], map_)
            remarks.append(f"the training files span {span[0]:g} to {span[1]:g}, which become 0 and 1")
        pixels = Preprocessing(size, channels, fit=fit, background=background)
        if deep and span is not None:
            pixels = Preprocessing(size, channels, "float32", span, fit, background)
        return cls(pixels, facts, paths, "; ".join(remarks))

    def check_visible(self, split: str, images: NDArray[np.generic]) -> None:
        """Refuses a background on which nothing of the transparent files can be seen.

        Args:
            split: Name of the split.
            images: Decoded images (N, H, W) or (N, H, W, 3).

        Raises:
            DataError: All files with transparency are blank.
        """
        positions = [position for position, fact in enumerate(self.facts[split]) if fact.alpha]
        if not positions or any(np.ptp(images[position]) > 0 for position in positions):
            return
        other = 0 if self.preprocessing.background > 127 else 255
        raise DataError(
            f"all {len(positions)} {split} images with transparency are blank, such as "
            f"{str(self.paths[split][positions[0]])!r}",
            where="ImageFolder",
            why=f"what they show has the colour of the background, grey level {self.preprocessing.background}",
            fix=f"set background: {other}",
        )


def _one_kind(facts: Mapping[str, Sequence[ImageFacts]], paths: Mapping[str, Sequence[Path]]) -> bool:
    """Whether files hold numbers of any range instead of levels; refuses both together."""
    first: dict[bool, tuple[Path, str]] = {}
    for split, found in facts.items():
        for path, fact in zip(paths[split], found, strict=True):
            first.setdefault(fact.deep, (path, fact.mode))
    if len(first) == 2:
        (deep, deep_mode), (shallow, mode) = first[True], first[False]
        raise DataError(
            f"{str(deep)!r} has mode {deep_mode!r} and {str(shallow)!r} has mode {mode!r}",
            where="ImageFolder",
            why="numbers of any range and levels from 0 to 255 cannot be brought to one range",
            fix="convert all files to one kind",
        )
    return True in first


def _size_of(facts: Sequence[ImageFacts], channels: int, deep: bool, fit: Fit) -> tuple[tuple[int, int], list[str]]:
    sizes = Counter(fact.size for fact in facts)
    if len(sizes) == 1:
        size, remark = facts[0].size, []
    else:
        heights, widths = ([fact.size[axis] for fact in facts] for axis in (0, 1))
        size = median_low(heights), median_low(widths)
        how = "cropped in the middle" if fit == "crop" else "stretched"
        remark = [
            f"the files have {len(sizes)} sizes, {min(heights)} to {max(heights)} pixels high and {min(widths)} to "
            f"{max(widths)} wide: resized to the median and {how} (`size` changes that)"
        ]
    room = len(facts) * size[0] * size[1] * channels * (4 if deep else 1)
    if room > _ROOM:
        raise DataError(
            f"{plural(len(facts), 'image')} of {size[0]} x {size[1]} pixels would take {room / 2**30:.0f} GiB",
            where="ImageFolder",
            why="all images are held in memory",
            fix="give a smaller size, such as size: 224",
        )
    return size, remark


def _span_of(files: Sequence[Path], map_: Map) -> tuple[float, float]:
    spans = list(map_(lambda path: value_range(path, str(path)), files))
    low, high = min(span[0] for span in spans), max(span[1] for span in spans)
    return (low, high) if high > low else (low, low + 1.0)

"""Patch, depth and batch that fit data and memory, after the rules of nnU-Net."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json
from nasplug.data.volumes.facts import Fingerprint

#: Channels at full resolution and at most, in 2-D and 3-D.
_BASE = 32
_MOST = {2: 512, 3: 320}
#: Feature maps of one resolution that a training keeps: two blocks of convolution, normalisation and activation, in the
#: encoder and in the decoder, their gradients, and the copies that kernels make. This and the next number are measured
#: on a processor (benchmarks/segmentation_memory.py).
_KEPT = 16
#: What the first step takes whatever the network is, for kernels and their buffers, in GiB.
_FIXED = 0.18
#: Smallest side of the deepest feature map.
_DEEPEST = 4
_BATCH = {2: 32, 3: 8}
_LEAST = 2


class Plan(msgspec.Struct, frozen=True):
    """Proposed settings.

    Attributes:
        dimensions: 2 or 3.
        spacing: Size of a voxel to the right, the front and up, in millimetres.
        shape: Median number of voxels of a case with this spacing, in the order of the patch.
        patch_size: Size of a patch along each axis; slices lie across the last one.
        strides: Reduction of each axis in each step downwards; their number is the depth.
        batch_size: Number of patches per step.
        memory_gib: Estimated memory of a training step of a U-Net with 32 channels at full resolution, in GiB, beside
            that of the process and its libraries.
    """

    dimensions: int
    spacing: tuple[float, ...]
    shape: tuple[int, ...]
    patch_size: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    batch_size: int
    memory_gib: float

    @property
    def depth(self) -> int:
        """Number of steps downwards."""
        return len(self.strides)

    def to_plain(self) -> dict[str, Json]:
        """Returns plain data for JSON."""
        plain: dict[str, Json] = msgspec.to_builtins(self)
        return {**plain, "depth": self.depth}


def propose(
    facts: Fingerprint,
    dimensions: int,
    memory_gib: float = 8.0,
    spacing: Sequence[float] | None = None,
    slices: int | None = None,
) -> Plan:
    """Proposes a patch, a depth and a batch.

    The patch begins as the median case, brought to sizes that the depth divides. While a batch of two does not fit into
    the memory, the largest axis shrinks. Then the batch grows as far as memory, 32 slices or 8 volumes allow. An axis
    of thick voxels is reduced only where the others have become as coarse (Isensee et al., Nature Methods 18, 2021).

    Args:
        facts: Fingerprint of the data set.
        dimensions: 2 or 3.
        memory_gib: Memory of the device in GiB.
        spacing: Size of a voxel after resampling, None for the median of the data.
        slices: Axis across which slices lie; None means that of the thickest voxels.

    Raises:
        SpecError: The images are flat and 3-D was asked for, or the memory is too small for any patch.
    """
    if dimensions == 3 and facts.flat:
        raise SpecError("the images are flat, and dimensions is 3", where=facts.where, fix="set dimensions: 2")
    if not 0 < memory_gib < math.inf:
        raise SpecError(f"the memory is {memory_gib:g} GiB", where="plan", fix="give a number above 0")
    last = facts.slices if slices is None else slices
    axes = [axis for axis in range(3) if axis != last] + [last]
    target = list(spacing or facts.spacing)
    sizes = [
        round(float(np.median([case.shape[axis] * case.spacing[axis] / target[axis] for case in facts.cases])))
        for axis in axes
    ]
    most = [max(round(case.shape[axis] * case.spacing[axis] / target[axis]) for case in facts.cases) for axis in axes]
    used = axes[:dimensions]
    steps = [target[axis] for axis in used]
    patch = [min(size, limit) for size, limit in zip(sizes, most, strict=True)][:dimensions]
    while True:
        strides = strides_of(patch, steps)
        patch = _divided(patch, strides)
        if memory(patch, strides, _LEAST, dimensions) <= memory_gib:
            break
        largest = max(range(dimensions), key=lambda axis: patch[axis] * steps[axis])
        if patch[largest] <= 2 * _DEEPEST:
            raise SpecError(
                f"no patch fits into {memory_gib:g} GiB",
                where="plan",
                fix="give more memory, or set patches.size and patches.batch_size yourself",
            )
        patch[largest] = int(patch[largest] * 0.8)
    batch = _LEAST
    while batch < _BATCH[dimensions] and memory(patch, strides, batch + 1, dimensions) <= memory_gib:
        batch += 1
    return Plan(
        dimensions,
        tuple(round(target[axis], 4) for axis in range(3)),
        tuple(sizes),
        tuple(patch),
        tuple(map(tuple, strides)),
        batch,
        round(memory(patch, strides, batch, dimensions), 3),
    )


def memory(patch: Sequence[int], strides: Sequence[Sequence[int]], batch: int, dimensions: int) -> float:
    """Estimates the memory of a training step of a U-Net in GiB: feature maps, weights, gradients, moments, buffers.

    What the process holds before, such as its libraries, comes in addition.

    Args:
        patch: Size of a patch along each axis.
        strides: Reduction of each axis in each step downwards.
        batch: Number of patches.
        dimensions: 2 or 3.
    """
    voxels, width, kernel = float(math.prod(patch)), _BASE, 3**dimensions
    floats = voxels * width * _KEPT
    weights = float(kernel * width * width)
    for stride in strides:
        finer, width = width, min(2 * width, _MOST[dimensions])
        voxels /= math.prod(stride)
        floats += voxels * width * _KEPT
        weights += kernel * width * (finer + width)  # down
        weights += math.prod(stride) * width * finer + kernel * finer * (2 * finer + finer)  # up
    return 4 * (batch * floats + 4 * weights) / 2**30 + _FIXED


def strides_of(patch: Sequence[int], spacing: Sequence[float]) -> list[list[int]]:
    """Returns the reduction of each axis in each step downwards, at most six steps.

    An axis is halved while half of it has at least four voxels, and its voxels are at most twice as thick as the
    thinnest ones.

    Args:
        patch: Size of a patch along each axis.
        spacing: Size of a voxel along each axis, in millimetres.
    """
    sizes, steps = list(patch), list(spacing)
    found: list[list[int]] = []
    while len(found) < 6:
        finest = min(
            step for step, size in zip(steps, sizes, strict=True) if size >= 2 * _DEEPEST or size == max(sizes)
        )
        stride = [
            2 if size >= 2 * _DEEPEST and step <= 2 * finest + 1e-9 else 1
            for size, step in zip(sizes, steps, strict=True)
        ]
        if max(stride) == 1:
            break
        sizes = [size // s for size, s in zip(sizes, stride, strict=True)]
        steps = [step * s for step, s in zip(steps, stride, strict=True)]
        found.append(stride)
    return found


def _divided(patch: Sequence[int], strides: Sequence[Sequence[int]]) -> list[int]:
    """The largest sizes that are not above the patch and that all strides divide."""
    factors = [math.prod(stride[axis] for stride in strides) for axis in range(len(patch))]
    return [max(factor, size // factor * factor) for size, factor in zip(patch, factors, strict=True)]

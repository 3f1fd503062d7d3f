"""Networks of MONAI by name, configured for a task: fixed architectures to compare a search with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import SpecError, TrialError, did_you_mean
from nasplug.contract.protocols import Choice, Task
from nasplug.contract.records import Architecture
from nasplug.data.volumes.plan import strides_of
from nasplug.optional import require
from nasplug.spaces.choices import ChoiceSpace

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.io import Inputs


class MonaiSpace(ChoiceSpace):
    """Networks of MONAI for segmentation, each configured for the task's patch, as fixed architectures.

    `unet` and `attention_unet` have 16 to 256 channels on up to five levels, `segresnet` 8 filters at full resolution
    as MONAI has it. `dynunet` is configured as nnU-Net would: strides by patch and spacing, 32 channels at full
    resolution and at most 512 (2-D) or 320 (3-D), instance normalisation, deep supervision. `unetr` and `swin_unetr`
    have MONAI's own sizes. Patches of any size fit; those that a network cannot divide are padded.

    Args:
        networks: Names of the networks; None means all but the two transformers.

    Raises:
        SpecError: A name is unknown.
    """

    produces = ("map", "volume")

    def __init__(self, networks: list[str] | None = None) -> None:
        names = ["unet", "segresnet", "attention_unet", "dynunet"] if networks is None else list(networks)
        for name in names:
            if name not in NETWORKS:
                raise SpecError(
                    f"there is no network {name!r}", where="space 'monai'", fix=did_you_mean(name, NETWORKS)
                )
        super().__init__("monai", [Choice("network", tuple(names))])

    def check_inputs(self, inputs: Inputs) -> None:
        """Refuses everything but one slice or volume.

        Raises:
            SpecError: The networks cannot take such inputs.
        """
        check_patches(inputs)

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """Builds the network for the task's patch and classes."""
        assert isinstance(architecture.genotype, tuple)
        return NETWORKS[str(architecture.genotype[0])](task)


def check_patches(inputs: Inputs) -> None:
    """Refuses everything but one slice or volume of floating-point numbers; for `check_inputs` of spaces.

    Args:
        inputs: Inputs that the task feeds.

    Raises:
        SpecError: There are several inputs, another type or another number of axes.
    """
    if not inputs.is_plain or len(inputs.shape) not in (3, 4):
        raise SpecError(f"expected one slice (C, H, W) or volume (C, X, Y, Z), got {inputs}")


def unet(task: Task) -> nn.Module:
    """MONAI's residual U-Net with 16 to 256 channels.

    Args:
        task: Task that says the patch and the number of classes.
    """
    channels, patch = _shape(task)
    steps = _steps(patch, 4)
    network = _nets().UNet(
        len(patch), channels, task.outputs, [16 * 2**level for level in range(steps + 1)], [2] * steps, num_res_units=2
    )
    return _padded(network, [2**steps] * len(patch))


def attention_unet(task: Task) -> nn.Module:
    """MONAI's U-Net with attention gates, 16 to 256 channels.

    Args:
        task: Task that says the patch and the number of classes.
    """
    channels, patch = _shape(task)
    steps = _steps(patch, 4)
    widths = [16 * 2**level for level in range(steps + 1)]
    network = _nets().AttentionUnet(len(patch), channels, task.outputs, widths, [2] * steps)
    return _padded(network, [2**steps] * len(patch))


def segresnet(task: Task) -> nn.Module:
    """MONAI's SegResNet with 8 filters at full resolution.

    Args:
        task: Task that says the patch and the number of classes.
    """
    channels, patch = _shape(task)
    network = _nets().SegResNet(len(patch), 8, channels, task.outputs)
    return _padded(network, [8] * len(patch))


def dynunet(task: Task) -> nn.Module:
    """MONAI's DynUNet as nnU-Net would configure it, with deep supervision.

    Args:
        task: Task that says the patch and the number of classes, and perhaps the spacing of its cases.
    """
    from nasplug.spaces.dynunet import Supervised

    channels, patch = _shape(task)
    spacing = spacing_of(task)
    strides = strides_of(patch, spacing)
    if not strides:
        raise TrialError("build", f"a patch of {list(patch)} is too small for dynunet", where="space 'monai'")
    most = 512 if len(patch) == 2 else 320
    thinnest = min(spacing)
    kernels = [[3 if step <= 2 * thinnest else 1 for step in spacing]]
    for level in range(len(strides)):
        grown = [step * math.prod(s[axis] for s in strides[: level + 1]) for axis, step in enumerate(spacing)]
        kernels.append([3 if step <= 2 * min(grown) else 1 for step in grown])
    network = _nets().DynUNet(
        len(patch),
        channels,
        task.outputs,
        kernel_size=kernels,
        strides=[[1] * len(patch), *strides],
        upsample_kernel_size=strides,
        filters=[min(32 * 2**level, most) for level in range(len(strides) + 1)],
        deep_supervision=len(strides) > 2,
        deep_supr_num=max(1, len(strides) - 2),
    )
    factors = [math.prod(stride[axis] for stride in strides) for axis in range(len(patch))]
    return _padded(Supervised(network), factors)


def unetr(task: Task) -> nn.Module:
    """MONAI's UNETR: a vision transformer as encoder.

    Args:
        task: Task that says the patch and the number of classes.
    """
    channels, patch = _shape(task)
    padded = [-(-side // 16) * 16 for side in patch]
    network = _nets().UNETR(channels, task.outputs, padded, spatial_dims=len(patch))
    return _padded(network, [16] * len(patch))


def swin_unetr(task: Task) -> nn.Module:
    """MONAI's SwinUNETR with 24 features.

    Args:
        task: Task that says the patch and the number of classes.
    """
    channels, patch = _shape(task)
    network = _nets().SwinUNETR(channels, task.outputs, feature_size=24, spatial_dims=len(patch))
    return _padded(network, [32] * len(patch))


#: Network by name; each takes the task.
NETWORKS: dict[str, Callable[[Task], nn.Module]] = {
    "unet": unet,
    "segresnet": segresnet,
    "attention_unet": attention_unet,
    "dynunet": dynunet,
    "unetr": unetr,
    "swin_unetr": swin_unetr,
}


def spacing_of(task: Task) -> list[float]:
    """Returns the size of a voxel along each axis of a task's patch; 1 where the task does not know it.

    Args:
        task: Task, with `voxel_spacing` if it knows it.
    """
    return list(getattr(task, "voxel_spacing", ())) or [1.0] * (len(task.input_shape) - 1)


def _nets() -> Any:
    return require("monai.networks.nets", extra="medical", purpose="build networks of MONAI")


def _shape(task: Task) -> tuple[int, tuple[int, ...]]:
    channels, *patch = task.input_shape
    return channels, tuple(patch)


def _steps(patch: Sequence[int], most: int) -> int:
    """Number of halvings after which the smallest side still has two voxels."""
    return max(1, min(most, int(math.log2(max(2, min(patch)))) - 1))


def _padded(network: nn.Module, factors: Sequence[int]) -> nn.Module:
    from nasplug.nn.padded import Padded

    return Padded(network, factors)

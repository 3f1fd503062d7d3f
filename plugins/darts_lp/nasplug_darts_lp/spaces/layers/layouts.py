"""The frame of the layer-wise networks: stem, stages and their widths, for images of three sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nasplug.contract.errors import SpecError, UnknownNameError, did_you_mean


@dataclass(frozen=True, slots=True)
class Layout:
    """Where blocks stand.

    Attributes:
        channels: Of every stage. The first block of every stage but the first halves the image.
        blocks: Per stage.
        stem_kernel, stem_stride: Of the first convolution.
        pool: Whether a pool of stride 2 follows it.
    """

    channels: tuple[int, ...]
    blocks: int
    stem_kernel: int = 3
    stem_stride: int = 1
    pool: bool = False


#: `cifar` has the widths of ResNet-20, `imagenet` those of ResNet-18 with a shortcut around every convolution; the one
#: in between has four stages and keeps the size of the image in the stem.
LAYOUTS = {
    "cifar": Layout((16, 32, 64), 3),
    "tiny_imagenet": Layout((32, 64, 128, 256), 3),
    "imagenet": Layout((64, 128, 256, 512), 4, stem_kernel=7, stem_stride=2, pool=True),
}


@dataclass(frozen=True, slots=True)
class Place:
    """One block.

    Attributes:
        name: `block00` and so on.
        inputs, outputs: Channels.
        stride: 1 or 2.
    """

    name: str
    inputs: int
    outputs: int
    stride: int

    @property
    def keeps(self) -> bool:
        """Whether the shape stays, so that the block can be left out."""
        return self.stride == 1 and self.inputs == self.outputs


def layout(name: str, width: float = 1.0, blocks: int | None = None) -> Layout:
    """A layout by name.

    Args:
        name: One of `LAYOUTS`.
        width: Factor on all channels.
        blocks: Other number of blocks per stage.

    Raises:
        UnknownNameError: There is none of that name.
        SpecError: No channels or blocks are left.
    """
    if name not in LAYOUTS:
        raise UnknownNameError(f"there is no layout {name!r}", where="darts_lp.layers", fix=did_you_mean(name, LAYOUTS))
    found = LAYOUTS[name]
    if not 0.0 < width < float("inf") or (blocks is not None and blocks < 1):
        raise SpecError(f"width={width} and blocks={blocks} make no network", where="darts_lp.layers")
    channels = tuple(max(1, round(count * width)) for count in found.channels)
    return replace(found, channels=channels, blocks=found.blocks if blocks is None else blocks)


def places(chosen: Layout) -> tuple[Place, ...]:
    """All blocks in their order."""
    found: list[Place] = []
    inputs = chosen.channels[0]
    digits = max(2, len(str(len(chosen.channels) * chosen.blocks - 1)))
    for stage, outputs in enumerate(chosen.channels):
        for block in range(chosen.blocks):
            stride = 2 if stage and not block else 1
            found.append(Place(f"block{len(found):0{digits}d}", inputs, outputs, stride))
            inputs = outputs
    return tuple(found)

"""The layouts of the layer-wise networks: stem, stages and their widths, for images of three sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nasplug.contract.errors import SpecError, UnknownNameError, did_you_mean


@dataclass(frozen=True, slots=True)
class Layout:
    """Stem and stages.

    Attributes:
        channels: Number of channels of every stage. The first block of every stage but the first halves the image.
        blocks: Number of blocks per stage.
        stem_kernel, stem_stride: Kernel size and stride of the first convolution.
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
class BlockShape:
    """The shape of one block.

    Attributes:
        name: Name, `block00` and so on.
        inputs, outputs: Numbers of channels.
        stride: Stride, 1 or 2.
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
    """Returns a layout by name.

    Args:
        name: Name in `LAYOUTS`.
        width: Factor on all channels.
        blocks: Number of blocks per stage; None takes the layout's.

    Raises:
        UnknownNameError: The name is unknown.
        SpecError: Width or blocks are not positive.
    """
    if name not in LAYOUTS:
        raise UnknownNameError(f"unknown layout {name!r}", where="darts_lp.layers", fix=did_you_mean(name, LAYOUTS))
    known = LAYOUTS[name]
    if not 0.0 < width < float("inf") or (blocks is not None and blocks < 1):
        raise SpecError(f"width={width} and blocks={blocks} make no network", where="darts_lp.layers")
    channels = tuple(max(1, round(count * width)) for count in known.channels)
    return replace(known, channels=channels, blocks=known.blocks if blocks is None else blocks)


def block_shapes(chosen: Layout) -> tuple[BlockShape, ...]:
    """Returns the shapes of all blocks in their order."""
    shapes: list[BlockShape] = []
    inputs = chosen.channels[0]
    digits = max(2, len(str(len(chosen.channels) * chosen.blocks - 1)))
    for stage, outputs in enumerate(chosen.channels):
        for block in range(chosen.blocks):
            stride = 2 if stage and not block else 1
            shapes.append(BlockShape(f"block{len(shapes):0{digits}d}", inputs, outputs, stride))
            inputs = outputs
    return tuple(shapes)

"""The layers of a residual network, from settings and genotype alone; equal to what is read off the built network."""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.contract.records import Genotype
from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.workload import Workload
from nasplug_darts_lp.spaces.layers.settings import LayerSettings
from nasplug_darts_lp.spaces.rows import bits, classify


def layers_workload(settings: LayerSettings, genotype: Genotype, input_shape: Sequence[int], outputs: int) -> Workload:
    """Lists the layers of a network.

    Args:
        settings: Settings of the space.
        genotype: Genotype of the architecture.
        input_shape: Shape (C, H, W) of one image.
        outputs: Number of classes.
    """
    builder, layout, fixed = WorkloadBuilder(input_shape), settings.layout, settings.fixed_bits
    stem = builder.conv(
        INPUT, layout.channels[0], layout.stem_kernel, layout.stem_stride, name="stem", **bits(fixed, fixed)
    )
    x = builder.activate(stem, "prelu")
    if layout.pool:
        x = builder.pool("maxpool", x, 3, 2, padding=1)
    for block in settings.blocks(genotype):
        shape = block.shape
        if block.operation == "skip":
            continue
        around = builder.pool("avgpool", x, 2, ceil=True) if shape.stride == 2 else x
        if not shape.keeps:
            around = builder.conv(around, shape.outputs, 1, **bits(fixed, fixed))
        own = bits(block.weight_bits, block.activation_bits)
        branch = builder.conv(x, shape.outputs, block.kernel, shape.stride, name=shape.name, **own)
        x = builder.activate(builder.add([around, branch]), "prelu")
    classify(builder, x, outputs, fixed)
    return builder.build()

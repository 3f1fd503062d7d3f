"""What the blocks of the layer-wise supernet cost."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nasplug_darts_lp.spaces.layers.settings import LayerSettings
from nasplug_darts_lp.supernet.cost import FLOAT_BITS, ConvShape, CostModel

_REFERENCE_BITS = 8


class LayersCost(nn.Module):
    """Costs of all candidates of all blocks, and of what is fixed, relative to the largest network on 8x8 bits.

    Args:
        settings: Settings of the space.
        input_shape: Shape (C, H, W) of one image.
        outputs: Number of classes.
        model: Cost model of a convolution.

    Attributes:
        fixed: Cost () of stem, classifier and shortcuts.
    """

    fixed: Tensor

    def __init__(self, settings: LayerSettings, input_shape: Sequence[int], outputs: int, model: CostModel) -> None:
        super().__init__()
        price, layout, bits = model.cost, settings.layout, settings.fixed_bits or FLOAT_BITS
        _, height, width = input_shape
        fixed = [ConvShape(input_shape[0], layout.channels[0], height, width, layout.stem_kernel, layout.stem_stride)]
        for _ in range((layout.stem_stride == 2) + layout.pool):
            height, width = -(-height // 2), -(-width // 2)
        tables, reference = [], 0.0
        for block in settings.shapes:
            shapes = [
                ConvShape(block.inputs, block.outputs, height, width, kernel, block.stride)
                for kernel in settings.kernels
            ]
            costs = [
                [price(shape, w, a) for a in settings.activation_bits or (FLOAT_BITS,)]
                for shape in shapes
                for w in settings.weight_bits or (FLOAT_BITS,)
            ]
            tables.append(torch.tensor(costs).view(len(shapes), -1, len(costs[0])))
            largest = max(shapes, key=lambda shape: shape.kernel)
            reference += price(largest, _REFERENCE_BITS, _REFERENCE_BITS)
            if block.stride == 2:
                height, width = -(-height // 2), -(-width // 2)
            if not block.keeps:
                fixed.append(ConvShape(block.inputs, block.outputs, height, width, 1))
        fixed.append(ConvShape(layout.channels[-1], outputs, 1, 1, 1))
        constant = sum(price(shape, bits, bits) for shape in fixed)
        reference += sum(price(shape, _REFERENCE_BITS, _REFERENCE_BITS) for shape in fixed)
        self.register_buffer("fixed", torch.tensor(constant / reference), persistent=False)
        self._count = len(tables)
        for index, table in enumerate(tables):
            self.register_buffer(f"table{index}", table / reference, persistent=False)

    def tables(self) -> list[Tensor]:
        """Returns the costs (kernels, weight bits, activation bits) of every block."""
        return [self.get_buffer(f"table{index}") for index in range(self._count)]

"""The supernet of the layer-wise space: every block with all its candidates."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nasplug.contract.records import Architecture
from nasplug_darts_lp.spaces.blocks import Quantisers, linear, shortcut
from nasplug_darts_lp.spaces.layers.layouts import Place
from nasplug_darts_lp.spaces.layers.network import make_stem
from nasplug_darts_lp.spaces.layers.space import PARTS
from nasplug_darts_lp.supernet.base import Supernet, SupernetOptions, most_probable
from nasplug_darts_lp.supernet.convolution import ConvChoices, conv_norm
from nasplug_darts_lp.supernet.cost import FLOAT_BITS, ConvShape
from nasplug_darts_lp.supernet.logits import Weights, chance

if TYPE_CHECKING:
    from nasplug_darts_lp.spaces.layers.space import LayersSpace

_FIXED_BITS = 8


class OpenBlock(nn.Module):
    """A residual block whose operation, kernel and bits are open: (N, inputs, H, W) -> (N, outputs, H/s, W/s).

    Args:
        place: Its place.
        space: Gives the candidates.
        options: Of the supernet.
    """

    def __init__(self, place: Place, space: LayersSpace, options: SupernetOptions) -> None:
        super().__init__()
        self.name = place.name
        self.operations = space.operations if place.keeps else ("conv",)
        choices = ConvChoices(
            place.inputs,
            place.outputs,
            space.kernels,
            place.stride,
            weight_bits=space.weight_bits,
            activation_bits=space.activation_bits,
            activations=options.activations,
            weights=options.weights,
        )
        quantisers = Quantisers(space.activations, space.weights)
        self.shortcut = shortcut(place.inputs, place.outputs, place.stride, space.first_last_bits, quantisers)
        self.branch = conv_norm(choices, shared=options.shared, scaling=options.scaling)
        self.activation = nn.PReLU(place.outputs)

    def forward(self, x: Tensor, weights: Weights) -> Tensor:
        """The weighted sum of the block and of leaving it out."""
        names = [f"{self.name}_{part}" for part in PARTS[1:]]
        branch = self.branch(x, *(weights[name] for name in names), [chance(weights, name) for name in names])
        y: Tensor = self.activation(self.shortcut(x) + branch)
        if len(self.operations) == 1:
            return y
        operation = weights[f"{self.name}_op"]
        kept = operation[self.operations.index("conv")]
        return kept * y + (1.0 - kept) * x


class LayersSupernet(Supernet):
    """All networks of a layer-wise space in one; see `Supernet`.

    Args:
        space: Whose networks it holds.
        input_shape: (C, H, W).
        outputs: Number of classes.
        options: See `SupernetOptions`.
    """

    fixed_power: Tensor

    def __init__(self, space: LayersSpace, input_shape: Sequence[int], outputs: int, options: SupernetOptions) -> None:
        choices = [choice for place in space.places for choice in space.choices_of(place)]
        super().__init__(space, {choice.name: len(choice.options) for choice in choices}, options)
        self.layers = space
        self.stem = make_stem(space, input_shape)
        self.blocks = nn.ModuleList(OpenBlock(place, space, options) for place in space.places)
        quantisers = Quantisers(space.activations, space.weights)
        self.classifier = linear(space.layout.channels[-1], outputs, space.first_last_bits, quantisers)
        self._price(input_shape, outputs)

    def run(self, x: Tensor, weights: Weights) -> Tensor:
        """See the base class."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, weights)
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return logits

    def power(self, weights: Weights) -> Tensor:
        """See the base class: fixed layers, and the expectation of every block, whose choices are independent."""
        total = self.fixed_power
        for place, block, table in zip(self.layers.places, self.blocks, self._tables(), strict=True):
            parts = [weights[f"{place.name}_{part}"] for part in ("kernel", "weight_bits", "activation_bits")]
            expected = torch.einsum("kij,k,i,j->", table, *parts)
            if len(block.operations) > 1:  # type: ignore[arg-type]
                operation = weights[f"{place.name}_op"]
                expected = expected * operation[self.layers.operations.index("conv")]
            total = total + expected
        return total

    def weights_of(self, architecture: Architecture) -> Weights:
        """See the base class."""
        vector = self.layers.vector(architecture)
        return self.logits.one_hot(dict(zip((choice.name for choice in self.layers.choices), vector, strict=True)))

    def ranked(self) -> Iterator[tuple[Architecture, float]]:
        """See the base class. A block that is left out is one option, whatever its kernel and bits."""
        found = self.logits.probabilities()
        options: list[list[tuple[int, ...]]] = []
        factors: list[list[float]] = []
        for place, block in zip(self.layers.places, self.blocks, strict=True):
            parts = [found[f"{place.name}_{part}"].double().tolist() for part in PARTS]
            skip = self.layers.operations.index("skip") if len(block.operations) > 1 else -1  # type: ignore[arg-type]
            combinations = list(itertools.product(*(range(len(part)) for part in parts)))
            kept = [chosen for chosen in combinations if chosen[0] != skip or not any(chosen[1:])]
            options.append(kept)
            factors.append(
                [
                    parts[0][skip] if chosen[0] == skip else math.prod(p[i] for p, i in zip(parts, chosen, strict=True))
                    for chosen in kept
                ]
            )
        for indices, probability in most_probable(factors):
            chosen = [option for block, index in zip(options, indices, strict=True) for option in block[index]]
            yield self.layers.from_vector(chosen), probability

    def _price(self, input_shape: Sequence[int], outputs: int) -> None:
        """Cost of every candidate of every block, and of what is fixed, as shares of the largest on 8x8 bits."""
        space, price = self.layers, self.options.power.power
        fixed_bits = space.first_last_bits or FLOAT_BITS
        _, height, width = input_shape
        frame = space.layout
        stem = ConvShape(input_shape[0], frame.channels[0], height, width, frame.stem_kernel, frame.stem_stride)
        halvings = (frame.stem_stride == 2) + frame.pool
        for _ in range(halvings):
            height, width = -(-height // 2), -(-width // 2)
        fixed = [stem]
        tables, reference = [], 0.0
        for place in space.places:
            shapes = [
                ConvShape(place.inputs, place.outputs, height, width, kernel, place.stride) for kernel in space.kernels
            ]
            bits = [
                [price(shape, w, a) for a in space.activation_bits or (FLOAT_BITS,)]
                for shape in shapes
                for w in space.weight_bits or (FLOAT_BITS,)
            ]
            tables.append(torch.tensor(bits).view(len(shapes), -1, len(bits[0])))
            largest = max(shapes, key=lambda shape: shape.kernel)
            reference += price(largest, _FIXED_BITS, _FIXED_BITS)
            if place.stride == 2:
                height, width = -(-height // 2), -(-width // 2)
            if not place.keeps:
                fixed.append(ConvShape(place.inputs, place.outputs, height, width, 1))
        fixed.append(ConvShape(frame.channels[-1], outputs, 1, 1, 1))
        constant = sum(price(shape, fixed_bits, fixed_bits) for shape in fixed)
        reference += sum(price(shape, _FIXED_BITS, _FIXED_BITS) for shape in fixed)
        self.register_buffer("fixed_power", torch.tensor(constant / reference), persistent=False)
        for index, table in enumerate(tables):
            self.register_buffer(f"power_table{index}", table / reference, persistent=False)

    def _tables(self) -> list[Tensor]:
        return [self.get_buffer(f"power_table{index}") for index in range(len(self.blocks))]

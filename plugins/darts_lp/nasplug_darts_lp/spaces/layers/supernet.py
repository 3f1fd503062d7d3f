"""The supernet of the layer-wise space: every block with all its candidates."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nasplug.contract.records import Architecture
from nasplug_darts_lp.layers.build import linear
from nasplug_darts_lp.spaces.blocks import shortcut
from nasplug_darts_lp.spaces.layers.cost import LayersCost
from nasplug_darts_lp.spaces.layers.layouts import BlockShape
from nasplug_darts_lp.spaces.layers.network import make_stem
from nasplug_darts_lp.spaces.layers.settings import PARTS, LayerSettings
from nasplug_darts_lp.supernet.allocation import best_within
from nasplug_darts_lp.supernet.base import Supernet, most_probable
from nasplug_darts_lp.supernet.convolution import ConvChoices, conv_norm
from nasplug_darts_lp.supernet.logits import MixingWeights, probabilities_of
from nasplug_darts_lp.supernet.options import SupernetOptions


class MixedBlock(nn.Module):
    """A residual block with a choice of operation, kernel and bits: (N, inputs, H, W) -> (N, outputs, H/s, W/s).

    Args:
        shape: Shape of the block.
        settings: Settings of the space.
        options: Options of the supernet.
    """

    def __init__(self, shape: BlockShape, settings: LayerSettings, options: SupernetOptions) -> None:
        super().__init__()
        form = options.settings
        self.name, self.operations = shape.name, settings.operations_of(shape)
        choices = ConvChoices(
            shape.inputs,
            shape.outputs,
            settings.kernels,
            shape.stride,
            weight_bits=settings.weight_bits,
            activation_bits=settings.activation_bits,
            activations=form.activations,
            weights=form.weights,
        )
        self.shortcut = shortcut(shape.inputs, shape.outputs, shape.stride, settings.fixed)
        self.branch = conv_norm(choices, shared=form.shared, scaling=form.scaling)
        self.activation = nn.PReLU(shape.outputs)

    def forward(self, x: Tensor, weights: MixingWeights) -> Tensor:
        """Returns the weighted sum of the block and of leaving it out."""
        names = [f"{self.name}_{part}" for part in PARTS[1:]]
        probabilities = [probabilities_of(weights, name) for name in names]
        branch = self.branch(x, *(weights[name] for name in names), probabilities)
        y: Tensor = self.activation(self.shortcut(x) + branch)
        if len(self.operations) == 1:
            return y
        operation = weights[f"{self.name}_op"]
        kept = operation[self.operations.index("conv")]
        return kept * y + (1.0 - kept) * x


class LayersSupernet(Supernet):
    """All networks of a layer-wise space in one; see `Supernet`.

    Args:
        settings: Settings of the space.
        architecture: Function that makes an architecture of a genotype.
        input_shape: Shape (C, H, W) of one image.
        outputs: Number of classes.
        options: Options of the supernet.

    Raises:
        SpecError: The inputs are not images.
    """

    def __init__(
        self,
        settings: LayerSettings,
        architecture: Callable[[Any], Architecture],
        input_shape: Sequence[int],
        outputs: int,
        options: SupernetOptions,
    ) -> None:
        choices = settings.choices()
        super().__init__({choice.name: len(choice.options) for choice in choices}, options)
        self.settings, self._architecture, self._choices = settings, architecture, choices
        self.stem = make_stem(settings, input_shape)
        self.blocks = nn.ModuleList(MixedBlock(shape, settings, options) for shape in settings.shapes)
        self.classifier = linear(settings.layout.channels[-1], outputs, settings.fixed)
        self.costs = LayersCost(settings, input_shape, outputs, options.cost)

    def run(self, x: Tensor, weights: MixingWeights) -> Tensor:
        """See the base class."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, weights)
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return logits

    def cost(self, weights: MixingWeights) -> Tensor:
        """See the base class: fixed layers, and the expectation of every block, whose choices are independent."""
        total = self.costs.fixed
        for shape, table in zip(self.settings.shapes, self.costs.tables(), strict=True):
            parts = [weights[f"{shape.name}_{part}"] for part in PARTS[1:]]
            expected = torch.einsum("kij,k,i,j->", table, *parts)
            operations = self.settings.operations_of(shape)
            if len(operations) > 1:
                expected = expected * weights[f"{shape.name}_op"][operations.index("conv")]
            total = total + expected
        return total

    def weights_of(self, architecture: Architecture) -> MixingWeights:
        """See the base class."""
        genotype: Any = architecture.genotype
        options = zip(self._choices, genotype, strict=True)
        return self.logits.one_hot({choice.name: choice.options.index(value) for choice, value in options})

    def ranked(self) -> Iterator[tuple[Architecture, float]]:
        """See the base class. A block that is left out is one option, whatever its kernel and bits."""
        options, factors = self._blocks()
        for indices, probability in most_probable(factors):
            yield self._of(options, indices), probability

    def within(self, low: float, high: float) -> Iterator[tuple[Architecture, float]]:
        """See the base class; by dynamic programming over the blocks."""
        options, factors = self._blocks()
        fixed = float(self.costs.fixed)
        costs = []
        for shape, table, kept in zip(self.settings.shapes, self.costs.tables(), options, strict=True):
            operations = self.settings.operations_of(shape)
            skip = operations.index("skip") if len(operations) > 1 else -1
            costs.append([0.0 if chosen[0] == skip else float(table[chosen[1:]]) for chosen in kept])
        scores = [[math.log(max(value, sys.float_info.min)) for value in part] for part in factors]
        for indices in best_within(scores, costs, low - fixed, high - fixed):
            probability = math.prod(part[index] for part, index in zip(factors, indices, strict=True))
            architecture = self._of(options, indices)
            if low <= float(self.cost(self.weights_of(architecture))) <= high:  # in the precision of the costs
                yield architecture, probability

    def _of(self, options: list[list[tuple[int, ...]]], indices: Sequence[int]) -> Architecture:
        chosen = [option for block, index in zip(options, indices, strict=True) for option in block[index]]
        return self._architecture(
            tuple(choice.options[index] for choice, index in zip(self._choices, chosen, strict=True))
        )

    def _blocks(self) -> tuple[list[list[tuple[int, ...]]], list[list[float]]]:
        """Options of every block, each as indices of its choices, and their probabilities."""
        probabilities = self.logits.probabilities()
        options: list[list[tuple[int, ...]]] = []
        factors: list[list[float]] = []
        for shape in self.settings.shapes:
            operations = self.settings.operations_of(shape)
            parts = [probabilities[f"{shape.name}_{part}"].double().tolist() for part in PARTS]
            skip = operations.index("skip") if len(operations) > 1 else -1
            combinations = list(itertools.product(*(range(len(part)) for part in parts)))
            kept = [chosen for chosen in combinations if chosen[0] != skip or not any(chosen[1:])]
            options.append(kept)
            factors.append(
                [
                    parts[0][skip] if chosen[0] == skip else math.prod(p[i] for p, i in zip(parts, chosen, strict=True))
                    for chosen in kept
                ]
            )
        return options, factors

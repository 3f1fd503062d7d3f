"""Multi-layer perceptrons: the space for rows of a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from nasplug.contract.choice import Choice
from nasplug.contract.errors import SpaceError
from nasplug.contract.records import Architecture, Genotype
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.protocols import Task


class Mlp(ChoiceSpace):
    """Perceptrons of a number of layers, each of one of several widths or left out, with an activation and dropout.

    The inputs are flattened. A layer is linear, normalised over the batch, activated and dropped out.

    Args:
        layers: Largest number of hidden layers.
        widths: Widths that a layer may have.
        activations: Activations to choose from: relu, gelu, silu, tanh.
        dropouts: Probabilities of dropout to choose from.
    """

    produces = ("vector",)

    def __init__(
        self,
        layers: int = 4,
        widths: tuple[int, ...] = (16, 32, 64, 128),
        activations: tuple[str, ...] = ("relu", "gelu", "tanh"),
        dropouts: tuple[float, ...] = (0.0, 0.2),
    ) -> None:
        if layers < 1 or not widths or min(widths) < 1:
            raise SpaceError(f"layers {layers} and widths {list(widths)} are not networks", where="space 'tabular_mlp'")
        unknown = sorted(set(activations) - set(_ACTIVATIONS))
        if unknown:
            raise SpaceError(
                f"unknown activation {unknown[0]!r}", where="space 'tabular_mlp'", fix=f"take {', '.join(_ACTIVATIONS)}"
            )
        super().__init__(
            "tabular_mlp",
            [
                *(Choice(f"layer{position}", (0, *widths)) for position in range(layers)),
                Choice("activation", tuple(activations)),
                Choice("dropout", tuple(dropouts)),
            ],
        )

    def canonical(self, genotype: Genotype) -> Genotype:
        """Layers that are left out leave no trace of where they would have been."""
        *layers, activation, dropout = cast("tuple[int | str | float, ...]", genotype)
        return (*(width for width in layers if width), activation, dropout)

    def graph(self, architecture: Architecture) -> Graph:
        """The chain of layers."""
        *layers, activation, _ = cast("tuple[int | str | float, ...]", self.canonical(architecture.genotype))
        return Graph.chain(tuple(f"{activation} {width}" for width in layers))

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """Builds the perceptron."""
        from torch import nn

        *widths, activation, dropout = cast("tuple[int | str | float, ...]", self.canonical(architecture.genotype))
        layers: list[nn.Module] = [nn.Flatten()]
        features = math.prod(task.input_shape)
        for width in map(int, widths):
            layers += [nn.Linear(features, width), nn.BatchNorm1d(width), getattr(nn, _ACTIVATIONS[str(activation)])()]
            if dropout:
                layers.append(nn.Dropout(float(dropout)))
            features = width
        return nn.Sequential(*layers, nn.Linear(features, task.outputs))


_ACTIVATIONS = {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU", "tanh": "Tanh"}

"""A network together with what happens to raw data before it and to its values after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nasplug.contract.io import Inputs, TensorSpec
from nasplug.data.preprocessing import Preprocessing
from nasplug.data.rows import Rows, way_of
from nasplug.export.resize import Resize

if TYPE_CHECKING:
    from nasplug.export.exporter import Found
    from nasplug.export.onnx import Examples

#: Sizes that images are tried with beside their own, in pixels more.
_LARGER = (5, 9)


class FromRaw(nn.Module):
    """Takes raw data and gives what the network gives, with the arithmetic of the data module.

    Images may have any size. Values that the network gives in units of the training data's deviation become values in
    units of the data.

    Args:
        network: Network with trained weights, in inference mode.
        way: Way from raw data to the tensor of the network.
        dimensions: Number of dimensions of a batch.
    """

    factor: Tensor
    summand: Tensor
    spread: Tensor
    middle: Tensor

    def __init__(self, network: nn.Module, way: Preprocessing | Rows, dimensions: int) -> None:
        super().__init__()
        self.network = network
        view = (1, -1, *[1] * (dimensions - 2))
        factor, summand = (torch.tensor(values, dtype=torch.float32).view(view) for values in way.affine())
        self.register_buffer("factor", factor)
        self.register_buffer("summand", summand)
        self.low = float(way.span[0])
        self.resize: nn.Module = nn.Identity()
        self.target = isinstance(way, Rows) and way.target is not None
        if isinstance(way, Preprocessing):
            self.resize = Resize(way.size, way.fit, levels=way.pixels == "uint8")
        elif way.target is not None:
            self.register_buffer("middle", torch.tensor(way.target[0], dtype=torch.float32))
            self.register_buffer("spread", torch.tensor(way.target[1], dtype=torch.float32))

    def forward(self, input: Tensor) -> Tensor:
        """Scores or values (N, channels) of raw data: pixels (N, C, H, W) of any size, rows (N, F)."""
        numbers: Tensor = self.resize(input).to(torch.float32)
        if self.low:
            numbers = numbers - self.low
        answer: Tensor = self.network(numbers * self.factor + self.summand)
        return answer * self.spread + self.middle if self.target else answer


@dataclass(frozen=True)
class Given:
    """What a file holds.

    Attributes:
        network: Network, in inference mode.
        inputs: Inputs that it is called with.
        examples: Function that makes inputs out of a batch size and a seed.
        free: Names of the dimensions of the only input that may have any size, beside the batch.
    """

    network: nn.Module
    inputs: Inputs
    examples: Examples
    free: Mapping[int, str] = field(default_factory=dict)


def is_raw(found: Found) -> bool:
    """Returns whether the task says how its data are preprocessed, so that a file can take raw ones."""
    return found.inputs.is_plain and way_of(found.preprocessing) is not None


def raw_network(found: Found, *, raw: bool) -> Given:
    """Returns what a file holds.

    Args:
        found: The network.
        raw: Whether to put the preprocessing inside, where the task says it.
    """
    way = way_of(found.preprocessing) if raw and found.inputs.is_plain else None
    if way is None:
        return Given(found.network, found.inputs, lambda batch, seed: found.inputs.example(batch, seed=seed))
    shape = tuple(found.inputs.shape)
    network = FromRaw(found.network, way, len(shape) + 1).eval()
    image = isinstance(way, Preprocessing)

    def examples(batch: int, seed: int) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        size = (
            tuple(edge + more for edge, more in zip(shape[1:], _LARGER, strict=True))
            if image and seed != 1
            else shape[1:]
        )
        (numbers,), _ = Inputs((TensorSpec((shape[0], *size), way.pixels, high=256),)).example(batch, seed=seed)
        if way.pixels == "float32":
            numbers = way.span[0] + (way.span[1] - way.span[0]) * torch.sigmoid(numbers)
        return (numbers,), {}

    inputs = Inputs((TensorSpec(shape, way.pixels, high=256),))
    return Given(network, inputs, examples, {2: "height", 3: "width"} if image else {})

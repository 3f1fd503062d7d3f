"""A network together with what happens to raw pixels before it and to its values after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nasplug.contract.io import Inputs, TensorSpec
from nasplug.data.preprocessing import Preprocessing

if TYPE_CHECKING:
    from nasplug.export.exporter import Found
    from nasplug.export.onnx import Examples


class FromRaw(nn.Module):
    """Takes raw pixels and gives what the network gives, with the arithmetic of the data module.

    Args:
        network: Network with trained weights, in inference mode.
        way: Way from pixels to the tensor of the network.
    """

    factor: Tensor
    summand: Tensor

    def __init__(self, network: nn.Module, way: Preprocessing) -> None:
        super().__init__()
        self.network = network
        factor, summand = (torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1) for values in way.affine())
        self.register_buffer("factor", factor)
        self.register_buffer("summand", summand)
        self.low = float(way.span[0])

    def forward(self, input: Tensor) -> Tensor:
        """Scores of raw pixels (N, C, H, W)."""
        pixels = input.to(torch.float32)
        if self.low:
            pixels = pixels - self.low
        answer: Tensor = self.network(pixels * self.factor + self.summand)
        return answer


def is_raw(found: Found) -> bool:
    """Returns whether the task says how images are preprocessed, so that a file can take raw pixels."""
    return (found.preprocessing or {}).get("kind") == "image" and found.inputs.is_plain


def raw_network(found: Found, *, raw: bool) -> tuple[nn.Module, Inputs, Examples]:
    """Returns what a file holds: the network, its input, and a function that makes inputs to try it with.

    Args:
        found: The network.
        raw: Whether to put the preprocessing inside, where the task says it.
    """
    if not (raw and is_raw(found)):
        return found.network, found.inputs, lambda batch, seed: found.inputs.example(batch, seed=seed)
    way = Preprocessing.of(found.preprocessing or {})
    inputs = Inputs((TensorSpec(found.inputs.shape, way.pixels, high=256),))

    def examples(batch: int, seed: int) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        (pixels,), _ = inputs.example(batch, seed=seed)
        if way.pixels == "float32":
            pixels = way.span[0] + (way.span[1] - way.span[0]) * torch.sigmoid(pixels)
        return (pixels,), {}

    return FromRaw(found.network, way).eval(), inputs, examples

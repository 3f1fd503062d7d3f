"""What a folded network takes to store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nasplug.evaluate.tensors import save_tensors
from nasplug_darts_lp.folding.fold import FoldedNetwork
from nasplug_darts_lp.folding.modules import (
    WEIGHT_ZERO,
    Comparison,
    IntegerConv2d,
    IntegerLinear,
    Thresholds,
)


@dataclass(frozen=True)
class Size:
    """Bytes by what they hold.

    Attributes:
        weights: Whole-number weights, packed bit by bit.
        thresholds: Thresholds of all comparisons, 4 bytes each, or the two numbers that replace those of a channel.
        others: Scales, biases, and layers in floating point.
    """

    weights: int
    thresholds: int
    others: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.thresholds + self.others


def packed(folded: FoldedNetwork) -> Mapping[str, Tensor]:
    """All numbers of a folded network as they would be stored: weights of b bits take b bits.

    A layer that is used again has a product for every use; weights that are those of its first use are left out.
    """
    first = {name: names[0] for names in folded.products.values() for name in names[1:]}
    found: dict[str, Tensor] = {}
    for name, module in folded.body.named_modules():
        tensors = dict(module.named_parameters(prefix=name, recurse=False))
        tensors |= dict(module.named_buffers(prefix=name, recurse=False))
        if isinstance(module, (IntegerConv2d, IntegerLinear)):
            if name in first and _same_weights(module, folded.body.get_submodule(first[name])):
                del tensors[f"{name}.weight"]
            else:
                tensors[f"{name}.weight"] = pack(module.weight.to(torch.int16) - WEIGHT_ZERO, module.bits)
        if isinstance(module, Thresholds) and module.signs is not None:
            tensors[f"{name}.signs"] = pack(module.signs.to(torch.int16), 1)
        found |= tensors
    return found


def _same_weights(one: IntegerConv2d | IntegerLinear, other: nn.Module) -> bool:
    if not isinstance(other, (IntegerConv2d, IntegerLinear)) or one.bits != other.bits:
        return False
    return torch.equal(one.weight, other.weight)


def size(folded: FoldedNetwork) -> Size:
    """Bytes of the packed numbers."""
    kinds = {"weights": 0, "thresholds": 0, "others": 0}
    for name, tensor in packed(folded).items():
        module = folded.body.get_submodule(name.rpartition(".")[0])
        product = isinstance(module, (IntegerConv2d, IntegerLinear))
        kind = "weights" if product else "thresholds" if isinstance(module, Comparison) else "others"
        kinds[kind] += tensor.numel() * tensor.element_size()
    return Size(**kinds)


def save(folded: FoldedNetwork, path: str | Path) -> int:
    """Writes the packed numbers as safetensors, without the graph, and answers the size of the file in bytes."""
    return save_tensors(path, packed(folded), what="the packed network").stat().st_size


def pack(numbers: Tensor, bits: int) -> Tensor:
    """Signed integers as a stream of bits, two's complement, the lowest bit first.

    One bit stands for -1 and 1. Odd numbers that need a bit more, as of the Gaussian quantiser, lose their lowest
    bit, which is always 1.

    Args:
        numbers: Integers of any shape.
        bits: Number of bits of each number.

    Returns:
        uint8, (ceil(n bits / 8),).
    """
    flat = numbers.flatten().to(torch.int32)
    if bits == 1 or bool((flat & 1).all()):
        flat = flat >> 1
    ones = (flat[:, None] >> torch.arange(bits)) & 1
    stream = torch.nn.functional.pad(ones.flatten(), (0, -ones.numel() % 8)).view(-1, 8)
    return (stream << torch.arange(8)).sum(1).to(torch.uint8)


def unpack(stream: Tensor, bits: int, count: int, *, odd: bool = False) -> Tensor:
    """The inverse of `pack`.

    Args:
        stream: uint8.
        bits: Number of bits of each number.
        count: Number of values.
        odd: Whether all of them are odd, as with one bit.

    Returns:
        (count,), int32.
    """
    ones = ((stream[:, None].to(torch.int32) >> torch.arange(8)) & 1).flatten()[: count * bits].view(count, bits)
    found = (ones << torch.arange(bits)).sum(1)
    found = found - ((found >> (bits - 1)) << bits)
    return (2 * found + 1 if odd or bits == 1 else found).to(torch.int32)

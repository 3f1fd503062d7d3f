"""A few numbers that a network answers, by which somebody who builds it again knows that it is the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nasplug.contract.io import Inputs, TensorSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Largest difference that machines and versions may make, relative to the largest number.
TOLERANCE = 1e-2
_COUNT = 64


def probe(network: nn.Module, inputs: Inputs) -> list[float] | None:
    """Returns the first numbers of the answer to a fixed input that no random generator draws.

    Args:
        network: Network on the CPU, in inference mode.
        inputs: Inputs of the network.

    Returns:
        At most 64 numbers; None if the network does not answer one tensor of finite numbers, always the same.
    """
    import torch

    args = [_fixed(spec, position) for position, spec in enumerate(inputs.args)]
    kwargs = {name: _fixed(spec, len(args) + i) for i, (name, spec) in enumerate(inputs.kwargs.items())}
    try:
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            answers = [network(*args, **kwargs) for _ in range(2)]
    except Exception:  # a network may have demands on values that nobody stated
        return None
    if not all(isinstance(answer, torch.Tensor) for answer in answers):
        return None
    first, second = ([float(value) for value in answer.flatten()[:_COUNT].double()] for answer in answers)
    return first if first == second and all(map(math.isfinite, first)) else None


def agree(expected: list[float], found: list[float] | None) -> bool:
    """Returns whether two probes are those of one network."""
    if found is None or len(found) != len(expected):
        return False
    size = max(map(abs, expected), default=0.0) or 1.0
    return all(abs(a - b) <= TOLERANCE * size for a, b in zip(expected, found, strict=True))


def _fixed(spec: TensorSpec, position: int) -> Tensor:
    import torch

    kind: torch.dtype = getattr(torch, spec.dtype)
    count = torch.arange(2 * math.prod(spec.shape), dtype=torch.float64).reshape(2, *spec.shape)
    if kind.is_floating_point or kind.is_complex:
        return torch.sin(count * 0.7 + position).to(kind)
    return (count % max(1, spec.high)).to(kind)

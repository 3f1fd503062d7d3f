"""Modules as people write them, each of another kind, and what tests ask of all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests.surgery.kinds import attending, convolving

#: Shapes of inputs that are not images; a shape of one number is a sequence of words.
SHAPES: dict[str, tuple[int, ...]] = {"Decoder": (1, 4, 4, 4), "TiedWords": (5,)}

#: All kinds of these files and the shape of their input.
KINDS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    name: (kind, SHAPES.get(name, (3, 8, 8)))
    for module in (attending, convolving)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and kind.__module__ == module.__name__
}


def words(shape: tuple[int, ...]) -> bool:
    """Whether a kind reads words."""
    return len(shape) == 1


def inputs_of(shape: tuple[int, ...]) -> Any:
    """Inputs as a specification says them."""
    return {"shape": list(shape), "dtype": "int64" if words(shape) else "float64"}


def example(shape: tuple[int, ...], batch: int = 3) -> Tensor:
    """Fixed inputs."""
    generator = torch.Generator().manual_seed(0)
    if words(shape):
        return torch.randint(0, 11, (batch, *shape), generator=generator)
    return torch.randn(batch, *shape, generator=generator, dtype=torch.float64)


def built(name: str, seed: int = 0) -> nn.Module:
    """A kind in double precision, with random biases, scales and statistics."""
    torch.manual_seed(seed)
    network = KINDS[name][0]().double()
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.dtype == torch.float64 and tensor.ndim == 1:
            tensor.data = torch.rand_like(tensor) + 0.5
    return network


def result(network: nn.Module, x: Tensor, *, training: bool = False) -> Tensor:
    """All outputs in one vector; running statistics stay."""
    state = {name: value.clone() for name, value in network.state_dict().items()}
    network.train(training)
    with torch.no_grad():
        found = network(x)
    network.load_state_dict(state)
    parts = found.values() if isinstance(found, dict) else found if isinstance(found, tuple) else (found,)
    return torch.cat([part.flatten() for part in parts])

"""Modules that surgery puts into a network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nasplug.surgery.records import Fill


class PlacedChannels(nn.Module):
    """A module that pads channels, with its channels where an edit put them.

    Args:
        inner: Module that works on every channel alike and pads silent ones around them, any number of channels given.
        low: Number of silent channels that it puts before the first.
        sources: Channel of the input for every channel of the output; -1 for a silent one.
    """

    def __init__(self, inner: nn.Module, low: int, sources: Sequence[int]) -> None:
        super().__init__()
        self.inner, self.low, self.sources = inner, low, list(sources)
        index = torch.tensor(self.sources, dtype=torch.int64)
        self.register_buffer("index", index.clamp(min=0), persistent=False)
        self.register_buffer("heard", (index >= 0).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (batch, channels, ...) to (batch, len(sources), ...)."""
        size = x.shape[1]
        inside: Tensor = self.inner(x)
        placed = inside[:, self.low : self.low + size].index_select(1, self.get_buffer("index"))
        heard: Tensor = self.get_buffer("heard").to(placed.dtype)
        return placed * heard.view(1, -1, *[1] * (placed.ndim - 2))


class Dropped(nn.Module):
    """What stands where an edit dropped a module.

    Args:
        fill: Result in its place: `input` for its first argument as it came, `zero` for zeros of that shape.
    """

    def __init__(self, fill: Fill = "input") -> None:
        super().__init__()
        self.fill = fill

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Tensor:
        """Maps the first argument to a tensor of its shape, whatever else the module was called with."""
        first = args[0] if args else next(iter(kwargs.values()))
        return torch.zeros_like(first) if self.fill == "zero" else first

    def extra_repr(self) -> str:
        """Shows the fill in the printed network."""
        return self.fill

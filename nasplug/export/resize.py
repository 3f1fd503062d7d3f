"""Resizing of images as part of a network, with the numbers that Pillow gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from nasplug.data.images import Fit

#: Bits after the point of the weights that Pillow has for 8-bit levels (`PRECISION_BITS` in its Resample.c).
_PRECISION = 22


class Resize(nn.Module):
    """Bilinear resizing of images of any size, as Pillow's: with antialiasing, first along rows, then along columns.

    Pillow rounds weights to 22 bits and the levels between the two passes to 8 bits. All of these numbers are whole
    multiples of 2^-22 below 2^9, so that products and sums in float64 are exact, in any order.

    Args:
        size: Height and width to resize to.
        fit: "crop" cuts overhanging sides off, "stretch" keeps all.
        levels: Whether pixels are 8-bit levels; else numbers, which are not rounded.
    """

    def __init__(self, size: tuple[int, int], fit: Fit, *, levels: bool) -> None:
        super().__init__()
        self.size, self.fit, self.levels = size, fit, levels

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, h, w) of any h and w as float32 (N, C, H, W)."""
        # Sizes are sums of ones: numbers of the graph, where `images.shape` would be numbers of the export.
        across = torch.ones_like(images[0, 0, 0], dtype=torch.float64)
        down = torch.ones_like(images[0, 0, :, 0], dtype=torch.float64)
        width, height = across.sum(), down.sum()
        wide, high = width, height
        if self.fit == "crop":
            ratio = self.size[1] / self.size[0]
            wide, high = torch.minimum(width, ratio * height), torch.minimum(height, width / ratio)
        rows = self._weights(across, (width - wide) * 0.5, wide, self.size[1])
        columns = self._weights(down, (height - high) * 0.5, high, self.size[0])
        resized = self._rounded(images.to(torch.float64) @ rows.T)
        return self._rounded(columns @ resized.to(torch.float64))

    def _weights(self, ones: Tensor, start: Tensor, length: Tensor, size: int) -> Tensor:
        """Weights (size, n) of n pixels, of which a box from `start` on becomes `size` ones."""
        begin, end = start.to(torch.float32), (start + length).to(torch.float32)  # boxes of Pillow are float32
        scale = (end - begin).to(torch.float64) / size
        support = scale.clamp_min(1.0)
        centres = begin.to(torch.float64) + (torch.arange(size, dtype=torch.float64) + 0.5) * scale
        pixels = ones.cumsum(0) - 0.5
        weights = (1.0 - ((pixels[None] - centres[:, None]) * (1.0 / support)).abs()).clamp_min(0.0)
        weights = weights / weights.sum(1, keepdim=True)
        return torch.floor(weights * 2.0**_PRECISION + 0.5) / 2.0**_PRECISION if self.levels else weights

    def _rounded(self, values: Tensor) -> Tensor:
        if self.levels:
            values = torch.floor(values + 0.5).clamp(0.0, 255.0)
        return values.to(torch.float32)

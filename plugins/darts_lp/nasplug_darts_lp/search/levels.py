"""One activation quantiser for several bit widths at once, computed together.

Every width quantises the same range of the same channel: with u = clamp((x - low) / range, 0, 1) and n = 2^bits - 1,
Q(x) = low + range * round(u n) / n. A mixture sum_k p_k Q_k(x) then needs one affine map, and one rounding per width.
All widths share `low` and `range`, so that none wins because its scale was learned first.

Gradients are straight-through inside the range (Bengio et al., arXiv 1308.3432), and those of PACT and LSQ for its ends
(Choi et al., arXiv 1805.06085; Esser et al., ICLR 2020): with m = 1 inside the range and 0 outside, v the mixture of
round(u n) / n and s = sum_k p_k:

    dy/dx = s m        dy/dlow = s (1 - m)        dy/drange = v - s m u        dy/dp_k = Q_k(x)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

#: Elements per block on a CPU. A block goes through all its passes while it is in the cache.
BLOCK = 1 << 15


class MixedLevels(nn.Module):
    """Quantises activations to a mixture of bit widths: (N, C, ...) -> the same shape.

    Args:
        bits: The widths, each 1 to 8.
        channels: C.
        span: First range of every channel, centred at 0. Inputs are expected to be normalised.
    """

    def __init__(self, bits: Sequence[int], channels: int, span: float = 4.0) -> None:
        super().__init__()
        self.bits, self.channels = tuple(bits), channels
        self.low = nn.Parameter(torch.full((channels,), -span / 2))
        self.log_range = nn.Parameter(torch.full((channels,), span).log())

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """The mixture.

        Args:
            x: Float (N, C, ...).
            weights: Float (K,), the share of every width.
        """
        steps = tuple(float(2**bits - 1) for bits in self.bits)
        mixed: Tensor = _Mixture.apply(x, weights, self.low, self.log_range.exp(), steps)
        return mixed

    def extra_repr(self) -> str:
        """For printing."""
        return f"bits={self.bits}, channels={self.channels}"


class _Mixture(torch.autograd.Function):
    """Blocks of the batch go through all operations in place, so that memory is read once and not once per width."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor, low: Tensor, span: Tensor, steps: tuple[float, ...]) -> Tensor:
        x = x.contiguous()
        out = torch.empty_like(x)
        shares = weights.tolist()
        scale, shift = _column(1.0 / span, x), _column(-low / span, x)
        ends = _column(span, x), _column(low * sum(shares), x)
        for part in _parts(x):
            u = torch.addcmul(shift, x[part], scale).clamp_(0.0, 1.0)
            mixed, rounded = out[part].zero_(), torch.empty_like(u)
            for share, n in zip(shares, steps, strict=True):
                if share:
                    mixed.add_(torch.mul(u, n, out=rounded).round_(), alpha=share / n)
            mixed.mul_(ends[0]).add_(ends[1])
        ctx.save_for_backward(x, out, low, span)
        ctx.steps, ctx.shares = steps, shares
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, out, low, span = ctx.saved_tensors
        steps, total = ctx.steps, sum(ctx.shares)
        _, for_weights, for_low, for_span, _ = ctx.needs_input_grad
        gradient = gradient.contiguous()
        to_x = torch.empty_like(x)
        scale, shift = _column(1.0 / span, x), _column(-low / span, x)
        dims = [0, *range(2, x.dim())]
        # Sums over all but the channels: of g, g m, g m u, g y, and of g round(u n) / n for every width.
        whole, inside, slope, mixture = (x.new_zeros(x.shape[1]) for _ in range(4))
        levels = x.new_zeros(len(steps), x.shape[1])
        for part in _parts(x):
            raw = torch.addcmul(shift, x[part], scale)
            u, g, within = raw.clamp(0.0, 1.0), gradient[part], to_x[part]
            torch.mul(g, raw.eq_(u), out=within)
            if for_weights or for_low or for_span:
                whole += g.sum(dims)
            if for_low or for_span:
                inside += within.sum(dims)
                slope += torch.mul(within, u, out=raw).sum(dims)
            if for_weights:
                for row, n in enumerate(steps):
                    levels[row] += torch.mul(u, n, out=raw).round_().mul_(g).sum(dims) / n
            elif for_span:
                mixture += torch.mul(g, out[part], out=raw).sum(dims)
        if total != 1.0:
            to_x *= total
        if for_weights:
            shares = torch.tensor(ctx.shares, dtype=x.dtype, device=x.device)
            mixed = shares @ levels
        else:
            mixed = (mixture - total * low * whole) / span
        to_weights = levels @ span + low @ whole if for_weights else None
        return to_x, to_weights, total * (whole - inside), mixed - total * slope, None


def _column(values: Tensor, x: Tensor) -> Tensor:
    """Per-channel values (C,) in a shape that broadcasts over x."""
    return values.view(1, -1, *[1] * (x.dim() - 2))


def _parts(x: Tensor) -> Iterator[slice]:
    """Blocks of the batch; on a GPU all of it."""
    size = max(1, BLOCK // max(1, x[0].numel())) if x.device.type == "cpu" else len(x)
    for start in range(0, len(x), size):
        yield slice(start, start + size)

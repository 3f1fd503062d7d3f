"""One activation quantiser for several bit widths at once, computed together.

Every width quantises the same range of the same channel: with u = clamp((x - low) / range, 0, 1) and n = 2^bits - 1,
Q(x) = low + range * round(u n) / n. A mixture sum_k p_k Q_k(x) then needs one affine map, and one rounding per width.
All widths factor `low`, one per channel, and `range`, so that none wins because its scale was learned first.

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
BLOCK = 1 << 16
#: Of the logarithm of a range, so that no step makes it 0 or infinite.
_BOUND = 10.0


class MixedLevels(nn.Module):
    """Quantises activations to a mixture of bit widths: (N, C, ...) -> the same shape.

    Args:
        bits: Bit widths, each 1 to 8.
        channels: Number of channels C.
        span: First range, centred at 0. Inputs are expected to be normalised.
    """

    def __init__(self, bits: Sequence[int], channels: int, span: float = 4.0) -> None:
        super().__init__()
        self.bits, self.channels = tuple(bits), channels
        self.low = nn.Parameter(torch.full((channels,), -span / 2))
        self.log_range = nn.Parameter(torch.tensor(span).log())

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Returns the mixture.

        Args:
            x: Activations (N, C, ...).
            weights: Mixing weights (K,) of the widths.
        """
        steps = tuple(float(2**bits - 1) for bits in self.bits)
        mixed: Tensor = _Mixture.apply(x, weights, self.low, self.log_range.clamp(-_BOUND, _BOUND).exp(), steps)
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
        factors = weights.tolist()
        width = float(span)
        shift, ends = _column(-low / span, x), _column(low * sum(factors), x)
        for part, (u, rounded) in _parts(x):
            torch.add(shift, x[part], alpha=1.0 / width, out=u).clamp_(0.0, 1.0)
            mixed, empty = out[part], True
            for factor, n in zip(factors, steps, strict=True):
                if not factor:
                    continue
                _levels(u, n, rounded)
                if empty:
                    torch.mul(rounded, factor / n, out=mixed)
                else:
                    mixed.add_(rounded, alpha=factor / n)
                empty = False
            if empty:
                mixed.zero_()
            torch.add(ends, mixed, alpha=width, out=mixed)
        ctx.save_for_backward(x, out, low, span)  # a convolution that follows keeps `out` anyway
        ctx.steps, ctx.factors, ctx.width = steps, factors, width
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, out, low, span = ctx.saved_tensors
        steps, total = ctx.steps, sum(ctx.factors)
        _, for_weights, _, for_span, _ = ctx.needs_input_grad
        gradient = gradient.contiguous()
        to_x, shift = torch.empty_like(x), _column(-low / span, x)
        # Sums of g and of g m by sample and channel; dot products over a block: g m u, g y, and g round(u n) by width.
        whole, inside = x.new_empty(2, *x.shape[:2])
        slopes, values, levels = [], [], []
        for part, (u, raw) in _parts(x):
            g, within = gradient[part], to_x[part]
            torch.add(shift, x[part], alpha=1.0 / ctx.width, out=raw)
            torch.clamp(raw, 0.0, 1.0, out=u)
            torch.mul(g, raw.eq_(u), out=within)
            whole[part], inside[part] = _per_channel(g), _per_channel(within)
            slopes.append(torch.dot(within.flatten(), u.flatten()))
            if for_weights:
                levels += [torch.dot(_levels(u, n, raw).flatten(), g.flatten()) for n in steps]
            elif for_span:
                values.append(torch.dot(out[part].flatten(), g.flatten()))
        if total != 1.0:
            to_x *= total
        sums, lows = whole.sum(0), low @ whole.sum(0)
        to_weights, mixture = None, x.new_zeros(())
        if for_weights:
            by_width = torch.stack(levels).view(-1, len(steps)).sum(0) / x.new_tensor(steps)
            to_weights, mixture = span * by_width + lows, by_width @ by_width.new_tensor(ctx.factors)
        elif for_span:
            mixture = (torch.stack(values).sum() - total * lows) / span
        return to_x, to_weights, total * (sums - inside.sum(0)), mixture - total * torch.stack(slopes).sum(), None


def _levels(u: Tensor, n: float, out: Tensor) -> Tensor:
    """Rounds u n, for u from 0 to 1, into `out`."""
    return torch.round(u, out=out) if n == 1.0 else torch.mul(u, n, out=out).round_()


def _per_channel(values: Tensor) -> Tensor:
    """Sums (N, C) of (N, C, ...)."""
    return values.flatten(2).sum(2) if values.dim() > 2 else values


def _column(values: Tensor, x: Tensor) -> Tensor:
    """Per-channel values (C,) in a shape that broadcasts over x."""
    return values.view(1, -1, *[1] * (x.dim() - 2))


def _parts(x: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Blocks of the batch, on a GPU all of it, with room for two of them that every block uses again."""
    size = max(1, BLOCK // max(1, x[0].numel())) if x.device.type == "cpu" else len(x)
    room = x.new_empty(2, min(size, len(x)), *x.shape[1:])
    for start in range(0, len(x), size):
        yield slice(start, start + size), room[:, : len(x) - start]

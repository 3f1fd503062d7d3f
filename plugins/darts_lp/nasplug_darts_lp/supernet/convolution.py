"""Convolutions with a choice of kernel size and bit widths: all candidates in one, or each on its own.

The shared form keeps one latent weight and runs one convolution, whatever the number of candidates:

    y = conv(sum_j p_j Qa_j(x), sum_k z_k pad(sum_i q_i Qw_i(W_k)))

with W_k the centre of the largest kernel. A convolution is bilinear, so this is what the separate form computes if all
its candidates have the same weights; but here every step trains the weights of all of them. Sharing one latent weight
between bit widths follows Cai and Vasconcelos, "Rethinking Differentiable Search for Mixed-Precision Neural Networks"
(EdMIPS, CVPR 2020); sharing the centre of a kernel, Stamoulis et al., "Single-Path NAS" (ECML PKDD 2019).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nasplug_darts_lp.quantisers import activation_quantiser, weight_quantiser
from nasplug_darts_lp.supernet.levels import MixedLevels
from nasplug_darts_lp.supernet.scaling import WeightedSum
from nasplug_darts_lp.supernet.settings import Scaling

#: How activations of a supernet are quantised: `shared` has one range for all bit widths, see
#: `MixedLevels`; any kind of `activation_quantiser` has one module per width.
Activations: TypeAlias = Literal["shared"] | str


@dataclass(frozen=True, slots=True)
class ConvChoices:
    """What is fixed about a convolution, and what is a choice.

    Attributes:
        inputs, outputs: Numbers of channels.
        kernels: Kernel sizes to choose from, odd; the same one may come several times.
        stride, dilation, groups: Stride, dilation and number of groups of all candidates.
        weight_bits, activation_bits: Bit widths to choose from; empty for a convolution in floating point.
        activations, weights: Kinds of quantisers.
        affine: Whether the normalisation has a scale and a shift; supernets have none, as in DARTS.
    """

    inputs: int
    outputs: int
    kernels: tuple[int, ...] = (3,)
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    weight_bits: tuple[int, ...] = ()
    activation_bits: tuple[int, ...] = ()
    activations: Activations = "shared"
    weights: str = "uniform"
    affine: bool = False

    @property
    def candidates(self) -> int:
        """Number of combinations."""
        return len(self.kernels) * max(1, len(self.weight_bits)) * max(1, len(self.activation_bits))


class SharedConv(nn.Module):
    """All candidates in one convolution: (N, inputs, H, W) -> (N, outputs, H / stride, W / stride).

    Args:
        choices: Values that are fixed and values that are searched.
    """

    def __init__(self, choices: ConvChoices) -> None:
        super().__init__()
        self.choices, self.largest = choices, max(choices.kernels)
        # A convolution of torch, for its first weights.
        self.weight = nn.Conv2d(choices.inputs, choices.outputs, self.largest, groups=choices.groups, bias=False).weight
        self.activations = mixed_activations(choices, choices.activation_bits)
        self.quantisers = nn.ModuleList(
            weight_quantiser(choices.weights, bits, choices.outputs) for bits in choices.weight_bits
        )

    def forward(self, x: Tensor, kernel: Tensor, weight_bits: Tensor, activation_bits: Tensor) -> Tensor:
        """Convolves.

        Args:
            x: Feature map (N, inputs, H, W).
            kernel: Mixing weights of the kernel sizes.
            weight_bits: Mixing weights of the widths of weights.
            activation_bits: Mixing weights of the widths of activations.
        """
        choices = self.choices
        if self.activations is not None:
            x = self.activations(x, activation_bits)
        total: Tensor | None = None
        for size, factor in zip(choices.kernels, kernel, strict=True):
            cut = (self.largest - size) // 2
            weight = self._quantised(self.weight[:, :, cut : cut + size, cut : cut + size], weight_bits)
            if len(choices.kernels) > 1:
                weight = F.pad(weight * factor, (cut, cut, cut, cut))
            total = weight if total is None else total + weight
        assert total is not None
        padding = choices.dilation * (self.largest // 2)
        return F.conv2d(x, total, None, choices.stride, padding, choices.dilation, choices.groups)

    def _quantised(self, weight: Tensor, factors: Tensor) -> Tensor:
        if not self.quantisers:
            return weight
        if any(True for _ in self.quantisers.parameters()):  # scales that are learned
            terms = [quantise(weight) * factor for quantise, factor in zip(self.quantisers, factors, strict=True)]
            return torch.stack(terms).sum(0)
        with torch.no_grad():
            values = [quantise(weight) for quantise in self.quantisers]
        mixed: Tensor = _Mixture.apply(weight, factors, *values)
        return mixed


class _Mixture(torch.autograd.Function):
    """The sum of quantised weights, each times its factor; gradients pass straight through to the one latent weight."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, factors: Tensor, *values: Tensor) -> Tensor:
        ctx.save_for_backward(factors, *values)
        total = values[0] * factors[0]
        for index, value in enumerate(values[1:], start=1):
            total.addcmul_(value, factors[index])
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        factors, *values = ctx.saved_tensors
        to_factors = None
        if ctx.needs_input_grad[1]:
            flat = gradient.flatten()
            to_factors = torch.stack([torch.dot(flat, value.flatten()) for value in values])
        return gradient * factors.sum(), to_factors, *[None] * len(values)


class SharedConvNorm(nn.Module):
    """A shared convolution and its normalisation.

    Args:
        choices: Values that are fixed and values that are searched.
    """

    def __init__(self, choices: ConvChoices) -> None:
        super().__init__()
        self.conv = SharedConv(choices)
        self.norm = nn.BatchNorm2d(choices.outputs, affine=choices.affine)

    def forward(
        self,
        x: Tensor,
        kernel: Tensor,
        weight_bits: Tensor,
        activation_bits: Tensor,
        probabilities: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Convolves as `SharedConv.forward` does, and normalises; `probabilities` change nothing here."""
        normal: Tensor = self.norm(self.conv(x, kernel, weight_bits, activation_bits))
        return normal


class SeparateConvNorm(nn.Module):
    """Every candidate with a convolution, quantisers and a normalisation of its own; for comparison.

    Args:
        choices: Values that are fixed and values that are searched.
        scaling: Reading of forward-and-backward scaling.
    """

    def __init__(self, choices: ConvChoices, scaling: Scaling = "none") -> None:
        super().__init__()
        self.candidates = nn.ModuleList()
        for kernel, weight_bits, activation_bits in _combinations(choices):
            one = replace(choices, kernels=(kernel,), weight_bits=weight_bits, activation_bits=activation_bits)
            self.candidates.append(SharedConvNorm(one))
        self.sum = WeightedSum(choices.candidates, scaling)

    def forward(
        self,
        x: Tensor,
        kernel: Tensor,
        weight_bits: Tensor,
        activation_bits: Tensor,
        probabilities: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Adds up the candidates; `probabilities` are those that the three mixing weights were sampled with."""
        sure = torch.ones(1, device=x.device)
        weights = torch.einsum("k,i,j->kij", kernel, weight_bits, activation_bits).flatten()
        sampled_with = None if probabilities is None else torch.einsum("k,i,j->kij", *probabilities).flatten()
        outputs = [candidate(x, sure, sure, sure) for candidate in self.candidates]
        total: Tensor = self.sum(outputs, weights, sampled_with)
        return total


def conv_norm(choices: ConvChoices, *, shared: bool, scaling: Scaling = "none") -> SharedConvNorm | SeparateConvNorm:
    """Makes a mixed convolution with its normalisation, in the form asked for."""
    return SharedConvNorm(choices) if shared else SeparateConvNorm(choices, scaling)


class MixedQuantisers(nn.Module):
    """A mixture of activation quantisers with parameters of their own: (N, C, ...) -> the same shape.

    Args:
        kind: Kind of the quantisers.
        bits: Bit widths.
        channels: Number of channels C.
    """

    def __init__(self, kind: str, bits: Sequence[int], channels: int) -> None:
        super().__init__()
        self.quantisers = nn.ModuleList(activation_quantiser(kind, width, channels) for width in bits)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Returns the mixture; arguments as for `MixedLevels.forward`."""
        terms = [quantise(x) * weight for quantise, weight in zip(self.quantisers, weights, strict=True)]
        return torch.stack(terms).sum(0) if len(terms) > 1 else terms[0]


def mixed_activations(choices: ConvChoices, bits: Sequence[int]) -> MixedLevels | MixedQuantisers | None:
    """Makes the activation quantiser of a mixed convolution; None in floating point."""
    if not bits:
        return None
    if choices.activations == "shared":
        return MixedLevels(bits, choices.inputs)
    return MixedQuantisers(choices.activations, bits, choices.inputs)


def _combinations(choices: ConvChoices) -> list[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    weights: list[tuple[int, ...]] = [(bits,) for bits in choices.weight_bits]
    activations: list[tuple[int, ...]] = [(bits,) for bits in choices.activation_bits]
    return list(itertools.product(choices.kernels, weights or [()], activations or [()]))

"""The mixed operation on an edge of the cell supernet: all candidates, those that can share their weights as one.

Sources: Liu, Simonyan and Yang, "DARTS", ICLR 2019; Xu et al., "PC-DARTS", ICLR 2020 (partial channels).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug_darts_lp.spaces.cell.edges import Edge, has_convolution
from nasplug_darts_lp.spaces.cell.operations import operation
from nasplug_darts_lp.spaces.cell.settings import CellSettings
from nasplug_darts_lp.supernet.convolution import ConvChoices, SharedConv
from nasplug_darts_lp.supernet.options import SupernetOptions
from nasplug_darts_lp.supernet.scaling import WeightedSum


class MixedSeparable(nn.Module):
    """ReLU and a separable convolution with a choice of kernel size and bits: (N, C, H, W) -> (N, C, H / s, W / s).

    Args:
        settings: Settings of the space.
        options: Options of the supernet.
        channels: Number of channels C.
        kernels: Kernel sizes to choose from.
        stride, dilation: Stride and dilation of the depthwise convolution.
    """

    def __init__(
        self,
        settings: CellSettings,
        options: SupernetOptions,
        channels: int,
        kernels: tuple[int, ...],
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()

        def conv(kernels: tuple[int, ...], stride: int, dilation: int, groups: int) -> SharedConv:
            return SharedConv(
                ConvChoices(
                    channels,
                    channels,
                    kernels,
                    stride,
                    dilation,
                    groups,
                    weight_bits=settings.weight_bits,
                    activation_bits=settings.activation_bits,
                    activations=options.settings.activations,
                    weights=options.settings.weights,
                )
            )

        self.depthwise = conv(kernels, stride, dilation, channels)
        self.pointwise = conv((1,), 1, 1, 1)
        self.norm = nn.BatchNorm2d(channels, affine=False)

    def forward(self, x: Tensor, kernel: Tensor, weight_bits: Tensor, activation_bits: Tensor) -> Tensor:
        """Applies both convolutions; arguments as for `SharedConv.forward`."""
        x = self.depthwise(F.relu(x), kernel, weight_bits, activation_bits)
        one = torch.ones(1, device=x.device)
        normal: Tensor = self.norm(self.pointwise(x, one, weight_bits, activation_bits))
        return normal


class Family(nn.ModuleList):
    """All `sep_conv` or all `dil_conv` of an edge, with the weights of the largest.

    Args:
        settings, options, channels: Settings, options and number of channels as for `MixedSeparable`.
        names: Names of the candidates.
        indices: Indices of these among all candidates.
        stride: Stride, 1 or 2.
    """

    num_outputs = 1

    def __init__(
        self,
        settings: CellSettings,
        options: SupernetOptions,
        channels: int,
        names: Sequence[str],
        indices: Sequence[int],
        stride: int,
    ) -> None:
        kernels = tuple(int(name[-1]) for name in names)
        dilated = names[0].startswith("dil")
        layers = [MixedSeparable(settings, options, channels, kernels, stride, 2 if dilated else 1)]
        super().__init__(layers if dilated else [*layers, MixedSeparable(settings, options, channels, kernels)])
        self.indices = list(indices)

    def outputs(self, x: Tensor, weights: Tensor, weight_bits: Tensor, activation_bits: Tensor) -> list[Tensor]:
        """Computes one output: it is normalised, so ratios of the kernels go in before, and their sum comes after."""
        kernels = weights[self.indices]
        tiny = 1e-12  # makes the ratios equal where no kernel was sampled, and changes nothing elsewhere
        kernel = (kernels + tiny / len(kernels)) / (kernels.sum() + tiny)
        for layer in self:
            x = layer(x, kernel, weight_bits, activation_bits)
        return [x]

    def mixing_weights(self, weights: Tensor, weight_bits: Tensor, activation_bits: Tensor) -> list[Tensor]:
        """Returns the mixing weight () of the output."""
        return [weights[self.indices].sum()]


class Separate(nn.ModuleList):
    """One candidate with weights of its own, and if it has bits to choose, as often as there are pairs of them.

    Args:
        settings: Settings of the space.
        name: Name of the candidate.
        index: Index of it among all candidates.
        channels: Number of channels.
        stride: Stride, 1 or 2.
    """

    def __init__(self, settings: CellSettings, name: str, index: int, channels: int, stride: int) -> None:
        pairs: list[tuple[int | None, int | None]] = [(None, None)]
        if settings.weight_bits and has_convolution(name):
            pairs = list(itertools.product(settings.weight_bits, settings.activation_bits))
        super().__init__(operation(Edge(0, name, *pair), channels, stride, settings.fixed) for pair in pairs)
        self.index, self.num_outputs = index, len(pairs)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):  # as in DARTS: a scale of its own would hide the weight's
                module.affine, module.weight, module.bias = False, None, None  # type: ignore[assignment]

    def outputs(self, x: Tensor, weights: Tensor, weight_bits: Tensor, activation_bits: Tensor) -> list[Tensor]:
        """Computes an output for every pair of bit widths."""
        return [module(x) for module in self]

    def mixing_weights(self, weights: Tensor, weight_bits: Tensor, activation_bits: Tensor) -> list[Tensor]:
        """Returns the mixing weights () of the outputs."""
        if len(self) == 1:
            return [weights[self.index]]
        return list((weights[self.index] * torch.outer(weight_bits, activation_bits)).flatten())


class MixedOp(nn.Module):
    """The weighted sum of all candidates of an edge: (N, C, H, W) -> (N, C, H / stride, W / stride).

    Args:
        settings: Settings of the space.
        options: Options of the supernet.
        candidates: Names of the candidates, `none` among them.
        channels: Number of channels C.
        stride: Stride, 1 or 2.
    """

    def __init__(
        self,
        settings: CellSettings,
        options: SupernetOptions,
        candidates: Sequence[str],
        channels: int,
        stride: int,
    ) -> None:
        super().__init__()
        form = options.settings
        self.partial, width = form.partial, channels // form.partial
        branches: list[Family | Separate] = []
        families: dict[str, list[int]] = {}
        for index, name in enumerate(candidates):
            if form.shared and has_convolution(name):
                families.setdefault(name[:3], []).append(index)
            elif name != "none":
                branches.append(Separate(settings, name, index, width, stride))
        for indices in families.values():
            names = [candidates[index] for index in indices]
            branches.append(Family(settings, options, width, names, indices, stride))
        self.branches = nn.ModuleList(branches)
        self.sum = WeightedSum(sum(branch.num_outputs for branch in branches), form.scaling)
        self.pool = nn.MaxPool2d(2, ceil_mode=True) if stride == 2 else nn.Identity()

    def forward(self, x: Tensor, weights: Sequence[Tensor], probabilities: Sequence[Tensor]) -> Tensor:
        """Computes the weighted sum; `none` adds nothing.

        Args:
            x: Feature map (N, C, H, W).
            weights: Mixing weights of the candidates, of the widths of weights, and of those of activations.
            probabilities: Probabilities that these were sampled with.
        """
        width = x.shape[1] // self.partial
        outputs, mixing_weights, sampled_with = [], [], []
        for branch in self.branches:
            outputs += branch.outputs(x[:, :width], *weights)  # type: ignore[operator]
            mixing_weights += branch.mixing_weights(*weights)  # type: ignore[operator]
            sampled_with += branch.mixing_weights(*probabilities)  # type: ignore[operator]
        y: Tensor = self.sum(outputs, torch.stack(mixing_weights), torch.stack(sampled_with))
        if self.partial == 1:
            return y
        return _shuffled(torch.cat([y, self.pool(x[:, width:])], dim=1), self.partial)


def _shuffled(x: Tensor, groups: int) -> Tensor:
    """Takes channels from the groups in turns, so that other ones go through the candidates of the next edge."""
    count, channels, height, width = x.shape
    return x.view(count, groups, channels // groups, height, width).transpose(1, 2).reshape(x.shape)

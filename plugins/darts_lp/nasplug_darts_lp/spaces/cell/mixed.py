"""An edge of the cell supernet: all candidates, those that can share their weights as one.

Sources: Liu, Simonyan and Yang, "DARTS", ICLR 2019; Xu et al., "PC-DARTS", ICLR 2020 (partial channels).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug_darts_lp.spaces.cell.network import Precision, operation
from nasplug_darts_lp.spaces.cell.space import Edge, has_convolution
from nasplug_darts_lp.supernet.base import SupernetOptions
from nasplug_darts_lp.supernet.convolution import ConvChoices, SharedConv
from nasplug_darts_lp.supernet.scaling import WeightedSum

if TYPE_CHECKING:
    from nasplug_darts_lp.spaces.cell.space import CellSpace


class OpenSeparable(nn.Module):
    """ReLU and a separable convolution whose kernel size and bits are open: (N, C, H, W) -> (N, C, H / s, W / s).

    Args:
        space: Gives the bit widths.
        options: Gives the quantisers.
        channels: C.
        kernels: Sizes to choose from.
        stride, dilation: Of the depthwise convolution.
    """

    def __init__(
        self,
        space: CellSpace,
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
                    weight_bits=space.weight_bits,
                    activation_bits=space.activation_bits,
                    activations=options.activations,
                    weights=options.weights,
                )
            )

        self.depthwise = conv(kernels, stride, dilation, channels)
        self.pointwise = conv((1,), 1, 1, 1)
        self.norm = nn.BatchNorm2d(channels, affine=False)

    def forward(self, x: Tensor, kernel: Tensor, weight_bits: Tensor, activation_bits: Tensor) -> Tensor:
        """As `SharedConv.forward`, for both convolutions."""
        x = self.depthwise(F.relu(x), kernel, weight_bits, activation_bits)
        one = torch.ones(1, device=x.device)
        normal: Tensor = self.norm(self.pointwise(x, one, weight_bits, activation_bits))
        return normal


class Family(nn.ModuleList):
    """All `sep_conv` or all `dil_conv` of an edge, with the weights of the largest.

    Args:
        space, options, channels: As for `OpenSeparable`.
        names: The candidates.
        places: Where they stand among all candidates.
        stride: 1 or 2.
    """

    count_of_outputs = 1

    def __init__(
        self,
        space: CellSpace,
        options: SupernetOptions,
        channels: int,
        names: Sequence[str],
        places: Sequence[int],
        stride: int,
    ) -> None:
        kernels = tuple(int(name[-1]) for name in names)
        dilated = names[0].startswith("dil")
        layers = [OpenSeparable(space, options, channels, kernels, stride, 2 if dilated else 1)]
        super().__init__(layers if dilated else [*layers, OpenSeparable(space, options, channels, kernels)])
        self.places = list(places)

    def outputs(self, x: Tensor, weights: Tensor, weight_bits: Tensor, activation_bits: Tensor) -> list[Tensor]:
        """One output: it is normalised, so the ratios of the kernels go in before and their sum comes after."""
        shares = weights[self.places]
        tiny = 1e-12  # makes the ratios equal where no kernel was drawn, and changes nothing elsewhere
        kernel = (shares + tiny / len(shares)) / (shares.sum() + tiny)
        for layer in self:
            x = layer(x, kernel, weight_bits, activation_bits)
        return [x]

    def shares(self, weights: Tensor, weight_bits: Tensor, activation_bits: Tensor) -> list[Tensor]:
        """The weight () of the output."""
        return [weights[self.places].sum()]


class Separate(nn.ModuleList):
    """One candidate with weights of its own, and if it has bits to choose, as often as there are pairs of them.

    Args:
        space: Gives the bit widths.
        name: The candidate.
        place: Where it stands among all candidates.
        channels: Of the edge.
        stride: 1 or 2.
        precision: Of what is no choice.
    """

    def __init__(
        self, space: CellSpace, name: str, place: int, channels: int, stride: int, precision: Precision
    ) -> None:
        pairs: list[tuple[int | None, int | None]] = [(None, None)]
        if space.weight_bits and has_convolution(name):
            pairs = list(itertools.product(space.weight_bits, space.activation_bits))
        super().__init__(operation(Edge(0, name, *pair), channels, stride, precision) for pair in pairs)
        self.place, self.count_of_outputs = place, len(pairs)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):  # as in DARTS: a scale of its own would hide the weight's
                module.affine, module.weight, module.bias = False, None, None  # type: ignore[assignment]

    def outputs(self, x: Tensor, weights: Tensor, weight_bits: Tensor, activation_bits: Tensor) -> list[Tensor]:
        """An output for every pair of bit widths."""
        return [module(x) for module in self]

    def shares(self, weights: Tensor, weight_bits: Tensor, activation_bits: Tensor) -> list[Tensor]:
        """Weights () of the outputs."""
        if len(self) == 1:
            return [weights[self.place]]
        return list((weights[self.place] * torch.outer(weight_bits, activation_bits)).flatten())


class OpenEdge(nn.Module):
    """An edge with all its candidates: (N, C, H, W) -> (N, C, H / stride, W / stride).

    Args:
        space: Gives the bit widths.
        options: Of the supernet.
        candidates: Their names, `none` among them.
        channels: C.
        stride: 1 or 2.
        precision: Of what is no choice.
    """

    def __init__(
        self,
        space: CellSpace,
        options: SupernetOptions,
        candidates: Sequence[str],
        channels: int,
        stride: int,
        precision: Precision,
    ) -> None:
        super().__init__()
        self.partial, width = options.partial, channels // options.partial
        branches: list[Family | Separate] = []
        families: dict[str, list[int]] = {}
        for place, name in enumerate(candidates):
            if options.shared and has_convolution(name):
                families.setdefault(name[:3], []).append(place)
            elif name != "none":
                branches.append(Separate(space, name, place, width, stride, precision))
        for places in families.values():
            names = [candidates[place] for place in places]
            branches.append(Family(space, options, width, names, places, stride))
        self.branches = nn.ModuleList(branches)
        self.sum = WeightedSum(sum(branch.count_of_outputs for branch in branches), options.scaling)
        self.pool = nn.MaxPool2d(2, ceil_mode=True) if stride == 2 else nn.Identity()

    def forward(self, x: Tensor, drawn: Sequence[Tensor], chances: Sequence[Tensor]) -> Tensor:
        """The weighted sum; `none` adds nothing.

        Args:
            x: (N, C, H, W).
            drawn: Weights of the candidates, of the widths of weights, and of those of activations.
            chances: The probabilities that they were drawn with.
        """
        width = x.shape[1] // self.partial
        outputs, shares, drawn_with = [], [], []
        for branch in self.branches:
            outputs += branch.outputs(x[:, :width], *drawn)  # type: ignore[operator]
            shares += branch.shares(*drawn)  # type: ignore[operator]
            drawn_with += branch.shares(*chances)  # type: ignore[operator]
        y: Tensor = self.sum(outputs, torch.stack(shares), torch.stack(drawn_with))
        if self.partial == 1:
            return y
        return _shuffled(torch.cat([y, self.pool(x[:, width:])], dim=1), self.partial)


def _shuffled(x: Tensor, groups: int) -> Tensor:
    """Channels of the groups by turns, so that other ones go through the candidates of the next edge."""
    count, channels, height, width = x.shape
    return x.view(count, groups, channels // groups, height, width).transpose(1, 2).reshape(x.shape)

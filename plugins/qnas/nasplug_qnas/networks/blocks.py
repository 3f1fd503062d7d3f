"""Layers of a Q-NAS chain, for feature maps (B, C, H, W).

Batch normalisation keeps 0.99 of its running statistics per step, which PyTorch calls a momentum of 0.01, and uses
eps = 2e-5; a chain may change the first.
Source: Szwarcman et al., Applied Soft Computing 120:108674, 2022, and the released code.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BN_MOMENTUM = 0.01
BN_EPS = 2e-5


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with the constants of Q-NAS."""
    return nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)


class SameConv2d(nn.Conv2d):
    """Square convolution whose output measures ceil(input / stride), as TensorFlow's `SAME` padding gives it.

    When the total padding is odd (an even kernel, or some strides) the extra row and column go to the bottom right.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        kernel: Side of the window.
        stride: Step of the window.
        bias: Whether a bias is added.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, bias: bool = True) -> None:
        self.symmetric = stride == 1 and kernel % 2 == 1
        padding = kernel // 2 if self.symmetric else 0
        super().__init__(in_channels, out_channels, kernel, stride, padding, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves (B, C, H, W) to (B, out_channels, ceil(H / stride), ceil(W / stride))."""
        if not self.symmetric:
            (top, bottom), (left, right) = (self._pads(size) for size in x.shape[2:])
            x = F.pad(x, (left, right, top, bottom))
        return super().forward(x)

    def _pads(self, size: int) -> tuple[int, int]:
        kernel, stride = self.kernel_size[0], self.stride[0]
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2


class ConvBlock(nn.Sequential):
    """Convolution with bias, batch normalisation, ReLU: (B, C, H, W) -> (B, filters, H / stride, W / stride)."""

    def __init__(self, in_channels: int, filters: int, kernel: int, stride: int = 1) -> None:
        super().__init__(SameConv2d(in_channels, filters, kernel, stride), batch_norm(filters), nn.ReLU(inplace=True))
        self.out_channels = filters


class _Residual(nn.Module):
    """conv - BN - ReLU - conv - BN, plus a shortcut, then ReLU; the convolutions have no bias."""

    def __init__(self, in_channels: int, filters: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            SameConv2d(in_channels, filters, kernel, stride, bias=False),
            batch_norm(filters),
            nn.ReLU(inplace=True),
            SameConv2d(filters, filters, kernel, bias=False),
            batch_norm(filters),
        )


class ResidualV1(_Residual):
    """Residual block with a parameter-free shortcut: (B, C, H, W) -> (B, max(C, filters), H, W).

    Of branch and input, the one with fewer channels gets zero channels on both sides, the odd one at the end.

    Raises:
        ValueError: If `stride` is not 1; the unchanged input would not fit the branch.
    """

    def __init__(self, in_channels: int, filters: int, kernel: int, stride: int = 1) -> None:
        if stride != 1:
            raise ValueError(f"ResidualV1 adds the unchanged input, so its stride must be 1, got {stride}.")
        super().__init__(in_channels, filters, kernel, stride)
        self.out_channels = max(in_channels, filters)

    def forward(self, x: Tensor) -> Tensor:
        """Applies the block to (B, C, H, W)."""
        return F.relu(self._widened(self.branch(x)) + self._widened(x))

    def _widened(self, x: Tensor) -> Tensor:
        missing = self.out_channels - x.shape[1]
        return F.pad(x, (0, 0, 0, 0, missing // 2, missing - missing // 2)) if missing else x


class ResidualV1Pr(_Residual):
    """Residual block with a projected shortcut: (B, C, H, W) -> (B, filters, H / stride, W / stride).

    The 1 x 1 projection and its batch normalisation are always there, also when the shapes agree. It takes the
    stride of the branch; in the released code it has none, which limits that code to stride 1.
    """

    def __init__(self, in_channels: int, filters: int, kernel: int, stride: int = 1) -> None:
        super().__init__(in_channels, filters, kernel, stride)
        self.shortcut = nn.Sequential(SameConv2d(in_channels, filters, 1, stride, bias=False), batch_norm(filters))
        self.out_channels = filters

    def forward(self, x: Tensor) -> Tensor:
        """Applies the block to (B, C, H, W)."""
        return F.relu(self.branch(x) + self.shortcut(x))


@torch.no_grad()
def he_initialise(network: nn.Module, he_bias: bool = False) -> None:
    """Draws all kernels from N(0, 2 / fan_in) (He et al., ICCV 2015), from torch's random state.

    Args:
        network: Changed in place; convolutions and linear layers are drawn, batch normalisation is left alone.
        he_bias: Draw biases from N(0, 2 / length) too, as the released code of Q-NAS does; otherwise they are 0.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is None:
                continue
            if he_bias:
                module.bias.normal_(0.0, (2.0 / module.bias.numel()) ** 0.5)
            else:
                module.bias.zero_()

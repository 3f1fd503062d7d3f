"""Layers without weights to multiply, computed so that equal numbers give equal results wherever they stand.

A fused kernel may round a number differently in the vectorised body of a loop and in its tail, and a sum depends on its
order. Here every number goes through the same few operations, each rounded once as IEEE 754 says, and means are taken
in double precision. This makes inference repeat exactly, in another batch, in the folded network and in onnxruntime.
"""

from __future__ import annotations

import copy
import sys

import torch
from torch import Tensor, nn


class ExactBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that is one product and one sum in inference."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W)."""
        if self.training or self.running_mean is None or input.device.type == "meta":
            return super().forward(input)
        scale, shift = self.affine_map()
        return input * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)

    def affine_map(self) -> tuple[Tensor, Tensor]:
        """Scale and shift (C,) of inference."""
        assert self.running_mean is not None
        assert self.running_var is not None
        scale = torch.rsqrt(self.running_var + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        shift = -self.running_mean * scale
        return scale, shift if self.bias is None else shift + self.bias

    @classmethod
    def of(cls, layer: nn.BatchNorm2d) -> ExactBatchNorm2d:
        """Takes over the parameters and buffers, not copies of them, of a normalisation."""
        made = cls(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
        made.weight, made.bias = layer.weight, layer.bias
        made.running_mean, made.running_var = layer.running_mean, layer.running_var
        made.num_batches_tracked = layer.num_batches_tracked
        return made.train(layer.training)


class ExactAvgPool(nn.Module):
    """A pool of means, summed in double precision in inference.

    Args:
        pool: The pool, such as `torch.nn.AdaptiveAvgPool2d`; it must keep the type of its input.
    """

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W)."""
        if self.training or input.device.type == "meta":
            pooled: Tensor = self.pool(input)
            return pooled
        return self.pool(input.double()).to(input.dtype)  # type: ignore[no-any-return]


class ExactBatchNormAct2d(ExactBatchNorm2d):
    """The same for timm's normalisation that has an activation function in it."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W)."""
        result: Tensor = self.act(self.drop(super().forward(input)))
        return result


def exact_form(module: nn.Module) -> nn.Module:
    """Returns the form of a module whose inference repeats exactly, with the same parameters, or the module itself."""
    if type(module) is nn.BatchNorm2d:
        return ExactBatchNorm2d.of(module)
    if type(module) in (nn.AdaptiveAvgPool2d, nn.AvgPool2d) or is_timm(
        module, "adaptive_avgmax_pool.FastAdaptiveAvgPool"
    ):
        return ExactAvgPool(module)
    if isinstance(module, nn.BatchNorm2d) and is_timm(module, "norm_act.BatchNormAct2d"):
        made = ExactBatchNormAct2d.of(module)
        assert isinstance(made, ExactBatchNormAct2d)
        made.drop, made.act = module.drop, module.act  # type: ignore[assignment]
        return made
    return module


def is_timm(module: nn.Module, path: str) -> bool:
    """Whether it is this very class of timm, which cannot be unless timm is imported already."""
    home, _, name = path.rpartition(".")
    found = sys.modules.get(f"timm.layers.{home}")
    return found is not None and type(module) is getattr(found, name, None)


def exact_network(network: nn.Module) -> nn.Module:
    """A copy of a network whose normalisation and average pools have their exact forms, as `quantise` gives them.

    Networks that were built from quantised layers by hand fold further, and into ONNX with equal results, behind this.

    Args:
        network: Network; not changed.
    """
    copied = copy.deepcopy(network)
    for name, module in list(copied.named_modules(remove_duplicate=False)):
        parent, _, last = name.rpartition(".")
        form = exact_form(module)
        if form is module:
            continue
        if not name:
            return form
        setattr(copied.get_submodule(parent), last, form)
    return copied

"""Convolutional and linear layers with quantised inputs and weights."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasplug.contract.errors import TaskError
from nasplug_darts_lp.layers.precision import Precision
from nasplug_darts_lp.layers.recognition import pad_same, recognise
from nasplug_darts_lp.quantisers import ActivationQuantiser, WeightQuantiser, activation_quantiser, weight_quantiser
from nasplug_darts_lp.quantisers.base import per_channel

#: Whole numbers up to here are exact in float32, and so are their sums.
EXACT_FLOAT32 = 2**24
#: Precision of a layer for which none is given.
DEFAULT = Precision()

Layer = TypeVar("Layer", "QuantConv2d", "QuantLinear")


class _Quantised:
    """What both layers share.

    Training works on the quantised floating-point values. Inference works on the integers that stand for them:
    their products and sums are exact, whatever the order, and the result is scaled once per output channel,

        output = (unit * scale_o) * accumulator + bias_o,

    so that a number of the output depends on its accumulator alone. Folding rests on this.
    """

    weight: Tensor
    bias: Any  # Tensor or None, which torch says of convolutions and not of linear layers
    training: bool
    weight_density: float
    input_density: float
    input_quantiser: ActivationQuantiser | None
    weight_quantiser: WeightQuantiser | None

    @property
    def weight_bits(self) -> int | None:
        """Bits of the weights; None for floating point."""
        return None if self.weight_quantiser is None else self.weight_quantiser.bits

    @property
    def input_bits(self) -> int | None:
        """Bits of the input; None for floating point."""
        return None if self.input_quantiser is None else self.input_quantiser.bits

    @property
    def integer(self) -> bool:
        """Whether it computes with integers in inference."""
        quantisers = (self.input_quantiser, self.weight_quantiser)
        return all(quantiser is not None and quantiser.enabled for quantiser in quantisers)

    @property
    def accumulator_bound(self) -> int:
        """No accumulator, and no partial sum of one, is larger in magnitude."""
        assert self.input_quantiser is not None
        assert self.weight_quantiser is not None
        return self.weight[0].numel() * self.input_quantiser.largest * self.weight_quantiser.largest

    def exact_type(self) -> torch.dtype:
        """The floating-point type in which all sums are exact."""
        return torch.float32 if self.accumulator_bound < EXACT_FLOAT32 else torch.float64

    def _quantise(self, precision: Precision, inputs: int, outputs: int) -> None:
        self.weight_density = self.input_density = 1.0
        weight_bits, input_bits, options = precision.weight_bits, precision.activation_bits, precision.options
        self.input_quantiser = (
            None if input_bits is None else activation_quantiser(precision.activations, input_bits, inputs, **options)
        )
        self.weight_quantiser = (
            None if weight_bits is None else weight_quantiser(precision.weights, weight_bits, outputs)
        )

    def extra_repr(self) -> str:
        """What is printed, and what tells costs that something has changed."""
        return f"{super().extra_repr()}, density={self.weight_density:.4g}/{self.input_density:.4g}"  # type: ignore[misc]

    def product(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The layer of torch with these operands."""
        raise NotImplementedError

    def _run(self, inputs: Tensor) -> Tensor:
        """The layer on (N, C, ...)."""
        if inputs.device.type == "meta":
            return self.product(inputs, self.weight, self.bias)
        if self.training or not self.integer:
            if self.input_quantiser is not None:
                inputs = self.input_quantiser(inputs)
            weight = self.weight if self.weight_quantiser is None else self.weight_quantiser(self.weight)
            return self.product(inputs, weight, self.bias)
        _, sums, scale = self.accumulate(inputs)
        return rescaled(sums, scale, self.bias).to(inputs.dtype)

    def accumulate(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What inference computes: codes of the inputs, their exact sums, and the scale (O,) of these.

        Args:
            inputs: (N, C, ...).
        """
        assert self.input_quantiser is not None
        assert self.weight_quantiser is not None
        codes = self.input_quantiser.codes(inputs)
        numbers, scale = self.weight_quantiser.integers(self.weight)
        exact = self.exact_type()
        # Some algorithms of convolution transform their operands and come out beside an integer.
        sums = self.product(codes.numbers.to(exact), numbers.to(exact), None).round()
        return codes.numbers, sums, codes.unit * scale


class QuantConv2d(_Quantised, nn.Conv2d):
    """A convolution with quantised input and weights.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias: Arguments of `torch.nn.Conv2d`.
        precision: Bits and quantisers of weights and input.
        pad_same: Padding so that the output measures ceil(input / stride), as in TensorFlow, instead of `padding`.
        device: Device of weight and bias; quantisers are made on the CPU, and `to` moves all.

    Attributes:
        pad_same: Padding mode, as given.
        weight_bits, input_bits: Bits that a workload reads; None for floating point.
        weight_density, input_density: Shares of numbers that are not zero; 1 until `measure_densities` sets them.

    Raises:
        SpecError: Bits out of range, or an unknown option.
        UnknownNameError: An unknown kind.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        precision: Precision = DEFAULT,
        pad_same: bool = False,
        device: Any = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, device=device)
        self.pad_same = pad_same
        self._quantise(precision, in_channels, out_channels)

    @classmethod
    def of(cls, layer: nn.Conv2d, precision: Precision = DEFAULT) -> QuantConv2d:
        """Takes over the shape and the weights, not copies of them, of a convolution.

        Args:
            layer: Convolution to quantise.
            precision: Bits and quantisers.

        Raises:
            TaskError: It computes something else than a convolution padded with zeros.
        """
        kind = recognise(layer)
        if kind is None:
            raise TaskError(f"expected a convolution padded with zeros, got a {type(layer).__name__}", where="darts_lp")
        made = cls(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            layer.padding,  # type: ignore[arg-type]
            layer.dilation,  # type: ignore[arg-type]
            layer.groups,
            layer.bias is not None,
            pad_same=kind == "same",
            precision=precision,
            device="meta",  # weights that are thrown away need no numbers
        )
        return _taken_over(made, layer)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) to (N, O, H', W')."""
        return self._run(input)

    def product(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution with this layer's stride, padding, dilation and groups."""
        padding: str | tuple[int, ...] | int = self.padding
        if self.pad_same:
            inputs, padding = pad_same(inputs, self), 0
        return functional.conv2d(inputs, weight, bias, self.stride, padding, self.dilation, self.groups)


class QuantLinear(_Quantised, nn.Linear):
    """A linear layer with quantised input and weights.

    Args:
        in_features, out_features, bias: Arguments of `torch.nn.Linear`.
        precision, device: Precision and device as for `QuantConv2d`.

    Attributes:
        weight_bits, input_bits, weight_density, input_density: The same as for `QuantConv2d`.

    Raises:
        SpecError: Bits out of range, or an unknown option.
        UnknownNameError: An unknown kind.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        precision: Precision = DEFAULT,
        device: Any = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device=device)
        self._quantise(precision, in_features, out_features)

    @classmethod
    def of(cls, layer: nn.Linear, precision: Precision = DEFAULT) -> QuantLinear:
        """Takes over the shape and the weights, not copies of them, of a linear layer."""
        made = cls(layer.in_features, layer.out_features, layer.bias is not None, precision=precision, device="meta")
        return _taken_over(made, layer)

    def forward(self, input: Tensor) -> Tensor:
        """(N, F) or (N, ..., F) to (N, O) or (N, ..., O)."""
        if input.dim() == 2 or input.device.type == "meta":
            return self._run(input)
        outputs = self._run(input.flatten(0, -2))
        return outputs.reshape(*input.shape[:-1], self.out_features)

    def product(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The linear layer with these operands."""
        return functional.linear(inputs, weight, bias)


def rescaled(sums: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """Accumulators as values: one product and one sum per number, each rounded once.

    Args:
        sums: Integers (N, O, ...) of any type.
        scale: Scale (O,).
        bias: Bias (O,), or None.
    """
    values = sums.to(torch.float32) * per_channel(scale, sums)
    return values if bias is None else values + per_channel(bias, sums)


def _taken_over(made: Layer, layer: nn.Module) -> Layer:
    made.weight, made.bias = layer.weight, layer.bias  # type: ignore[assignment]
    made.to(made.weight.device)
    made.train(layer.training)
    return made

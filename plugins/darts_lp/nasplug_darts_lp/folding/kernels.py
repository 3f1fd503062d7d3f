"""A folded network for the integer kernels of runtimes: QuantizeLinear and DequantizeLinear around convolutions.

The exact form of a folded network compares accumulators with thresholds or with a line and its exceptions, which no
runtime has a kernel for. Here, a convolution whose sums are only requantised keeps the line and drops the exceptions,
and its offset becomes an integer in units of the sums, as ONNX asks of a bias. Two lines that differ by half a sum at
most give codes that differ by one at most, and only where the sum is next to a threshold or an exception. All else is
as in the exact network, computed by faster operators where these give the same numbers: a convolution with few products
runs in floating point on integers, and evenly spaced thresholds on values are one QuantizeLinear, which may differ from
comparisons by one code where a value lies on a threshold up to rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from nasplug.contract.errors import SpecError
from nasplug_darts_lp.folding.fold import FoldedNetwork
from nasplug_darts_lp.folding.kernel_operators import LARGEST, add_requantised, between, conv_requantised, quantize
from nasplug_darts_lp.folding.modules import (
    WEIGHT_ZERO,
    EvenThresholds,
    IntegerConv2d,
    Requantise,
    Rescale,
    Thresholds,
)
from nasplug_darts_lp.folding.sums import IntegerAdd
from nasplug_darts_lp.layers.quantised import EXACT_FLOAT32
from nasplug_darts_lp.quantisers.base import per_channel

#: Fewer thresholds than these are compared as they are.
FEWEST = 15
#: A distance from an integer, in codes, that is taken for rounding.
_ROUNDING = 1e-3


class QdqConv2d(nn.Module):
    """A convolution from codes to codes, in the form that runtimes have an integer kernel for.

    Args:
        product: The convolution.
        line: Codes of its sums.
        out_zero: Code of the outputs that stands for 0 in the layer that reads them.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, product: IntegerConv2d, line: Requantise, out_zero: int) -> None:
        super().__init__()
        numbers = product.weight.to(torch.int16) - WEIGHT_ZERO
        lines, offset = _straight(line)
        flat = lines == 0
        slope = torch.where(flat, 1.0, lines)
        sign = torch.where(flat, 0, torch.sign(slope)).to(torch.int16)
        factor = float(line.factor)
        bias = torch.where(flat, 0.0, (factor * (offset - 0.5) - out_zero) / (factor * slope.abs())).round()
        self.register_buffer("weight", (numbers * sign.view(-1, 1, 1, 1)).to(torch.int8))
        self.register_buffer("scale", (factor * slope.abs()).to(torch.float32))
        self.register_buffer("bias", bias.to(torch.int32))
        low, high = ((line.factor * end).to(torch.uint8) for end in (line.low, line.high))
        self.register_buffer("low", _one_if_equal(low))
        self.register_buffer("high", _one_if_equal(high))
        self.limited = bool((low > 0).any() or (high < LARGEST).any())
        self.arguments = (product.zero, out_zero, product.stride, product.padding, product.dilation, product.groups)

    @classmethod
    def fits(cls, line: Requantise) -> bool:
        """Whether codes are levels, and 32 bits hold the bias of every channel."""
        steep = line.slope[line.slope != 0].abs()
        offsets = (line.offset.abs() + LARGEST)[line.slope != 0]
        return line.factor == 1 and bool((offsets < steep * 2.0**30).all())

    def codes_of(self, sums: Tensor) -> Tensor:
        """The codes of sums (N, O) of products of this layer's weights, as the kernel rounds them."""
        values = (sums + self.bias).to(torch.float32) * self.scale
        found = torch.round(values) + self.arguments[1]
        return found.clamp(self.low, self.high)

    @torch.no_grad()
    def deviation(self, line: Requantise) -> int:
        """The largest difference of its codes from those of `line`, over all sums; both are monotone between steps."""
        slope = torch.where(line.slope == 0, 1.0, line.slope)
        steps = torch.arange(line.steps + 1)[:, None]
        near = [((steps - line.offset) / slope).floor().clamp(-(2.0**30), 2.0**30) + shift for shift in (-1, 0, 1, 2)]
        sums = torch.cat([*near, line.at.t()]).to(torch.int32)
        if line.bent is not None and line.channels is not None:
            signs = 1 if line.bent.signs is None else line.bent.signs[:, None]
            channels = line.channels.long()
            may = torch.arange(line.steps) < line.high[channels][:, None]  # the others are beyond all sums
            reached = torch.where(may, line.bent.thresholds, 0) * signs
            bent = sums[:1].repeat(2 * reached.shape[1], 1)
            bent[:, channels] = torch.cat([reached, torch.where(may, reached - signs, 0)], 1).t().to(torch.int32)
            sums = torch.cat([sums, bent])
        sign = torch.where(_straight(line)[0] < 0, -1, 1)
        found = self.codes_of(sums * sign)
        return int((found - line(sums).to(torch.float32)).abs().max())

    def forward(self, codes: Tensor) -> Tensor:
        """(N, C, H, W) to (N, O, H', W'), both uint8."""
        found: Tensor = conv_requantised(codes, self.weight, self.scale, self.bias, *self.arguments)
        limited: Tensor = between(found, self.low, self.high) if self.limited else found
        return limited


class FloatProduct(nn.Module):
    """A convolution of integers in floating point, exact because no sum is large; what depthwise ones run fastest as.

    Args:
        product: The convolution.
    """

    weight: Tensor

    def __init__(self, product: IntegerConv2d) -> None:
        super().__init__()
        self.register_buffer("weight", (product.weight.to(torch.int16) - WEIGHT_ZERO).to(torch.int8))
        self.zero, self.groups = product.zero, product.groups
        self.stride, self.padding, self.dilation = product.stride, product.padding, product.dilation

    @classmethod
    def fits(cls, product: IntegerConv2d) -> bool:
        """Whether single precision holds all sums of integers."""
        numbers = (product.weight.to(torch.int64) - WEIGHT_ZERO).abs().flatten(1).sum(1)
        return int(numbers.max()) * LARGEST < EXACT_FLOAT32

    def forward(self, codes: Tensor) -> Tensor:
        """(N, C, H, W) of type uint8 to integers (N, O, H', W') of type float32."""
        values, padding = _values(codes, self.zero, self.padding)
        weight = self.weight.to(torch.float32)
        return functional.conv2d(values, weight, None, self.stride, padding, self.dilation, self.groups)


class FloatConv2d(nn.Module):
    """A convolution of integers to values in floating point, with the scales and shifts behind it as its own.

    Its weights are stored as bytes: a runtime multiplies them by their scales once, when it loads the network. Sums of
    scaled products differ from scaled sums by rounding.

    Args:
        product: The convolution.
        scale: (O,), float32, factor of its sums.
        bias: (O,), float32, what is added to them.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, product: IntegerConv2d, scale: Tensor, bias: Tensor) -> None:
        super().__init__()
        numbers = product.weight.to(torch.int16) - WEIGHT_ZERO
        self.stride, self.dilation, self.groups = product.stride, product.dilation, product.groups
        self.padding, self.zero = product.padding, product.zero
        if self.zero and not any(self.padding):  # no position holds the code of 0 but those of the image
            bias, self.zero = bias - self.zero * scale * numbers.flatten(1).sum(1), 0
        self.register_buffer("weight", numbers.to(torch.int8))
        self.register_buffer("scale", scale.to(torch.float32).view(-1, 1, 1, 1))
        self.register_buffer("bias", bias.to(torch.float32))

    def forward(self, codes: Tensor) -> Tensor:
        """(N, C, H, W) of type uint8 to (N, O, H', W') of type float32."""
        values, padding = _values(codes, self.zero, self.padding)
        weight = self.weight.to(torch.float32) * self.scale
        return functional.conv2d(values, weight, self.bias, self.stride, padding, self.dilation, self.groups)


class QdqAdd(nn.Module):
    """An addition from codes to codes, in the form that runtimes have an integer kernel for; a code may differ by one.

    Args:
        added: The addition in whole numbers.
    """

    def __init__(self, added: IntegerAdd) -> None:
        super().__init__()
        dyadic = added.factor / 2.0**added.shift
        self.scales = [factor * dyadic for factor in added.factors]
        self.zeros, self.out_zero = added.zeros, added.out_zero

    @classmethod
    def fits(cls, added: IntegerAdd) -> bool:
        """Whether codes have 8 bits, as those of runtimes, and both branches count."""
        return added.steps == LARGEST and all(factor > 0 for factor in added.factors)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two maps (N, C, ...) of type uint8 to one of the same shape and type."""
        found: Tensor = add_requantised(first, second, self.scales, self.zeros, self.out_zero)
        return found


class QuantizeValues(nn.Module):
    """Codes of values by QuantizeLinear, in place of comparisons with evenly spaced thresholds.

    Args:
        thresholds: (C, 2^bits - 1) or (1, 2^bits - 1), float32, ascending, evenly spaced in every row.
    """

    gain: Tensor | None
    shift: Tensor | None
    high: Tensor

    def __init__(self, thresholds: Tensor) -> None:
        super().__init__()
        rows = thresholds.double()
        steps = rows.shape[1]
        spacing = (rows[:, -1] - rows[:, 0]) / (steps - 1)
        offset = 0.5 - rows[:, 0] / spacing  # a value v has the code round(v / spacing + offset)
        self.zero = int(offset.round().clamp(0, steps).median())
        shared = bool((spacing == spacing[0]).all())
        self.scale = float(spacing[0]) if shared else 1.0
        rest = offset - self.zero
        shift = None if bool((rest.abs() < _ROUNDING).all()) else (rest * self.scale).to(torch.float32)
        self.register_buffer("gain", None if shared else (1.0 / spacing).to(torch.float32))
        self.register_buffer("shift", shift)
        self.register_buffer("low", torch.zeros(1, dtype=torch.uint8))
        self.register_buffer("high", torch.full((1,), steps, dtype=torch.uint8))
        self.limited = steps < LARGEST

    @classmethod
    def fits(cls, thresholds: Tensor, factor: int) -> bool:
        """Whether these are thresholds on values, many, and on a line up to a thousandth of their distance."""
        steps = thresholds.shape[-1]
        if factor != 1 or steps < FEWEST or not thresholds.is_floating_point():
            return False
        rows = thresholds.double().reshape(-1, steps)
        spacing = (rows[:, -1:] - rows[:, :1]) / (steps - 1)
        even = rows[:, :1] + spacing * torch.arange(steps)
        return bool((spacing > 0).all() and ((rows - even).abs() <= _ROUNDING * spacing).all())

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, C, ...) of type float32 to uint8 of the same shape."""
        if self.gain is not None:
            inputs = inputs * per_channel(self.gain, inputs)
        if self.shift is not None:
            inputs = inputs + per_channel(self.shift, inputs)
        codes: Tensor = quantize(inputs, self.scale, self.zero)
        limited: Tensor = between(codes, self.low, self.high) if self.limited else codes
        return limited


def _values(codes: Tensor, zero: int, padding: Sequence[int]) -> tuple[Tensor, list[int]]:
    """What codes stand for, in steps, and the padding that is left to the convolution."""
    values = codes.to(torch.float32)
    if zero:
        values = values - float(zero)
    top, left, bottom, right = padding
    if (top, left) == (bottom, right):
        return values, [top, left]
    return functional.pad(values, (left, right, top, bottom)), [0, 0]


def _straight(line: Requantise) -> tuple[Tensor, Tensor]:
    """Slopes and offsets (O,), for bent channels those of the line between their first and their last threshold."""
    slope, offset = line.slope.clone(), line.offset.clone()
    if line.bent is None or line.channels is None:
        return slope, offset
    signs = line.bent.signs if line.bent.signs is not None else torch.ones(len(line.channels), dtype=torch.int32)
    for row, channel in enumerate(line.channels.tolist()):
        low, high = int(line.low[channel]), int(line.high[channel])
        if high - low < 2:
            continue
        reached = line.bent.thresholds[row, low:high].double()
        steep = (high - low - 1) / float(reached[-1] - reached[0]) if reached[-1] > reached[0] else 0.0
        if steep:
            # A level i is reached from the sum T on: floor(T m + b) is i, best with T half a sum later.
            rest = torch.arange(low + 1, high + 1) - steep * (reached - 0.5)
            slope[channel], offset[channel] = float(signs[row]) * steep, float(rest.min() + rest.max()) / 2
    return slope, offset


def qdq(folded: FoldedNetwork) -> FoldedNetwork:
    """The form of a folded network that runtimes run with their integer kernels; the folded one is not touched.

    Args:
        folded: Network that `fold` gave.

    Raises:
        SpecError: Nothing in it has such a form, as with fewer than 4 bits.
    """
    module = copy.deepcopy(folded.body)
    modules: dict[str, nn.Module] = dict(module.named_modules(remove_duplicate=False))
    changed = 0
    for node in list(module.graph.nodes):
        part = _module(node, modules)
        form: nn.Module | None = None
        if isinstance(part, IntegerConv2d):
            changed += _requantised(module, node, part, modules)
            if _alive(node) and FloatProduct.fits(part) and all(_takes_floats(user, modules) for user in node.users):
                form = None if _in_floats(module, node, part, modules) else FloatProduct(part)
        elif isinstance(part, EvenThresholds) and QuantizeValues.fits(part.thresholds, part.factor):
            form = QuantizeValues(part.thresholds[None])
        elif isinstance(part, Thresholds) and QuantizeValues.fits(part.thresholds, part.factor):
            form = QuantizeValues(part.thresholds)
        elif isinstance(part, IntegerAdd) and QdqAdd.fits(part):
            form = QdqAdd(part)
        if form is not None:
            module.add_submodule(str(node.target), form)
            changed += isinstance(form, (QuantizeValues, QdqAdd))
    if not changed:
        raise SpecError(
            "no layer of this network has a form with QuantizeLinear",
            where="qdq",
            why="its layers have fewer than 4 bits, or thresholds that are not evenly spaced",
            fix="write the exact network: export_onnx(folded, path)",
        )
    module.graph.eliminate_dead_code()
    module.graph.lint()
    module.delete_all_unused_submodules()
    module.recompile()
    return FoldedNetwork(module, folded.input_shape, {})


def _requantised(module: fx.GraphModule, node: fx.Node, product: IntegerConv2d, modules: dict[str, nn.Module]) -> int:
    """Exchanges a convolution and the only one that reads its sums, where that requantises them."""
    users = list(node.users)
    line = _module(users[0], modules) if len(users) == 1 else None
    if not isinstance(line, Requantise) or not QdqConv2d.fits(line):
        return 0
    zero = _zero_of_readers(users[0], modules)
    if zero is None:
        return 0
    made = QdqConv2d(product, line, zero)
    if made.deviation(line) > 1:
        return 0
    name = f"{node.target}_qdq"
    module.add_submodule(name, made)
    with module.graph.inserting_before(node):
        found = module.graph.call_module(name, (node.args[0],))
    users[0].replace_all_uses_with(found)
    module.graph.erase_node(users[0])
    module.graph.erase_node(node)
    return 1


def _in_floats(module: fx.GraphModule, node: fx.Node, product: IntegerConv2d, modules: dict[str, nn.Module]) -> bool:
    """Exchanges a convolution and the scales and shifts that follow it, one after the other, for one in floats."""
    scale, bias = torch.ones(len(product.weight)), torch.zeros(len(product.weight))
    chain = [node]
    while len(chain[-1].users) == 1 and _takes_floats(following := next(iter(chain[-1].users)), modules):
        rescale = _module(following, modules)
        assert isinstance(rescale, Rescale)
        scale, bias = scale * rescale.scale, bias * rescale.scale
        bias = bias if rescale.bias is None else bias + rescale.bias
        chain.append(following)
    if len(chain) == 1:
        return False
    name = f"{node.target}_floats"
    module.add_submodule(name, FloatConv2d(product, scale, bias))
    with module.graph.inserting_before(node):
        found = module.graph.call_module(name, (node.args[0],))
    chain[-1].replace_all_uses_with(found)
    for old in reversed(chain):
        module.graph.erase_node(old)
    return True


def _zero_of_readers(node: fx.Node, modules: dict[str, nn.Module]) -> int | None:
    """The code that stands for 0 in the products that read codes, through pools; None if they do not say."""
    found: set[int] = set()
    for user in node.users:
        part = _module(user, modules)
        zero = getattr(part, "zero", None)
        if isinstance(part, (IntegerAdd, QdqAdd)):
            both = {own for source, own in zip(user.args, part.zeros, strict=True) if source is node}
            zero = both.pop() if len(both) == 1 else None
        if zero is None:
            zero = _zero_of_readers(user, modules) if part is not None else None
        if zero is None:
            return None
        found.add(int(zero))
    return found.pop() if len(found) == 1 else None


def _module(node: fx.Node, modules: dict[str, nn.Module]) -> nn.Module | None:
    return modules.get(str(node.target)) if node.op == "call_module" else None


def _alive(node: fx.Node) -> bool:
    return bool(node.users)


def _takes_floats(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    return isinstance(_module(node, modules), Rescale)


def _one_if_equal(values: Tensor) -> Tensor:
    return values[:1].clone() if bool((values == values[:1]).all()) else values

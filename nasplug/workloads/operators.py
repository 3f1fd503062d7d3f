"""What each operator of torch means for hardware: a row, a part of the row before it, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from nasplug.workloads import convolutions
from nasplug.workloads.builder import INPUT, Column
from nasplug.workloads.convolutions import READ, WRITTEN, image

if TYPE_CHECKING:
    from nasplug.workloads.extract import _Recorder

#: Another view of the same numbers, or a copy of them: no work.
VIEWS = (
    *("view", "reshape", "_unsafe_view", "_reshape_alias", "permute", "transpose", "t", "squeeze", "unsqueeze"),
    *("expand", "slice", "select", "as_strided", "alias", "detach", "clone", "contiguous", "_to_copy", "flatten"),
    *("unflatten", "split", "split_with_sizes", "chunk", "unbind", "dropout", "native_dropout", "lift_fresh", "copy"),
    *("narrow", "movedim", "roll", "flip", "channel_shuffle", "pixel_shuffle", "pixel_unshuffle", "view_as"),
    *("constant_pad_nd", "repeat", "index", "swapaxes", "im2col", "unfold"),
    *(f"{kind}_pad{dimensions}d" for kind in ("reflection", "replication") for dimensions in (1, 2, 3)),
    "as_strided_",
)
#: New tensors that only take a shape from their argument.
CONSTANTS = frozenset(
    ("zeros_like", "ones_like", "empty_like", "full_like", "new_zeros", "new_ones", "new_full", "new_empty")
)
#: What multiplies and accumulates.
PRODUCTS = (
    *("mm", "addmm", "bmm", "baddbmm", "_int_mm"),
    *("convolution", "_convolution", "convolution_overrideable", "cudnn_convolution"),
)
#: Activation functions, by the name they have in a row's `post`.
ACTIVATIONS = {
    **{name: name for name in ("relu", "hardswish", "silu", "gelu", "sigmoid", "tanh", "hardsigmoid", "elu", "celu")},
    **{name: name for name in ("selu", "leaky_relu", "mish", "softplus", "prelu", "clamp", "hardtanh")},
    "clamp_min": "relu",
    "_prelu_kernel": "prelu",
}


@dataclass(frozen=True)
class Call:
    """One dispatched operator.

    Attributes:
        recorder: Recorder that collects the rows.
        operator: Name without namespace and overload.
        args, kwargs: Arguments of the call.
        outputs: Tensors it returned.
        sources: Rows that wrote its inputs, in order, with repetitions.
    """

    recorder: _Recorder
    operator: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: list[Tensor]
    sources: list[int]

    def arg(self, position: int, name: str, default: Any = None) -> Any:
        """An argument by position or name."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)

    def row(self, operation: str, sources: list[int] | None = None, **columns: Column) -> int:
        """Adds a row with the shapes of the first input and output, unless given."""
        shapes = image(self._first().shape, READ) | image(self.outputs[0].shape, WRITTEN)
        stated = {k: v for k, v in self.recorder.stated().items() if operation in ("conv", "fc") or "weight" not in k}
        return self.recorder.builder.row(
            operation,
            self.sources if sources is None else sources,
            self.recorder.name(self.operator),
            **(shapes | stated | columns),
        )

    def of_input(self) -> dict[str, int]:
        """Shapes of a row that reads an input of the network: of that input, as there may be several."""
        if self.sources[0] != INPUT:
            return {}
        return image(self._first().shape, READ) | image(self.outputs[0].shape, WRITTEN)

    def _first(self) -> Tensor:
        """The first input that a row wrote."""
        for value in [*self.args, *self.kwargs.values()]:
            for item in value if isinstance(value, (list, tuple)) else [value]:
                if self.recorder.row_of(item) is not None:
                    found: Tensor = item
                    return found
        raise AssertionError(self.operator)


def _pass(call: Call) -> int:
    return call.sources[0]


def _conv(call: Call) -> int:
    value, weight, out = call.args[0], call.args[1], call.outputs[0]
    bias = call.arg(2, "bias") is not None
    stride, padding, dilation = call.args[3:6]
    density = call.recorder.density()
    stated = {"weight_density": density, "stored": call.recorder.holds(weight), **_own_density(call, density)}
    if call.args[6]:
        columns, spread = convolutions.transposed(value.shape, weight.shape, out.shape, call.args[8])
        row = call.row("conv", [call.sources[0]], **{**stated, **columns, "bias": bias and spread is None})
        return row if spread is None else call.row("add", [row], **spread, bias=bias)
    columns = convolutions.forward(
        value.shape,
        weight.shape,
        out.shape,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=call.args[8],
    )
    return call.row("conv", [call.sources[0]], **{**stated, **columns, "bias": bias})


def _own_density(call: Call, density: float) -> dict[str, float]:
    """Zeros that are there count beside what a module states."""
    return {"weight_density": min(density, float(call.recorder.stated().get("weight_density", 1.0)))}


def _product(call: Call) -> int:
    """mm, addmm, bmm, baddbmm, and integers': by a constant it is a linear layer."""
    bias = call.operator in ("addmm", "baddbmm")
    first, second = call.args[1:3] if bias else call.args[:2]
    return _pair_product(call, first, second, bias=bias)


def _summed(call: Call) -> int:
    """addbmm: the sum over the batch is part of the product."""
    left, right = call.args[1:3]
    first, second = left.movedim(0, 1).flatten(1, 2), right.flatten(0, 1)
    for view, value in ((first, left), (second, right)):
        if (row := call.recorder.row_of(value)) is not None:
            call.recorder.made(view, row)
    return _pair_product(call, first, second, bias=True)


def _by_vector(call: Call) -> int:
    """mv, addmv, dot: products with one column."""
    bias = call.operator == "addmv"
    matrix, vector = call.args[1:3] if bias else call.args[:2]
    rows = int(matrix.shape[0]) if matrix.dim() == 2 else 1
    return _pair_product(call, matrix, vector, bias=bias, sizes=(1, rows, int(vector.shape[0]), 1))


def _distances(call: Call) -> int:
    """Distances of (..., m, d) to (..., n, d)."""
    first, second = call.args[:2]
    sizes = (first.shape[:-2].numel(), int(first.shape[-2]), int(first.shape[-1]), int(second.shape[-2]))
    return _pair_product(call, first, second, bias=False, sizes=sizes)


def _trilinear(call: Call) -> int:
    """A bilinear layer: one input by the weights, and the results by the other input."""
    first, weight, second = call.args[:3]
    channels, inner, outer = (int(size) for size in weight.shape[-3:])
    samples = first.numel() // inner
    density = call.recorder.density()
    product = call.row(
        "fc",
        [call.sources[0]],
        **{"n": 1, "ci": inner, "hi": samples, "wi": 1, "co": channels * outer, "ho": samples, "wo": 1},
        stored=call.recorder.holds(weight),
        **_own_density(call, density),
    )
    other = call.recorder.row_of(second)
    shapes = {"n": samples, "ci": outer, "hi": channels, "wi": 1, "co": 1, "ho": channels, "wo": 1}
    return call.row("matmul", [product, call.sources[0] if other is None else other], **shapes)


def _attention(call: Call) -> int:
    """Fused attention: two products and the softmax between them."""
    query, key, value = call.args[:3]
    rows = [row if (row := call.recorder.row_of(part)) is not None else call.sources[0] for part in (query, key, value)]
    batch, tokens, keys = query.shape[:-2].numel(), int(query.shape[-2]), int(key.shape[-2])
    shapes = {"n": batch, "ci": int(query.shape[-1]), "hi": tokens, "wi": 1, "co": keys, "ho": tokens, "wo": 1}
    scores = call.row("matmul", rows[:2], **shapes)
    chances = call.row("softmax", [scores], **(shapes | {"ci": keys}))
    return call.row("matmul", [chances, rows[2]], **(shapes | {"ci": keys, "co": int(value.shape[-1])}))


def _pair_product(
    call: Call, first: Tensor, second: Tensor, *, bias: bool, sizes: tuple[int, int, int, int] | None = None
) -> int:
    """(m, k) by (k, n), once or for every matrix of a batch; `sizes` are the batch, m, k and n."""
    rows = [call.recorder.row_of(first), call.recorder.row_of(second)]
    batch = int(first.shape[0]) if first.dim() == 3 else 1
    batch, m, k, n = sizes or (batch, int(first.shape[-2]), int(first.shape[-1]), int(second.shape[-1]))
    if rows[0] is None:  # constants on the left: the transposed product
        m, n = n, m
    sources = [row for row in rows if row is not None]
    if len(sources) != 1:
        shapes = {"n": batch, "ci": k, "hi": m, "wi": 1, "co": n, "ho": m, "wo": 1}
        return call.row("matmul", sources or call.sources, **shapes)
    constant = first if rows[0] is None else second
    stated = {"stored": call.recorder.holds(constant), **_own_density(call, call.recorder.density())}
    if batch > 1 and constant.stride(0):  # every matrix of the batch has weights of its own
        shapes = {"n": 1, "ci": k * batch, "hi": m, "wi": 1, "co": n * batch, "ho": m, "wo": 1, "groups": batch}
        return call.row("conv", sources, **shapes, bias=bias, **stated)
    shapes = {"n": batch, "ci": k, "hi": m, "wi": 1, "co": n, "ho": m, "wo": 1}
    return call.row("fc", sources, **shapes, bias=bias, **stated)


def _activation(call: Call) -> int:
    operator = call.operator.rstrip("_")
    name = ACTIVATIONS[operator]
    if operator == "clamp":
        low, high = call.arg(1, "min"), call.arg(2, "max")
        name = "relu6" if (low, high) == (0, 6) else "relu" if low == 0 and high is None else "clamp"
    if operator == "hardtanh":
        name = "relu6" if (call.arg(1, "min_val"), call.arg(2, "max_val")) == (0, 6) else "clamp"
    return call.recorder.builder.activate(call.sources[0], name, call.recorder.name(call.operator), **call.of_input())


def _batch_norm(call: Call) -> int:
    """Batch normalisation with kept statistics is an affine map; with those of its input, as of instances, a norm."""
    if any(value is True for value in (call.arg(3, "training"), call.arg(5, "training"))):
        return call.row("norm")
    return call.recorder.builder.normalise(call.sources[0], call.recorder.name(call.operator), **call.of_input())


def _pool(kind: str) -> Callable[[Call], int]:
    def handle(call: Call) -> int:
        kernel = call.args[1]
        stride = call.arg(2, "stride") or kernel
        padding = call.arg(3, "padding", (0,))
        size, out = call.args[0].shape, call.outputs[0].shape
        return call.row(kind, call.sources, **convolutions.pool(size, kernel, out, stride=stride, padding=padding))

    return handle


def _adaptive_pool(call: Call) -> int:
    size, out = call.args[0].shape, call.outputs[0].shape
    spans = list(zip(size[2:], out[2:], strict=True))
    kernel, stride = [-(-whole // parts) for whole, parts in spans], [whole // parts for whole, parts in spans]
    return call.row("avgpool", call.sources, **convolutions.pool(size, kernel, out, stride=stride))


def _mean(call: Call) -> int:
    """A mean over height and width is a global pool; over tokens likewise."""
    value: Tensor = call.args[0]
    dims = sorted(int(d) % value.dim() for d in (call.arg(1, "dim") or range(value.dim())))
    size = list(value.shape)
    if value.dim() in (3, 4) and dims == list(range(1, value.dim() - 1)):  # channels last, or tokens
        size = [size[0], size[-1], *size[1:-1]] + [1] * (4 - value.dim())
    elif value.dim() < 3 or dims != list(range(2, value.dim())):
        return call.row("other")
    return call.row("avgpool", call.sources, **convolutions.pool(size, size[2:], (*size[:2], *(1 for _ in size[2:]))))


def _elementwise(kind: str) -> Callable[[Call], int]:
    """Two activations make a row; one and a constant are an affine map, taken in by the row before where possible."""

    def handle(call: Call) -> int:
        if len(call.sources) > 1:
            largest = max(call.args[:2], key=lambda value: value.numel())
            shapes = image(largest.shape, READ)
            return call.row(kind, call.sources, **shapes)
        return call.recorder.builder.affine(call.sources[0], call.recorder.name(call.operator), **call.of_input())

    return handle


def _simple(kind: str) -> Callable[[Call], int]:
    return lambda call: call.row(kind)


HANDLERS: dict[str, Callable[[Call], int]] = {
    **dict.fromkeys(VIEWS, _pass),
    **{name: _activation for base in ACTIVATIONS for name in (base, f"{base}_")},
    **dict.fromkeys(PRODUCTS[:5], _product),
    **dict.fromkeys(PRODUCTS[5:8], _conv),
    **dict.fromkeys(("mv", "addmv", "dot", "vdot"), _by_vector),
    "addbmm": _summed,
    "_trilinear": _trilinear,
    "_cdist_forward": _distances,
    **dict.fromkeys(
        [f"_scaled_dot_product_{kind}" for kind in ("flash_attention_for_cpu", "flash_attention", "cudnn_attention")],
        _attention,
    ),
    "_scaled_dot_product_efficient_attention": _attention,
    **dict.fromkeys(
        ("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"),
        _batch_norm,
    ),
    **dict.fromkeys(("native_layer_norm", "native_group_norm", "_fused_rms_norm"), _simple("norm")),
    **dict.fromkeys(("_softmax", "_log_softmax", "_safe_softmax"), _simple("softmax")),
    **{f"max_pool{d}d{indices}": _pool("maxpool") for d in (1, 2, 3) for indices in ("", "_with_indices")},
    **{f"avg_pool{d}d": _pool("avgpool") for d in (1, 2, 3)},
    **{f"{inner}adaptive_avg_pool{d}d": _adaptive_pool for d in (1, 2, 3) for inner in ("", "_")},
    "mean": _mean,
    **dict.fromkeys(("add", "add_", "sub", "sub_", "rsub"), _elementwise("add")),
    **dict.fromkeys(("mul", "mul_", "div", "div_"), _elementwise("mul")),
    **dict.fromkeys(("cat", "stack"), _simple("concat")),
    **dict.fromkeys(
        (
            *("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact1d"),
            *("_upsample_nearest_exact2d", "_upsample_nearest_exact3d", "upsample_linear1d", "upsample_bilinear2d"),
            *("upsample_trilinear3d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
        ),
        _simple("resize"),
    ),
    "*": _simple("other"),
}

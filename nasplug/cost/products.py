"""Products that torch's operator counter does not know, with their floating-point operations: two each."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import flop_registry, shape_wrapper

from nasplug.contract.errors import TaskError

if TYPE_CHECKING:
    from torch._ops import OpOverload, OpOverloadPacket


Shape = Sequence[int]


def _dot(first: Shape, second: Shape, *_: object, **__: object) -> int:
    """(n) by (n)."""
    return 2 * math.prod(first)


def _mv(matrix: Shape, vector: Shape, *_: object, **__: object) -> int:
    """(m, n) by (n)."""
    return 2 * math.prod(matrix)


def _addmv(added: Shape, matrix: Shape, vector: Shape, *_: object, **__: object) -> int:
    """(m, n) by (n), and something added."""
    return 2 * math.prod(matrix)


def _addbmm(added: Shape, first: Shape, second: Shape, *_: object, **__: object) -> int:
    """(b, m, k) by (b, k, n), summed over b."""
    return 2 * math.prod(first) * second[-1]


def _int_mm(first: Shape, second: Shape, *_: object, **__: object) -> int:
    """(m, k) by (k, n)."""
    return 2 * math.prod(first) * second[-1]


def _trilinear(
    first: Shape,
    second: Shape,
    third: Shape,
    one: Shape,
    two: Shape,
    three: Shape,
    sums: Shape,
    *_: object,
    **__: object,
) -> int:
    """Bilinear layers: x1 by the weights, summed over x1's features, then that by x2."""
    shapes = [list(shape) for shape in (first, second, third)]
    for shape, added in zip(shapes, (one, two, three), strict=True):
        for dimension in sorted(added):
            shape.insert(dimension, 1)
    sizes: list[int] = [max(each) for each in zip(*shapes, strict=True)]
    every = math.prod(sizes)
    return 2 * (every + every // sizes[int(sums[0])])


def _cdist(first: Shape, second: Shape, *_: object, **__: object) -> int:
    """Distances of (..., m, d) to (..., n, d)."""
    return 2 * math.prod(first) * second[-2]


_aten = torch.ops.aten
#: What the counter is told beside its own table: functions of the shapes of all arguments.
FORMULAS: dict[OpOverloadPacket, Callable[..., int]] = {
    _aten.dot: _dot,
    _aten.vdot: _dot,
    _aten.mv: _mv,
    _aten.addmv: _addmv,
    _aten.addbmm: _addbmm,
    _aten._int_mm: _int_mm,
    _aten._trilinear: _trilinear,
    _aten._cdist_forward: _cdist,
}
_BY_SHAPE = {packet: shape_wrapper(formula) for packet, formula in FORMULAS.items()}  # type: ignore[no-untyped-call]
#: Operators that multiply in ways that are not counted: whoever meets one must say so.
UNCOUNTED = frozenset(
    (
        *("aten.mkldnn_rnn_layer", "aten._cudnn_rnn", "aten.miopen_rnn", "aten._thnn_fused_lstm_cell"),
        *("aten._native_multi_head_attention", "aten._transformer_encoder_layer_fwd", "aten._grouped_mm"),
        *("aten._sparse_mm", "aten._sparse_addmm", "aten._weight_int4pack_mm", "aten._weight_int8pack_mm"),
        "torchvision.deform_conv2d",
        *("aten._fft_r2c", "aten._fft_c2r", "aten._fft_c2c"),
        *("aten.linalg_inv_ex", "aten.linalg_lu_factor_ex", "aten.linalg_cholesky_ex", "aten.linalg_qr"),
        *("aten._linalg_solve_ex", "aten.linalg_solve_triangular", "aten.linalg_lu_solve", "aten.cholesky_solve"),
        *("aten._linalg_svd", "aten._linalg_eigh", "aten.linalg_eig", "aten.linalg_matrix_exp"),
    )
)
#: Libraries of operators of which all that multiply are known.
_KNOWN = ("aten", "prim", "prims", "torchvision", "profiler", "inductor", "rngprims")


def without_rule(operator: OpOverload) -> bool:
    """Whether an operator multiplies, or may do so, and nobody can say how often."""
    packet = getattr(operator, "overloadpacket", operator)
    if packet in flop_registry or packet in FORMULAS:
        return False
    name = str(packet)
    return name in UNCOUNTED or name.split(".")[0] not in _KNOWN


def products_of(
    operator: OpOverload, args: Sequence[object], kwargs: Mapping[str, object], result: object
) -> int | None:
    """Multiply-accumulates of one call of an operator; None if it is not one that multiplies.

    Args:
        operator: Operator that was called.
        args: Arguments by position.
        kwargs: Arguments by name.
        result: Value that it returned.
    """
    packet: OpOverloadPacket = operator.overloadpacket
    formula = _BY_SHAPE.get(packet) or flop_registry.get(packet)
    return None if formula is None else int(formula(*args, **kwargs, out_val=result)) // 2


def refuse(names: Collection[str], where: str, what: str) -> None:
    """Refuses a network that ran operators without a rule.

    Args:
        names: Names of the operators.
        where: Name of the cost, for messages.
        what: Name of the counted quantity, for messages.

    Raises:
        TaskError: There is one.
    """
    if names:
        raise TaskError(
            f"the {what} of the operator {min(names)!r} cannot be counted",
            where=where,
            why="torch's operator counter has no formula for it",
            fix="register one with torch.utils.flop_counter.register_flop_formula, or leave the cost out",
        )

"""How every operator passes channels on; what has no rule fixes all channels that reach it, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nasplug.surgery.rules.channelwise import CHANNELWISE
from nasplug.surgery.rules.pointwise import combine
from nasplug.surgery.rules.products import PRODUCTS
from nasplug.surgery.rules.views import VIEWS
from nasplug.surgery.state import tensors_in
from nasplug.surgery.trace import Call, Rule, Trace

if TYPE_CHECKING:
    from torch._ops import OpOverload

_RULES: dict[str, Rule] = {**VIEWS, **PRODUCTS, **CHANNELWISE}

#: Operators that make tensors from sizes; their results follow no channel.
_MAKERS = frozenset(
    {"empty", "zeros", "ones", "full", "arange", "new_zeros", "new_ones", "new_empty", "new_full", "scalar_tensor"}
    | {"rand", "randn", "randint"}
)

#: Pointwise operators that torch does not mark as such.
_POINTWISE = frozenset(
    {
        "hardswish",
        "log_sigmoid_forward",
        "rrelu_with_noise",
        "relu6",
        "masked_fill",
        "dropout",
        "where",
        "_prelu_kernel",
    }
)


def rule_of(func: OpOverload) -> Rule:
    """Returns how an operator passes channels on."""
    name = func.overloadpacket.__name__
    rule = _RULES.get(name)
    if rule is not None:
        return rule
    if name in _MAKERS:
        return _nothing
    if torch.Tag.pointwise in func.tags or name.rstrip("_") in _POINTWISE:
        return combine
    # An operator that works in place is pointwise if the one that does not is.
    plain = getattr(torch.ops.aten, name[:-1], None) if name.endswith("_") else None
    if plain is not None:
        if plain.__name__ in _RULES:
            return _RULES[plain.__name__]
        if any(torch.Tag.pointwise in getattr(plain, overload).tags for overload in plain.overloads()):
            return combine
    return _unknown


def _nothing(trace: Trace, call: Call) -> None:
    return None


def _unknown(trace: Trace, call: Call) -> None:
    for tensor in tensors_in((call.args, call.kwargs)):
        trace.book.fix(trace.axes(tensor), f"{call.operator} in {trace.where} is not followed")

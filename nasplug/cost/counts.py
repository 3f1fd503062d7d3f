"""Parameters and multiply-accumulates of a network, counted without running it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from nasplug.contract.errors import TaskError
from nasplug.contract.io import Inputs, InputsLike
from nasplug.cost.meta import meta_copy
from nasplug.cost.products import FORMULAS, refuse, without_rule

if TYPE_CHECKING:
    from torch._ops import OpOverload


@dataclass(frozen=True, slots=True)
class Counts:
    """Size and work of a network.

    Attributes:
        params: Parameters; one that is used in several places counts once.
        trainable_params: Number of parameters that training changes.
        macs: Multiply-accumulates of one inference on one input: convolutions, linear layers, matrix products and
            attention. Additions of biases, look-ups of embeddings, normalisation, activations and pooling do not count.
    """

    params: int
    trainable_params: int
    macs: int


def count(network: nn.Module, inputs: InputsLike) -> Counts:
    """Counts a network in inference on one input.

    Args:
        network: Network, called as the inputs say.
        inputs: Input of the network, or the shape of one float input without the batch, (C, H, W) for images.

    Raises:
        TaskError: The network cannot take such inputs, or does what cannot be counted.
    """
    return Counts(count_params(network), count_params(network, trainable=True), count_macs(network, inputs))


def count_params(network: nn.Module, *, trainable: bool = False) -> int:
    """Counts the parameters of a network, shared ones once.

    Args:
        network: Any module.
        trainable: Whether to count only those that training changes.

    Raises:
        TaskError: It has lazy layers.
    """
    parameters = list(network.parameters())
    if any(is_lazy(parameter) for parameter in parameters):
        raise TaskError(
            "the network has lazy layers, whose size is not known yet",
            where="count",
            fix="run the network once before, or give the layers their sizes",
        )
    return sum(parameter.numel() for parameter in parameters if parameter.requires_grad or not trainable)


def count_macs(network: nn.Module, inputs: InputsLike) -> int:
    """Counts the multiply-accumulates of one inference on one input.

    Args:
        network: Network, called as the inputs say.
        inputs: Input of the network, or the shape of one float input without the batch.

    Raises:
        TaskError: The network cannot take such inputs, or does what cannot be counted.
    """
    counter = count_operations(network, inputs)
    return int(counter.get_total_flops()) // 2  # two floating-point operations are one multiply-accumulate


def count_operations(
    network: nn.Module, inputs: InputsLike, *, where: str = "count", what: str = "multiply-accumulates"
) -> FlopCounterMode:
    """Runs a network under torch's own operator counter and returns the counter.

    The network is not touched, wherever its weights are: a copy without numbers runs on the meta device. Only a network
    whose control flow depends on tensor values (`.item()`, an `if` on a tensor) cannot go there; it is copied and run
    once, on zeros.

    Args:
        network: Network, called as the inputs say.
        inputs: Input of the network, or the shape of one float input without the batch.
        where: Name of the cost, for messages.
        what: Name of the counted quantity, for messages.

    Raises:
        TaskError: The network cannot take such inputs, or runs an operator whose products cannot be counted.
    """
    count_params(network)
    known = Inputs.of(inputs)
    try:
        counter, seen = _counted(meta_copy(network), known, "meta")
    except Exception as meta_error:  # a user's forward may raise anything
        try:
            device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
            counter, seen = _counted(copy.deepcopy(network), known, str(device))
        except Exception as error:
            raise TaskError(
                f"the network cannot run on {known}",
                where=where,
                why=f"{type(error).__name__}: {error}",
            ) from meta_error
    refuse(seen, where, what)
    return counter


@torch.no_grad()
def _counted(network: nn.Module, inputs: Inputs, device: str) -> tuple[FlopCounterMode, set[str]]:
    args, kwargs = inputs.example(device=device)
    zeros = {name: torch.zeros_like(value) for name, value in kwargs.items()}
    unknown = _Unknown()
    with plain_operators(), FlopCounterMode(display=False, custom_mapping=FORMULAS) as counter, unknown:
        network.eval()(*map(torch.zeros_like, args), **zeros)
    return counter, unknown.names


class _Unknown(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects operators that multiply, or may do so, and that nobody can count."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Collection[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        if without_rule(func):
            self.names.add(str(getattr(func, "overloadpacket", func)))
        result: object = func(*args, **(kwargs or {}))
        return result


@contextmanager
def plain_operators() -> Iterator[None]:
    """Keeps attention and recurrent layers out of fused operators, which the counter does not know."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="TF32 acceleration")
            with torch.backends.mkldnn.flags(enabled=False), torch.backends.cudnn.flags(enabled=False):
                yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)

"""Parameters and multiply-accumulates of a network, counted without running it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils.flop_counter import FlopCounterMode

from nasplug.contract.errors import TaskError
from nasplug.cost.meta import meta_copy


@dataclass(frozen=True, slots=True)
class Counts:
    """Size and work of a network.

    Attributes:
        params: Parameters; one that is used in several places counts once.
        trainable_params: Those that training changes.
        macs: Multiply-accumulates of one inference on one input: convolutions, linear layers, matrix products and
            attention. Additions of biases, normalisation, activations and pooling do not count.
    """

    params: int
    trainable_params: int
    macs: int


def count(network: nn.Module, input_shape: Sequence[int]) -> Counts:
    """Counts a network in inference on one input.

    The network is not touched, wherever its weights are: a copy without numbers goes through torch's own operator
    counter on the meta device. Only a network whose way depends on the values inside it (`.item()`, an `if` on a
    tensor) cannot go there; it is copied and run once, on zeros.

    Args:
        network: Takes float tensors (N, *input_shape).
        input_shape: Shape of one input without the batch, (C, H, W) for images.

    Raises:
        TaskError: The network cannot take such an input.
    """
    parameters = list(network.parameters())
    if any(is_lazy(parameter) for parameter in parameters):
        raise TaskError(
            "the network has lazy layers, whose size is not known yet",
            where="count",
            fix="run the network once before, or give the layers their sizes",
        )
    return Counts(
        params=sum(parameter.numel() for parameter in parameters),
        trainable_params=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        macs=_macs(network, tuple(input_shape)),
    )


def _macs(network: nn.Module, input_shape: tuple[int, ...]) -> int:
    try:
        return _count_pass(meta_copy(network), torch.empty(1, *input_shape, device="meta"))
    except Exception as meta_error:  # a user's forward may raise anything
        try:
            device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
            return _count_pass(copy.deepcopy(network), torch.zeros(1, *input_shape, device=device))
        except Exception as error:
            raise TaskError(
                f"the network cannot run on an input of shape {input_shape}",
                where="count",
                why=f"{type(error).__name__}: {error}",
            ) from meta_error


@torch.no_grad()
def _count_pass(network: nn.Module, batch: torch.Tensor) -> int:
    with _plain_attention(), FlopCounterMode(display=False) as counter:
        network.eval()(batch)
    return int(counter.get_total_flops()) // 2  # two floating-point operations are one multiply-accumulate


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Keeps attention layers out of their fused inference path, whose operators the counter does not know."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)

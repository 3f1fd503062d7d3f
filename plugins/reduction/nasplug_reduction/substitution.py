"""Convolutions that cheaper ones stand for: smaller kernels, and depthwise-separable pairs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, get_args

import numpy as np
import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpecError, SurgeryError, did_you_mean

if TYPE_CHECKING:
    from nasplug.surgery import Channels

#: Substitutions that a space may choose from.
Operator = Literal["kernel", "separable"]
OPERATORS: tuple[str, ...] = get_args(Operator)
#: Parts of a depthwise-separable pair, in its names of weights.
DEPTHWISE, POINTWISE = "depthwise", "pointwise"
Convolution: TypeAlias = "nn.Conv1d | nn.Conv2d | nn.Conv3d"
_Made = TypeVar("_Made", bound=nn.Module)

_PLAIN = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Substitutes:
    """What may stand for the convolutions of a network.

    Attributes:
        kernels: Largest sides that the kernel of a convolution may have, ascending, the original one last, by path.
        separable: Paths of the convolutions that a depthwise-separable pair may stand for.
        refused: Reason by `PATH: substitution` why a convolution stays as it is.
    """

    kernels: Mapping[str, tuple[int, ...]]
    separable: tuple[str, ...]
    refused: Mapping[str, str]

    @classmethod
    def of(cls, network: nn.Module, channels: Channels, wanted: Collection[str]) -> Substitutes:
        """Finds out what may stand for the convolutions of a network.

        Args:
            network: The original network.
            channels: Channels of it.
            wanted: Substitutions that are wanted.

        Raises:
            SpecError: There is no such substitution.
        """
        if isinstance(wanted, str) or not isinstance(wanted, Collection):
            raise SpecError(
                f"expected a list of substitutions, got {wanted!r:.80}",
                where="reduction, operators",
                fix="write a list such as [kernel, separable]",
            )
        for name in wanted:
            if name not in OPERATORS:
                raise SpecError(
                    f"there is no substitution {name!r}",
                    where="reduction, operators",
                    fix=did_you_mean(str(name), OPERATORS),
                )
        kernels: dict[str, tuple[int, ...]] = {}
        separable: list[str] = []
        refused: dict[str, str] = {}
        for path, conv in _convolutions(network) if wanted else ():
            why = _unlike(network, channels, path, conv)
            for name in [name for name in OPERATORS if name in wanted]:
                reason = why or (_no_crop(conv) if name == "kernel" else _no_pair(conv))
                if reason is not None:
                    refused[f"{path}: {name}"] = reason
                elif name == "kernel":
                    kernels[path] = sides(max(conv.kernel_size))
                else:
                    separable.append(path)
        return cls(kernels, tuple(separable), refused)


def sides(largest: int) -> tuple[int, ...]:
    """Largest sides that a kernel may have: all odd ones from 3 on, or 1 for a kernel of 3.

    Args:
        largest: Largest side of the original kernel.
    """
    return tuple(range(1 if largest <= 3 else 3, largest + 1, 2))


def centre(size: int, side: int) -> tuple[int, ...]:
    """Indices of an axis of a kernel that stay when its centre is cropped.

    Args:
        size: Size of the axis, odd.
        side: Largest size that may stay, odd.
    """
    left = (size - min(size, side)) // 2
    return tuple(range(left, size - left))


# -- making them -------------------------------------------------------------------------------------------------


@torch.no_grad()
def cropped(conv: Convolution, side: int) -> Convolution:
    """Makes a convolution with the centre of the kernel of another one, whose outputs have the same size.

    Args:
        conv: Convolution with odd kernels and enough padding.
        side: Largest side of the new kernel.
    """
    small = [min(size, side) for size in conv.kernel_size]
    padding: str | tuple[int, ...] = conv.padding
    if not isinstance(padding, str):
        pairs = zip(padding, conv.dilation, conv.kernel_size, small, strict=True)
        padding = tuple(pad - step * (size - less) // 2 for pad, step, size, less in pairs)
    made = _like(conv, conv.in_channels, conv.out_channels, small, padding, conv.groups, bias=conv.bias is not None)
    weight = conv.weight
    for axis, size in enumerate(conv.kernel_size, start=2):
        index = torch.tensor(centre(size, side), device=weight.device)
        weight = weight.index_select(axis, index)
    made.weight.copy_(weight)
    if conv.bias is not None:
        assert made.bias is not None
        made.bias.copy_(conv.bias)
    return _as_frozen(made, conv)


@torch.no_grad()
def separated(conv: Convolution) -> nn.Sequential:
    """Makes a depthwise convolution and one of kernel 1 that together are as near to another one as such a pair can be.

    Args:
        conv: Convolution without groups.
    """
    channels, ones = conv.in_channels, [1] * len(conv.kernel_size)
    first = _like(conv, channels, channels, list(conv.kernel_size), conv.padding, channels, bias=False)
    second = type(conv)(
        channels,
        conv.out_channels,
        ones[0],
        bias=conv.bias is not None,
        device=conv.weight.device,
        dtype=conv.weight.dtype,
    )
    depthwise, pointwise = factors(conv.weight)
    first.weight.copy_(depthwise)
    second.weight.copy_(pointwise)
    if conv.bias is not None:
        assert second.bias is not None
        second.bias.copy_(conv.bias)
    made = nn.Sequential()
    made.add_module(DEPTHWISE, first)
    made.add_module(POINTWISE, second)
    return _as_frozen(made, conv)


def factors(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of the depthwise-separable pair that is nearest to a convolution.

    For each input channel the matrix of its kernels (outputs, places) is approximated by its first singular pair, which
    is the best approximation of rank 1 (Eckart and Young, Psychometrika 1 (1936) 211).

    Args:
        weight: Weight (outputs, inputs, places of the kernel ...).

    Returns:
        Depthwise weight (inputs, 1, places ...) and pointwise weight (outputs, inputs, 1 ...).
    """
    outputs, inputs, *places = weight.shape
    if weight.is_meta:
        return weight.new_empty(inputs, 1, *places), weight.new_empty(outputs, inputs, *[1] * len(places))
    matrices = weight.detach().double().flatten(2).transpose(0, 1)  # (inputs, outputs, places)
    _, vectors = torch.linalg.eigh(matrices.transpose(1, 2) @ matrices)
    kernels = vectors[:, :, -1]  # of the largest eigenvalue, which comes last
    largest = kernels.gather(1, kernels.abs().argmax(dim=1, keepdim=True))
    kernels = kernels * largest.sign()  # a singular pair has no sign of its own
    mixed = (matrices @ kernels[:, :, None])[:, :, 0]  # (inputs, outputs)
    scale = mixed.norm(dim=1, keepdim=True).sqrt()
    depthwise, pointwise = kernels * scale, mixed / scale.clamp(min=1e-12)
    return (
        depthwise.to(weight).view(inputs, 1, *places),
        pointwise.t().to(weight).reshape(outputs, inputs, *[1] * len(places)),
    )


def translated(weights: Mapping[str, Tensor], own: Collection[str], theirs: Collection[str]) -> dict[str, Tensor]:
    """Gives the weights of one network the names and the form of another one, whose operators differ.

    Args:
        weights: Tensors by name.
        own: Paths of the separable pairs of the network that takes them.
        theirs: Paths of those of the network that they come from.
    """
    found = dict(weights)
    for path in sorted(set(own) - set(theirs)):
        if (weight := found.pop(f"{path}.weight", None)) is not None:
            found[f"{path}.{DEPTHWISE}.weight"], found[f"{path}.{POINTWISE}.weight"] = factors(weight)
        if (bias := found.pop(f"{path}.bias", None)) is not None:
            found[f"{path}.{POINTWISE}.bias"] = bias
    for path in sorted(set(theirs) - set(own)):
        depthwise = found.pop(f"{path}.{DEPTHWISE}.weight", None)
        pointwise = found.pop(f"{path}.{POINTWISE}.weight", None)
        if depthwise is not None and pointwise is not None:
            found[f"{path}.weight"] = pointwise * depthwise.transpose(0, 1)
        if (bias := found.pop(f"{path}.{POINTWISE}.bias", None)) is not None:
            found[f"{path}.bias"] = bias
    return found


def lost_by_crop(weight: Tensor, side: int) -> float:
    """Share of the squares of a weight that lies outside of the centre of its kernels.

    Args:
        weight: Weight (outputs, inputs, places of the kernel ...).
        side: Largest side of the centre.
    """
    inner = weight.detach().double()
    whole = float(inner.square().sum())
    for axis, size in enumerate(weight.shape[2:], start=2):
        inner = inner.index_select(axis, torch.tensor(centre(size, side), device=weight.device))
    return 1 - float(inner.square().sum()) / max(whole, 1e-30)


def lost_by_pair(weight: Tensor) -> float:
    """Share of the squares of a weight that its nearest depthwise-separable pair does not have.

    Args:
        weight: Weight (outputs, inputs, places of the kernel ...).
    """
    depthwise, pointwise = factors(weight)
    rest = weight.detach().double() - pointwise.double() * depthwise.double().transpose(0, 1)
    return float(rest.square().sum()) / max(float(weight.detach().double().square().sum()), 1e-30)


def put_in(network: nn.Module, kernels: Mapping[str, int], separable: Sequence[str]) -> None:
    """Exchanges convolutions of a network, in place.

    Args:
        network: Network whose channels are cut already.
        kernels: Largest side of the kernel by path.
        separable: Paths that a depthwise-separable pair takes.

    Raises:
        SurgeryError: There is no such convolution in the network.
    """
    for path, side in kernels.items():
        _put(network, path, cropped(_convolution(network, path), side))
    for path in separable:
        _put(network, path, separated(_convolution(network, path)))


# -- what may be exchanged ---------------------------------------------------------------------------------------


def _convolutions(network: nn.Module) -> Iterator[tuple[str, Convolution]]:
    """Path and module of everything that convolves with more than one place."""
    for path, module in network.named_modules():
        if isinstance(module, nn.modules.conv._ConvNd) and max(module.kernel_size) > 1:
            yield path, module  # type: ignore[misc]


def _unlike(network: nn.Module, channels: Channels, path: str, conv: Convolution) -> str | None:
    """Why nothing can stand for a convolution, or None."""
    if not path:
        return "it is the whole network"
    if type(conv) not in _PLAIN:
        return f"it is a {type(conv).__name__}, not a plain convolution"
    if not any("conv" in name for name in channels.trace.operators.get(path, ())):
        return "the network takes its weights without calling it"
    if conv._forward_pre_hooks or conv._forward_hooks or not isinstance(conv.weight, nn.Parameter):
        return "hooks, such as those of weight normalisation, stand around it"
    names = [name for name, weight in network.named_parameters(remove_duplicate=False) if weight is conv.weight]
    if len(names) > 1:
        return f"its weights are shared: {', '.join(names)}"
    return None


def _no_crop(conv: Convolution) -> str | None:
    if any(size % 2 == 0 for size in conv.kernel_size):
        return f"its kernel {_said(conv.kernel_size)} has no centre"
    if isinstance(conv.padding, str):
        return None if conv.padding == "same" else "without padding, its output would become larger"
    least = sides(max(conv.kernel_size))[0]
    sizes = zip(conv.padding, conv.dilation, conv.kernel_size, strict=True)
    if any(pad < step * (size - min(size, least)) // 2 for pad, step, size in sizes):
        return f"its padding {_said(conv.padding)} is too small, so that its output would become larger"
    return None


def _no_pair(conv: Convolution) -> str | None:
    if conv.groups > 1:
        return f"it has {conv.groups} groups already"
    places = int(np.prod(conv.kernel_size))
    pair = conv.in_channels * (places + conv.out_channels)
    if pair >= conv.in_channels * conv.out_channels * places:
        return "a depthwise-separable pair would not be smaller"
    return None


def _said(numbers: Sequence[int]) -> str:
    return "x".join(map(str, numbers))


def _like(
    conv: Convolution,
    inputs: int,
    outputs: int,
    kernel: Sequence[int],
    padding: str | tuple[int, ...],
    groups: int,
    *,
    bias: bool,
) -> Convolution:
    """A convolution that moves over its input as another one does."""
    made: Convolution = type(conv)(
        inputs,
        outputs,
        tuple(kernel),  # type: ignore[arg-type]
        stride=conv.stride,  # type: ignore[arg-type]
        padding=padding,  # type: ignore[arg-type]
        dilation=conv.dilation,  # type: ignore[arg-type]
        groups=groups,
        bias=bias,
        padding_mode=conv.padding_mode,
        device=conv.weight.device,
        dtype=conv.weight.dtype,
    )
    return made


def _as_frozen(made: _Made, conv: Convolution) -> _Made:
    """In the mode of another convolution, and frozen if that is."""
    return made.train(conv.training).requires_grad_(conv.weight.requires_grad)


def _convolution(network: nn.Module, path: str) -> Convolution:
    try:
        found = network.get_submodule(path)
    except AttributeError:
        found = network
    if type(found) not in _PLAIN:
        raise SurgeryError(
            f"there is no convolution {path!r} to exchange",
            where="reduction",
            why="the record belongs to another network",
            fix="give the model that was reduced",
        )
    return found  # type: ignore[return-value]


def _put(network: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, last = path.rpartition(".")
    network.get_submodule(parent).register_module(last, module)

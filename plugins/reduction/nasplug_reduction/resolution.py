"""A network that looks at smaller inputs than it is given; the names of its weights stay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasplug.contract.errors import SpecError
from nasplug.cost.meta import meta_copy

if TYPE_CHECKING:
    from nasplug.contract.io import Inputs

#: Ways to interpolate by the number of spatial axes.
_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}
_WHERE = "reduction, resolutions"


class Scaled:
    """A hook before a network that scales its input (N, C, spatial axes ...).

    Args:
        share: Factor of every spatial axis.
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, network: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Returns the arguments with the first one scaled."""
        return (resized(args[0], self.share), *args[1:])


class ScaledBack:
    """A hook behind a network that gives its answer (N, C, spatial axes ...) the size that it has without scaling.

    Args:
        share: Factor of every spatial axis of the input.
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, network: nn.Module, args: tuple[Any, ...], answer: Tensor) -> Tensor:
        """Returns the answer in its full size."""
        return resized(answer, 1 / self.share)


def resized(x: Tensor, factor: float) -> Tensor:
    """Interpolates a batch linearly.

    Args:
        x: Batch (N, C, spatial axes ...).
        factor: Factor of every spatial axis.
    """
    sizes = [max(1, round(size * factor)) for size in x.shape[2:]]
    return functional.interpolate(x, size=sizes, mode=_MODES[len(sizes)], align_corners=False)


def scale(network: nn.Module, share: float, *, dense: bool) -> None:
    """Makes a network look at smaller inputs, in place.

    Args:
        network: The network.
        share: Factor of every spatial axis.
        dense: Whether its answer has spatial axes, which are scaled back.
    """
    network.register_forward_pre_hook(Scaled(share))
    if dense:
        network.register_forward_hook(ScaledBack(share))


def read_shares(given: object) -> tuple[float, ...]:
    """Reads shares of a resolution, ascending, without the original one.

    Args:
        given: List of numbers between 0 and 1.

    Raises:
        SpecError: It is something else.
    """
    fix = "write a list such as [0.5, 0.75]; the original one is always a choice"
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise SpecError(f"expected a list of shares, got {given!r:.80}", where=_WHERE, fix=fix)
    shares = list(given)
    for share in shares:
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= 1:
            raise SpecError(
                f"a resolution is a share of the original one between 0 and 1, got {share!r:.80}", where=_WHERE, fix=fix
            )
    return tuple(sorted({float(share) for share in shares if share != 1}))


def check_resolutions(network: nn.Module, name: str, inputs: Inputs, shares: Sequence[float]) -> bool:
    """Makes sure that a network can look at smaller inputs, by running it without numbers.

    Args:
        network: The original network.
        name: Name of the model, for messages.
        inputs: Inputs of the network.
        shares: Factors of the spatial axes.

    Returns:
        Whether the answer has spatial axes, which must be scaled back.

    Raises:
        SpecError: The network cannot take such inputs.
    """
    args, kwargs = inputs.example(2, device="meta")
    if kwargs or len(args) != 1 or not args[0].is_floating_point() or args[0].ndim - 2 not in _MODES:
        raise SpecError(
            f"the resolution of {name} cannot be chosen",
            where=_WHERE,
            why=f"only one float input of 1 to 3 spatial axes can be scaled, not {inputs}",
            fix="leave resolutions out",
        )
    twin, spatial = meta_copy(network).eval(), args[0].shape[2:]
    whole = _answer(twin, args[0])
    dense = False
    for share in shares:
        sizes = [size * share for size in spatial]
        if any(abs(size - round(size)) > 1e-6 for size in sizes):
            raise SpecError(
                f"{share:g} of {'x'.join(map(str, spatial))} is not a whole number of pixels",
                where=_WHERE,
                fix="take a share that divides the sizes, such as 0.5",
            )
        problem = f"it cannot take inputs of {'x'.join(str(round(size)) for size in sizes)}"
        try:
            answer = _answer(twin, resized(args[0], share))
        except Exception as error:  # a user's forward may raise anything
            raise _refused(name, share, f"{problem}: {type(error).__name__}: {error}") from error
        if answer == whole:
            continue
        back = [len(answer), *(tuple(max(1, round(n / share)) for n in shape[2:]) for shape in answer)]
        if len(answer) != 1 or [1, *(shape[2:] for shape in whole)] != back or answer[0][:2] != whole[0][:2]:
            raise _refused(name, share, f"it answers {answer} instead of {whole}, which cannot be scaled back")
        dense = True
    return dense


@torch.no_grad()
def _answer(network: nn.Module, x: Tensor) -> list[tuple[int, ...]]:
    """Shapes of the tensors of an answer."""
    from nasplug.surgery.state import tensors_in

    return [tuple(each.shape) for each in tensors_in(network(x))]


def _refused(name: str, share: float, why: str) -> SpecError:
    return SpecError(
        f"{name} does not work at {share:g} of its resolution",
        where=_WHERE,
        why=" ".join(why.split())[:400],
        fix="take a larger share, or leave resolutions out",
    )

"""How much a network would miss each of its channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from nasplug.contract.errors import SurgeryError, did_you_mean
from nasplug.surgery.groups import ChannelGroup, Channels
from nasplug.surgery.state import state_of

#: Scores of channels by their weights. For a channel with the weights w and gradients g:
#: magnitude: sum of |w| (Li et al. 2017, arXiv 1608.08710); taylor: sum of |w g| (Molchanov et al. 2019,
#: arXiv 1906.10771, without the square); gradient: sum of |g|; bn_scale: sum of |gamma| of its normalisations
#: (Liu et al. 2017, arXiv 1708.06519); random: uniform numbers.
Score = Literal["magnitude", "taylor", "gradient", "bn_scale", "random"]


@torch.no_grad()
def score(network: nn.Module, group: ChannelGroup, by: Score = "magnitude", *, seed: int = 0) -> Tensor:
    """Scores the channels of one group by the weights that make them, summed over all layers that make them.

    Args:
        network: Network that the group belongs to.
        group: Channel group.
        by: Kind of score; `taylor` and `gradient` read the gradients that are there.
        seed: Seed of `random`.

    Returns:
        One score a channel, larger where it would be missed more, on the CPU: (group.size,), float64.

    Raises:
        SurgeryError: There are no gradients, no normalisation scales the group, or there is no such score.
    """
    if by not in get_args(Score):
        raise SurgeryError(f"there is no score {by!r}", where="surgery", fix=did_you_mean(str(by), get_args(Score)))
    if by == "random":
        return torch.rand(group.size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    state = state_of(network)
    modules = dict(network.named_modules())
    total = torch.zeros(group.size, dtype=torch.float64)
    found = False
    for member in group.members:
        tensor = state[member.tensor]
        owner, _, leaf = member.tensor.rpartition(".")
        if by == "bn_scale":
            wanted = member.role == "along" and leaf == "weight" and isinstance(modules[owner], _NORMS)
        else:
            wanted = member.role == "out" and tensor.ndim >= 2
        if not wanted:
            continue
        found = True
        values = _values(tensor, by, f"surgery, {member.tensor}").movedim(member.axis, 0)
        sums = values.reshape(len(values), -1).sum(dim=1)
        total += sums[torch.as_tensor(member.places)].sum(dim=1)
    if not found:
        why = "no normalisation scales its channels" if by == "bn_scale" else "no matrix or kernel makes its channels"
        raise SurgeryError(f"{group.name!r} has no {by} score", where="surgery", why=why, fix="take another score")
    return total


def scores(
    network: nn.Module, groups: Iterable[ChannelGroup], by: Score = "magnitude", *, seed: int = 0
) -> dict[str, Tensor]:
    """Scores the channels of several groups; see `score`.

    Returns:
        Scores by group.
    """
    return {group.name: score(network, group, by, seed=seed + index) for index, group in enumerate(groups)}


@contextmanager
def activations(network: nn.Module, channels: Channels) -> Iterator[Mapping[str, Tensor]]:
    """Measures the mean absolute value of every channel while batches go through the network.

    Args:
        network: Network that the channels belong to.
        channels: Channels of the network; groups that no convolution or linear layer makes are left out.

    Yields:
        Means by group, which are up to date after each forward pass: (group.size,), float64.
    """
    means: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    handles = []
    for group in channels:
        module = network.get_submodule(group.maker.tensor.rpartition(".")[0])
        if not isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
            continue
        axis = -1 if isinstance(module, nn.Linear) else 1

        def measure(_: nn.Module, __: object, output: Tensor, group: ChannelGroup = group, axis: int = axis) -> None:
            values = output.detach().abs().movedim(axis, 0)
            values = values.reshape(len(values), -1).double().mean(dim=1).cpu()
            new = values[torch.as_tensor(group.maker.places)].mean(dim=1)
            seen = counts.get(group.name, 0)
            means[group.name] = (means[group.name] * seen + new) / (seen + 1) if seen else new
            counts[group.name] = seen + 1

        handles.append(module.register_forward_hook(measure))
    try:
        yield means
    finally:
        for handle in handles:
            handle.remove()


_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def _values(tensor: Tensor, by: Score, where: str) -> Tensor:
    if by in ("magnitude", "bn_scale"):
        return tensor.detach().abs().double().cpu()
    if tensor.grad is None:
        raise SurgeryError(
            "there is no gradient to score by", where=where, fix="call backward() on a loss first, or take magnitude"
        )
    if by == "gradient":
        return tensor.grad.abs().double().cpu()
    return (tensor.detach() * tensor.grad).abs().double().cpu()

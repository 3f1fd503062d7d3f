"""The three changes of structure: the seed, one step of growth, one step of pruning."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import JsonObject
from nasplug.surgery import ChannelGroup, Surgery, edit_of, scores
from nasplug_cgap.growth.settings import Settings
from nasplug_cgap.growth.sizes import Sizes

Units = Mapping[str, Sequence[int]]


def changing(surgery: Surgery, settings: Settings) -> list[ChannelGroup]:
    """Groups that grow and are pruned: those in which neither copies nor silent channels change the function."""
    groups = [group for group in surgery.channels if group.inexact_split is None and group.inexact_removal is None]
    if settings.residual == "internal":
        groups = [group for group in groups if sum(member.role == "out" for member in group.members) == 1]
    if not groups:
        raise SpecError(
            "no group of channels can grow",
            where="cgap",
            why="; ".join(f"{name}: {why}" for name, why in list(surgery.channels.refused.items())[:3]) or None,
            fix="take a network with hidden channels that nothing else depends on, or residual: coupled",
        )
    return groups


def sow(surgery: Surgery, settings: Settings, sizes: Sizes, capacity: Mapping[str, float]) -> JsonObject | None:
    """Removes all channels but the seed, those with the smallest weights first.

    Returns:
        Record of the edit; None where the seed is the whole network.

    Raises:
        SpecError: The seed is above the capacity.
    """
    groups = changing(surgery, settings)
    order = scores(surgery.network, groups, "magnitude")
    removed: dict[str, list[int]] = {}
    for group in groups:
        keep = min(group.size, max(settings.growth.min_channels, math.ceil(settings.growth.seed * group.size)))
        chosen = order[group.name].argsort()[: group.size - keep].tolist()
        if chosen:
            removed[group.name] = sorted(chosen)
    edit = edit_of("remove", removed)
    network = surgery.preview(edit) if removed else surgery.network
    if not sizes.within(network, capacity):
        found = sizes.of(network, capacity)
        raise SpecError(
            "the capacity is below the seed",
            where="cgap",
            why=", ".join(f"{name} is {found[name]:g}, at most {limit:g}" for name, limit in capacity.items()),
            fix="raise capacity, or lower seed and min_channels",
        )
    return surgery.apply(edit) if removed else None


def grow(
    surgery: Surgery,
    settings: Settings,
    sizes: Sizes,
    capacity: Mapping[str, float],
    score: Mapping[str, Tensor],
    rate: float,
    seed: int,
) -> tuple[JsonObject | None, bool]:
    """Splits the best channels of every group, fewer of them where the capacity ends.

    Args:
        surgery: Surgery of the network.
        settings: Settings.
        sizes: Measures of networks.
        capacity: Sizes at which growth ends.
        score: Scores of all channels, by group.
        rate: Share of a group's channels that are split, rounded up.
        seed: Seed of the noise on new channels.

    Returns:
        Record of the edit, None where nothing could grow, and whether the capacity is reached.
    """
    groups = changing(surgery, settings)

    def chosen(share: float) -> dict[str, list[int]]:
        wanted = {}
        for group in groups:
            count = math.ceil(share * group.size) if share == rate else math.floor(share * group.size)
            if count:
                wanted[group.name] = sorted(score[group.name].argsort(descending=True)[:count].tolist())
        return wanted

    def fits(share: float) -> bool:
        units = chosen(share)
        return not units or sizes.within(surgery.preview(edit_of("split", units)), capacity)

    full = not fits(rate)
    units = chosen(_largest(fits, 0.0, rate) if full else rate)
    if not units:
        return None, full
    return surgery.split(units, share=settings.growth.share, noise=settings.growth.noise, seed=seed), full


def silence(network: nn.Module, groups: Sequence[ChannelGroup], share: float) -> dict[str, Tensor]:
    """Masks of the weights that make channels: those with the smallest products with their gradients are silent.

    Args:
        network: Network with the gradients of the last batch.
        groups: Channel groups.
        share: Share of every layer's weights to be silent, those that are silent already counted.

    Returns:
        Masks by name of the weight, 0 where it is silent.
    """
    weights = dict(network.named_parameters())
    masks = {}
    for name in {member.tensor for group in groups for member in group.members if member.role == "out"}:
        weight = weights.get(name)
        if weight is None or weight.ndim < 2:
            continue
        gradient = weight.detach() if weight.grad is None else weight.grad
        saliency = torch.where(weight == 0, -1.0, (weight.detach() * gradient).abs()).flatten()
        count = int(share * saliency.numel())
        mask = torch.ones_like(saliency)
        mask[saliency.argsort()[:count]] = 0
        masks[name] = mask.view_as(weight)
    return masks


def silent_share(network: nn.Module, group: ChannelGroup) -> Tensor:
    """Share of silent weights among those that make each channel: (group.size,)."""
    weights = dict(network.named_parameters())
    silent = torch.zeros(group.size, dtype=torch.float64)
    total = 0
    for member in group.members:
        weight = weights.get(member.tensor)
        if member.role != "out" or weight is None or weight.ndim < 2:
            continue
        rows = (weight.detach() == 0).movedim(member.axis, 0).flatten(1).double().cpu()
        silent += rows[torch.as_tensor(member.places)].sum(dim=(1, 2))
        total += rows.shape[1] * member.places.shape[1]
    return silent / max(total, 1)


def prune(
    surgery: Surgery,
    settings: Settings,
    sizes: Sizes,
    floor: Mapping[str, float] | None,
    limit: Mapping[str, float] | None,
    score: Mapping[str, Tensor],
) -> JsonObject | None:
    """Removes channels whose weights are mostly silent, and the worst ones until a limit is kept.

    Args:
        surgery: Surgery of the network.
        settings: Settings.
        sizes: Measures of networks.
        floor: Sizes to end with; nothing is removed below them.
        limit: Sizes to come to in this step.
        score: Scores of all channels, by group.

    Returns:
        Record of the edit, None where nothing is removed.
    """
    groups = changing(surgery, settings)
    worst: list[tuple[float, str, int]] = []
    silent = 0
    for group in groups:
        share = silent_share(surgery.network, group)
        relative = score[group.name] / score[group.name].mean().clamp(min=1e-30)
        spare = group.size - min(group.size, settings.growth.min_channels)
        # Mostly silent channels come first; then by score, in units of the group's mean.
        order = torch.where(share > settings.pruning.filters, -share, relative)
        for unit in order.argsort()[:spare].tolist():
            worst.append((float(order[unit]), group.name, unit))
    worst.sort()
    silent = sum(value < 0 for value, _, _ in worst)

    def removed(count: int) -> dict[str, list[int]]:
        units: dict[str, list[int]] = {}
        for _, name, unit in worst[:count]:
            units.setdefault(name, []).append(unit)
        return {name: sorted(found) for name, found in units.items()}

    def keeps(count: int, bounds: Mapping[str, float]) -> bool:
        network = surgery.preview(edit_of("remove", removed(count))) if count else surgery.network
        return sizes.within(network, bounds)

    count = silent
    if limit is not None and not keeps(silent, limit):
        count = _first(lambda number: keeps(number, limit), silent, len(worst))
    elif floor is not None and count and keeps(count, floor):
        count = _first(lambda number: keeps(number, floor), 0, count)
    return surgery.remove(removed(count)) if count else None


def _largest(fits: Callable[[float], bool], low: float, high: float) -> float:
    """The largest number that fits, to 1 %, of an interval whose lower end does."""
    for _ in range(7):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The first whole number in an interval at which something holds, or its end."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low

"""Weights that quantised networks share when they are trained together, whatever their bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from torch import nn

from nasplug_darts_lp.quantisers import ActivationQuantiser, WeightQuantiser

#: Names of shared tensors by names in a network, see `nasplug.SharesWeights`.
Shared = dict[str, tuple[str, dict[int, Sequence[int]]]]


def shared_by_bits(network: nn.Module, inserted: Mapping[str, str] | None = None) -> Shared:
    """Says what layers share that differ in bits: their weights; quantisers belong to the bits that they have.

    Ranges, thresholds and averages of a quantiser are learned, or measured, for its number of levels.

    Args:
        network: A network with quantised layers, or with layers of torch alone.
        inserted: Text that follows a path in the names of whatever lies below it, by path.
    """
    found: Shared = {}
    for name, _ in network.named_parameters():
        found[name] = _with(name, inserted or {}), {}
    for path, module in network.named_modules():
        if isinstance(module, (ActivationQuantiser, WeightQuantiser)):
            for name, _ in chain(module.named_parameters(), module.named_buffers()):
                found[f"{path}.{name}"] = _with(f"{path}.bits_{module.bits}.{name}", inserted or {}), {}
    return found


def _with(name: str, inserted: Mapping[str, str]) -> str:
    for path, text in inserted.items():
        if name.startswith(f"{path}."):
            return f"{path}.{text}{name.removeprefix(path)}"
    return name

"""Numbers that modules keep beside their weights: sizes, groups, heads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from nasplug.contract.errors import SurgeryError
from nasplug.surgery.groups import Channels
from nasplug.surgery.plans import Plan
from nasplug.surgery.rules.views import heads_of

#: Attributes that no size of an axis is kept in, even if the number is the same.
_OTHER = re.compile(r"kernel|stride|pad|dilation|depth|layers|window|patch|resolution|epoch|step|groups$")

#: Sizes that the layers of torch keep; they follow from the shapes of the weights.
_SIZED: dict[type[nn.Module], tuple[str, ...]] = {
    nn.modules.conv._ConvNd: ("in_channels", "out_channels"),
    nn.Linear: ("in_features", "out_features"),
    nn.modules.batchnorm._NormBase: ("num_features",),
    nn.GroupNorm: ("num_channels",),
    nn.Embedding: ("num_embeddings", "embedding_dim"),
    nn.PReLU: ("num_parameters",),
}


def attributes(channels: Channels, plan: Plan) -> dict[str, dict[str, int]]:
    """Works out which attributes of which modules change with an edit.

    A module that was called with a size that follows from channels, such as a number of heads, may have it as an
    attribute. Whether all were found shows when the changed network is run without numbers.

    Args:
        channels: Channels before the edit.
        plan: The edit.

    Returns:
        New values by module and attribute.

    Raises:
        SurgeryError: An attribute would have to be two numbers at once.
    """
    modules = dict(channels.twin.named_modules())
    found: dict[str, dict[str, int]] = {}
    heads = {(size.module, plan.size(channels.channels[size.labels])) for size in channels.trace.sizes if size.heads}
    for size in channels.trace.sizes:
        old, new = len(size.labels), plan.size(channels.channels[size.labels])
        if old == new:
            continue
        own = next((names for kind, names in _SIZED.items() if isinstance(modules[size.module], kind)), ())
        for name, value in vars(modules[size.module]).items():
            if name in own:
                continue  # follows from the shape of the weight
            if (size.module, new) in heads and name not in heads_of(modules[size.module]):
                continue  # a width that is as large as the number of heads
            if type(value) is int and value == old and not _OTHER.search(name):
                _set(found, size.module, name, new)
    for each in channels.trace.grouped:
        new = plan.size(channels.channels[each.labels])
        if new != len(each.labels):
            _set(found, each.module, each.attribute, new // each.each)
    return found


def set_attributes(network: nn.Module, values: Mapping[str, Mapping[str, int]], changed: Iterable[str]) -> None:
    """Sets the attributes of modules, and those of torch's layers by the shapes of their weights.

    Args:
        network: Network whose tensors are changed already.
        values: New values by module and attribute, from `attributes`.
        changed: Names of the changed tensors.
    """
    modules = dict(network.named_modules())
    for name, numbers in values.items():
        for attribute, value in numbers.items():
            setattr(modules[name], attribute, value)
    for name in {tensor.rpartition(".")[0] for tensor in changed}:
        _sizes(modules[name])


def _sizes(module: nn.Module) -> None:
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor):
        return
    shape = tuple(weight.shape)
    if isinstance(module, nn.modules.conv._ConvNd):
        first, second = shape[0], shape[1] * module.groups
        module.in_channels, module.out_channels = (first, second) if module.transposed else (second, first)
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = shape
    elif isinstance(module, nn.modules.batchnorm._NormBase):
        module.num_features = shape[0]
    elif isinstance(module, nn.GroupNorm):
        module.num_channels = shape[0]
    elif isinstance(module, (nn.LayerNorm, nn.RMSNorm)):
        module.normalized_shape = shape
    elif isinstance(module, nn.Embedding):
        module.embedding_dim = shape[1]
    elif isinstance(module, nn.PReLU):
        module.num_parameters = shape[0]


def _set(found: dict[str, dict[str, int]], module: str, name: str, value: int) -> None:
    before = found.setdefault(module, {}).setdefault(name, value)
    if before != value:
        raise SurgeryError(
            f"the attribute {name!r} of {module or 'the network'} would have to be {before} and {value} at once",
            where="surgery",
            why="two axes of that size change differently, and nothing says which one it means",
            fix="change the groups of that module alike",
        )

"""The layers with weights that a network runs through, in order, with their work and their normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nasplug.contract.errors import TrialError
from nasplug.contract.io import InputsLike
from nasplug.cost.counts import count_operations
from nasplug.cost.meta import meta_copy

#: Layers whose rows of weights are units that can be frozen one by one.
Weighted: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear
KINDS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer.

    Attributes:
        name: Path of the module in the network.
        macs: Multiply-accumulates of one inference on one input.
        units: Number of rows of its weight: filters or neurons.
        norm: Path of the batch normalisation that reads its output directly, or None.
    """

    name: str
    macs: int
    units: int
    norm: str | None = None


@dataclass(frozen=True, slots=True)
class Layers:
    """All layers with weights of a network.

    Attributes:
        layers: Layers in the order in which they are first called.
        macs: Multiply-accumulates of one inference, those outside of the layers included.
        head: Path of the linear layer whose output is that of the network, or None.
    """

    layers: tuple[Layer, ...]
    macs: int
    head: str | None

    @property
    def body(self) -> tuple[Layer, ...]:
        """The layers without the head."""
        return tuple(layer for layer in self.layers if layer.name != self.head)

    def need_head(self, where: str) -> str:
        """Returns the path of the head.

        Args:
            where: Name of the component, for messages.

        Raises:
            TrialError: The network does not end with a linear layer.
        """
        if self.head is None:
            raise TrialError(
                "shape",
                "the network does not end with a linear layer",
                where=where,
                why="the head is trained by itself at the end of every stage, and its output must be the network's",
                fix="build networks whose forward returns the output of an nn.Linear, or take a learner without a "
                "head of its own, such as cgap.replay",
            )
        return self.head


def layers_of(network: nn.Module, inputs: InputsLike) -> Layers:
    """Reads the layers off one recorded pass on the meta device; the network is not touched.

    Args:
        network: Network, called as the inputs say.
        inputs: Inputs of the network.

    Raises:
        TaskError: The network cannot take such inputs, or does what cannot be counted.
    """
    counter = count_operations(network, inputs, where="cgap")
    counts = {name: sum(found.values()) // 2 for name, found in counter.get_flop_counts().items()}
    prefix = type(network).__name__
    names, norms, head = _record(network, inputs)
    modules = dict(network.named_modules())
    layers = [
        Layer(name, counts.get(f"{prefix}.{name}" if name else prefix, 0), _units(modules[name]), norms.get(name))
        for name in names
    ]
    return Layers(tuple(layers), int(counter.get_total_flops()) // 2, head)


def _units(module: nn.Module) -> int:
    assert isinstance(module, KINDS)
    return module.weight.shape[0]


def _record(network: nn.Module, inputs: InputsLike) -> tuple[list[str], Mapping[str, str], str | None]:
    """Names of the weighted layers in order, the normalisation behind each, and the head."""
    from nasplug.contract.io import Inputs

    copied = meta_copy(network).eval()
    order: list[str] = []
    norms: dict[str, str] = {}
    made: dict[int, tuple[str, Tensor]] = {}  # the tensors are held, so that no other one gets their number

    def watch(name: str, module: nn.Module) -> None:
        def after(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            if isinstance(module, KINDS):
                if name not in order:
                    order.append(name)
                made[id(output)] = name, output
            elif args and id(args[0]) in made:
                norms.setdefault(made[id(args[0])][0], name)

        module.register_forward_hook(after)

    for name, module in copied.named_modules():
        if isinstance(module, (*KINDS, _BatchNorm)):
            watch(name, module)
    args, kwargs = Inputs.of(inputs).example(device="meta")
    with torch.no_grad():
        try:
            answer = copied(*args, **kwargs)
        except Exception:  # control flow on values: nothing runs without numbers, so the order is that of definition
            plain = [name for name, module in network.named_modules() if isinstance(module, KINDS)]
            linear = [name for name in plain if isinstance(network.get_submodule(name), nn.Linear)]
            return plain, {}, linear[-1] if linear and linear[-1] == plain[-1] else None
    last = made.get(id(answer))
    head = last[0] if last is not None and isinstance(copied.get_submodule(last[0]), nn.Linear) else None
    return order, norms, head

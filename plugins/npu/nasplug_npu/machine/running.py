"""Runs a folded network on the machine: maps beside the integers of the folded network, clocks beside the model's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug_npu.config import NPUConfig
from nasplug_npu.machine.checking import read_map
from nasplug_npu.machine.comparison import predict
from nasplug_npu.machine.compiler import Compiler
from nasplug_npu.machine.folded import Chain, read_folded
from nasplug_npu.machine.functional import Functional
from nasplug_npu.machine.layout import Ints
from nasplug_npu.machine.parameters import Parameters, parameters
from nasplug_npu.machine.planning import plan
from nasplug_npu.machine.simulators import Simulator
from nasplug_npu.machine.timing import layer_clocks

if TYPE_CHECKING:
    from nasplug_darts_lp.folding.fold import FoldedNetwork
    from torch import Tensor


@dataclass(frozen=True)
class LayerRun:
    """One layer of a run.

    Attributes:
        name: Name of the layer.
        bands: Tiles along rows.
        groups: Tiles along output channels.
        clocks: Clocks of the hardware, from the end of the layer before; None where only the functional model ran.
        functional: Clocks of the functional model.
        predicted: Clocks of the analytic model.
        numbers: Numbers that were compared with the folded network, over all images.
        differing: Number of those that differ.
    """

    name: str
    bands: int
    groups: int
    clocks: int | None
    functional: int
    predicted: float
    numbers: int
    differing: int

    @property
    def deviation(self) -> float:
        """How much the analytic model is off the clocks of the machine."""
        return self.predicted / (self.clocks if self.clocks is not None else self.functional) - 1


@dataclass(frozen=True)
class Run:
    """A run.

    Attributes:
        layers: Layers in their order.
        images: Number of images.
        left: Nodes of the folded network that are left to the host.
    """

    layers: tuple[LayerRun, ...]
    images: int
    left: tuple[str, ...] = ()

    @property
    def differing(self) -> int:
        """Numbers that differ, in all layers."""
        return sum(layer.differing for layer in self.layers)

    @property
    def clocks(self) -> int:
        """Clocks of one image."""
        return sum(layer.functional if layer.clocks is None else layer.clocks for layer in self.layers)

    @property
    def deviation(self) -> float:
        """How much the analytic model is off in the sum."""
        return sum(layer.predicted for layer in self.layers) / self.clocks - 1

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        layers = [{**asdict(layer), "deviation": layer.deviation} for layer in self.layers]
        totals = {"clocks": self.clocks, "differing": self.differing, "deviation": self.deviation}
        return {"images": self.images, "left_to_the_host": list(self.left), "layers": layers, **totals}


@dataclass(frozen=True)
class Compiled:
    """Layers as a program, with the cuts that were chosen."""

    compiler: Compiler
    cuts: tuple[tuple[int, int], ...]


def compile_chain(chain: Chain, build: Parameters, *, prefetch: bool = False) -> Compiled:
    """Compiles a chain with the fastest cut of every layer.

    Args:
        chain: The layers.
        build: The machine.
        prefetch: Whether weights are loaded while the layer before is computed.
    """
    compiler = Compiler(build, prefetch=prefetch)
    maps = {-1: compiler.input(*chain.shape, chain.bits, signed=chain.signed)}
    cuts = []
    for number, (layer, sources) in enumerate(zip(chain.layers, chain.sources, strict=True)):
        read = [maps[source] for source in sources]
        best = plan(build, layer, read[0], read[1] if len(read) > 1 else None)
        cuts.append((best.bands, best.groups))
        maps[number] = compiler.layer(layer, *read, bands=best.bands, groups=best.groups)
    return Compiled(compiler, tuple(cuts))


def run(
    folded: FoldedNetwork,
    config: NPUConfig,
    images: Tensor,
    simulator: Simulator | None,
    *,
    prefetch: bool = False,
    partial: bool = False,
) -> Run:
    """Runs a folded network, image by image.

    Args:
        folded: The network.
        config: The unit.
        images: Inputs (N, ...), on the CPU.
        simulator: Simulator of the machine; None takes the functional model.
        prefetch: Whether weights are loaded while the layer before is computed.
        partial: Whether the network may go on elsewhere from the first node that the machine does not compute.

    Raises:
        SpecError: The machine cannot compute the network, or cannot be built so.
    """
    build = parameters(config)
    chain = read_folded(folded, narrow=build.narrow, partial=partial)
    compiled = compile_chain(chain, build, prefetch=prefetch)
    program = compiled.compiler.program
    functional = dict(layer_clocks(program))
    found = dict.fromkeys((layer.name for layer in chain.layers), (0, 0))
    clocks: dict[str, int] = {}
    for image in images:
        wanted = _codes(folded, chain, image)
        inputs = _shaped(wanted[chain.first[0]], chain.shape) - chain.first[1]
        outcome = (simulator or Functional(build)).run(program, program.maps["input"].pack(inputs))
        if simulator is not None:
            clocks = dict(outcome.layers(program))
        stored = [read_map(program, outcome, layer.name) for layer in chain.layers]
        for layer, (node, zero), mine in zip(chain.layers, chain.stages, stored, strict=True):
            if not node:
                continue
            theirs = _shaped(wanted[node], mine.shape) - zero
            numbers, differing = found[layer.name]
            found[layer.name] = numbers + mine.size, differing + int((mine != theirs).sum())
    rows = []
    for layer, sources, cut in zip(chain.layers, chain.sources, compiled.cuts, strict=True):
        read = program.maps["input" if sources[0] < 0 else chain.layers[sources[0]].name]
        predicted = predict(config, layer, (read.channels, read.height, read.width), read.bits).clocks
        rows.append(
            LayerRun(layer.name, *cut, clocks.get(layer.name), functional[layer.name], predicted, *found[layer.name])
        )
    return Run(tuple(rows), len(images), chain.left)


def _shaped(numbers: Tensor, shape: tuple[int, ...]) -> Ints:
    return np.asarray(numbers.numpy().astype(np.int64).reshape(shape))


def _codes(folded: FoldedNetwork, chain: Chain, image: Tensor) -> dict[str, Tensor]:
    """What the nodes of the folded network give for an image, by their names."""
    import torch
    from torch import fx

    wanted = {node for node, _ in chain.stages} | {chain.first[0]}
    seen: dict[str, Tensor] = {}

    class Watch(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            result = super().run_node(n)
            if str(n) in wanted:
                seen[str(n)] = result[0]
            return result

    with torch.no_grad():
        Watch(folded.body).run(image[None])
    return seen

"""The macro search space: what is connected inside the phases of a convolutional network. Torch only to build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.protocols import Choice, Task
from nasplug.contract.records import Architecture, Genotype
from nasplug.contract.wording import plural
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph
from nasplug.spaces.images import ClassifiesImages
from nasplug_emonas.phases import Phase, active, bits, pairs

if TYPE_CHECKING:
    from torch import nn

    from nasplug.workloads.workload import Workload

Decoder: TypeAlias = Literal["residual", "preact", "dense"]


class MacroSpace(ClassifiesImages, ChoiceSpace):
    """Networks of phases with free connections, the macro space of NSGA-Net after Genetic CNN.

    A phase has a bit for every pair of its nodes and a residual bit; bits are repaired into a network, and genotypes
    that build the same one, up to the numbering of nodes, have the same key. A phase without connections is left out,
    and those behind it move up. Between phases a pool halves the image; the mean over it feeds a linear classifier.

    Sources: Lu et al., "NSGA-Net", GECCO 2019 (arXiv 1810.03522), and the released code; Xie and Yuille, "Genetic CNN",
    ICCV 2017. EMONAS (Feng, KTH 2023) names no space.

    Args:
        nodes: Nodes of every phase, or a list with those of each; 4 are 21 bits, and 2,097,152 genotypes.
        channels: Channels of the phases; one number is doubled from phase to phase. NSGA-Net searched with 32, and
            trained the result with [128, 128, 128]. Processors without a GPU are served better by 8.
        decoder: Kind of node: `residual` (convolution, batch normalisation, ReLU), `preact` (the reverse), or `dense`
            (the bottleneck layer of DenseNet).
        growth: Channels of a dense node; NSGA-Net has 64.
        phases: Number of phases, if `nodes` and `channels` do not tell.

    Raises:
        SpecError: A size below 1, or lists of different lengths.
    """

    def __init__(
        self,
        nodes: int | list[int] = 4,
        channels: int | list[int] = 32,
        decoder: Decoder = "residual",
        growth: int = 64,
        phases: int = 3,
    ) -> None:
        where = "space 'emonas.macro'"
        if decoder not in get_args(Decoder):
            fix = did_you_mean(str(decoder), get_args(Decoder))
            raise SpecError(f"there is no decoder {decoder!r}", where=where, fix=fix)
        count = next((len(sizes) for sizes in (nodes, channels) if isinstance(sizes, list)), phases)
        self.nodes = tuple(nodes) if isinstance(nodes, list) else (nodes,) * count
        self.channels = tuple(channels) if isinstance(channels, list) else tuple(channels << i for i in range(count))
        if len(self.nodes) != len(self.channels):
            raise SpecError(
                f"expected {plural(len(self.nodes), 'number')} of channels, one per phase, got {len(self.channels)}",
                where=where,
            )
        if count < 1 or min((*self.nodes, *self.channels, growth)) < 1 or min(self.nodes) < 2:
            raise SpecError(
                f"nodes={nodes}, channels={channels}, growth={growth} and phases={phases} do not make a network",
                where=where,
                fix="give 2 nodes or more, and 1 or more of everything else",
            )
        self.decoder: Decoder = decoder
        self.growth = growth
        choices = []
        for phase, size in enumerate(self.nodes, start=1):
            choices += [Choice(f"phase{phase}_{x}->{y}", (0, 1)) for x, y in pairs(size)]
            choices.append(Choice(f"phase{phase}_residual", (0, 1)))
        super().__init__("emonas.macro", choices)

    def phases(self, genotype: Any) -> list[Phase]:
        """The phases that are built, repaired and in canonical order."""
        parts, start = [], 0
        for size in self.nodes:
            parts.append(genotype[start : start + bits(size)])
            start += bits(size)
        return active(parts, self.nodes)

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """The phases that are built: for each what its nodes read, and what its output reads."""
        return tuple([(phase.inputs, phase.outputs) for phase in self.phases(genotype)])

    def graph(self, architecture: Architecture) -> Graph:
        """Nodes are convolutions, `join` at the end of every phase, and `max_pool` between two phases."""
        labels, edges = ["input"], []
        before = 0  # what the next phase reads
        for index, phase in enumerate(self.phases(architecture.genotype)):
            if index:
                edges.append((before, len(labels)))
                before = len(labels)
                labels.append("max_pool")
            names = [before, *range(len(labels), len(labels) + len(phase.inputs) + 1)]
            labels += ["conv"] * len(phase.inputs) + ["join"]
            edges += [(names[source], names[target]) for source, target in phase.edges]
            before = len(labels) - 1
        edges.append((before, len(labels)))
        return Graph((*labels, "output"), tuple(edges))

    def build(self, architecture: Architecture, task: Task) -> Any:
        """A `nasplug_emonas.networks.macro.MacroNetwork`: images (N, *task.input_shape) to logits.

        Raises:
            SpecError: The inputs are not images.
        """
        from nasplug_emonas.networks.macro import MacroNetwork

        return MacroNetwork(
            self.phases(architecture.genotype), task.input_shape, task.outputs, self.channels, self.decoder, self.growth
        )

    def shared(self, architecture: Architecture, network: nn.Module) -> dict[str, tuple[str, dict[int, Sequence[int]]]]:
        """Every node reads the same channels of another node in all networks; see `nasplug.SharesWeights`."""
        from nasplug_emonas.networks.macro import PhaseNetwork

        return {
            f"{path}.{name}": (f"{path}.{name}", {axis: positions})
            for path, phase in network.named_modules()
            if isinstance(phase, PhaseNetwork)
            for name, (axis, positions) in phase.read().items()
        }

    def workload(self, architecture: Architecture, task: Task) -> Workload:
        """The layers of the network, from the phases alone.

        Raises:
            SpecError: The inputs are not images.
        """
        from nasplug_emonas.workloads.macro import macro_workload

        return macro_workload(
            self.phases(architecture.genotype), task.input_shape, task.outputs, self.channels, self.decoder, self.growth
        )

    def parse(self, phases: Sequence[Sequence[Sequence[int]]]) -> Architecture:
        """Reads NSGA-Net's notation: a list per phase, with the bits of each node from the second on, then [residual].

        Raises:
            SpaceError: Another notation.
        """
        return self.architecture([bit for phase in phases for node in phase for bit in node])

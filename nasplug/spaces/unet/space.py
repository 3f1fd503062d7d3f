"""A space of U-Nets: depth, widths, blocks, kernels, skips, normalisation and deep supervision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import SpecError
from nasplug.contract.protocols import Choice, Task
from nasplug.contract.records import Architecture, Genotype
from nasplug.data.volumes.plan import strides_of
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph
from nasplug.spaces.medical import check_patches, spacing_of
from nasplug.spaces.unet.levels import Level
from nasplug.spaces.unet.sharing import Stage, shared_weights
from nasplug.spaces.unet.workload import unet_workload

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.io import Inputs
    from nasplug.workloads.workload import Workload

BLOCKS = ("conv", "residual", "inverted", "separable")
SKIPS = ("concat", "add", "gate")
KERNELS = ("3", "5", "flat")
NORMS = ("instance", "batch", "group")


class UNetSpace(ChoiceSpace):
    """U-Nets for slices or volumes, every level of which may be of another kind.

    Decisions: the number of steps downwards (`depth`), the channels at full resolution (`width`) and their growth per
    step (`growth`), the normalisation, how the decoder gains resolution (`up`), deep supervision, and for every level
    its blocks on the way down (`encoder0`, ...) and their number, its block on the way up (`decoder0`, ...), its kernel
    (`flat` has one voxel along the last axis), and its skip. Decisions of levels that are not there are not made. Axes
    are halved by the rule of nnU-Net, so that thick slices stay longer; patches of any size fit.

    Args:
        max_depth: Largest number of steps downwards.
        widths: Channels at full resolution.
        max_width: Largest number of channels of a level.
        blocks: Kinds of blocks: `conv`, `residual`, `inverted`, `separable`.
        repeats: Numbers of blocks of a level on the way down.

    Raises:
        SpecError: An argument is not valid.
    """

    produces = ("map", "volume")

    def __init__(
        self,
        max_depth: int = 4,
        widths: list[int] | None = None,
        max_width: int = 320,
        blocks: list[str] | None = None,
        repeats: list[int] | None = None,
    ) -> None:
        where = "space 'unet'"
        wide = [8, 16, 24, 32] if widths is None else list(widths)
        kinds = list(BLOCKS) if blocks is None else list(blocks)
        counts = [1, 2] if repeats is None else list(repeats)
        if not 1 <= max_depth <= 6 or not wide or not kinds or not counts:
            raise SpecError(f"max_depth={max_depth}, widths={wide}, repeats={counts}", where=where, fix="list some")
        if set(kinds) - set(BLOCKS) or min([*wide, *counts, max_width]) < 1:
            raise SpecError(
                f"blocks={kinds}, widths={wide}, repeats={counts}, max_width={max_width}",
                where=where,
                fix=f"take blocks of {', '.join(BLOCKS)} and numbers above 0",
            )
        self.max_width = max_width
        depths = tuple(range(1, max_depth + 1))
        choices = [
            Choice("depth", depths),
            Choice("width", tuple(wide)),
            Choice("growth", (1.5, 2.0)),
            Choice("norm", NORMS),
            Choice("up", ("transposed", "resize")),
            Choice("deep", (False, True)),
        ]
        for level in range(max_depth + 1):
            there = None if level <= 1 else {"depth": [depth for depth in depths if depth >= level]}
            above = None if level == 0 else {"depth": [depth for depth in depths if depth > level]}
            choices += [
                Choice(f"encoder{level}", tuple(kinds), when=there),
                Choice(f"repeats{level}", tuple(counts), when=there),
                Choice(f"kernel{level}", KERNELS, when=there),
            ]
            if level < max_depth:
                choices += [
                    Choice(f"decoder{level}", tuple(kinds), when=above),
                    Choice(f"skip{level}", SKIPS, when=above),
                ]
        super().__init__("unet", choices)

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """The genotype; with one step downwards there is nothing to supervise below the first output."""
        named = dict(zip((choice.name for choice in self.choices), genotype, strict=True))
        if named["depth"] == 1:
            named["deep"] = False
        return tuple(named.values())

    def label(self, architecture: Architecture) -> str:
        """Depth, width, and the blocks along the way: `depth 1, width 8 x 1.5: conv 3 > conv 5 > concat conv`."""
        made: dict[str, Any] = self.active(architecture)
        depth, deep = made["depth"], ", deep" if made["deep"] and made["depth"] > 1 else ""
        blocks = []
        for level in range(depth + 1):
            count = made[f"repeats{level}"]
            blocks.append(
                f"{made[f'encoder{level}']} {made[f'kernel{level}']}" + (f" ({count} times)" if count > 1 else "")
            )
        blocks += [f"{made[f'skip{level}']} {made[f'decoder{level}']}" for level in reversed(range(depth))]
        whole = f"depth {depth}, width {made['width']} x {made['growth']:g}, {made['norm']}, {made['up']}{deep}"
        return f"{whole}: {' > '.join(blocks)}"

    def check_inputs(self, inputs: Inputs) -> None:
        """Refuses everything but one slice or volume.

        Raises:
            SpecError: The networks cannot take such inputs.
        """
        check_patches(inputs)

    def levels(self, architecture: Architecture, task: Task) -> tuple[Level, ...]:
        """Returns the levels that are built for a task's patch, the finest first."""
        made: dict[str, Any] = self.active(architecture)
        patch = task.input_shape[1:]
        strides = [*strides_of(patch, spacing_of(task)), *[[1] * len(patch)] * (made["depth"] + 1)]
        found = []
        for level in range(made["depth"] + 1):
            found.append(
                Level(
                    self._width(made["width"], made["growth"], level),
                    made[f"encoder{level}"],
                    made.get(f"decoder{level}", ""),
                    made[f"repeats{level}"],
                    _kernel(made[f"kernel{level}"], len(patch)),
                    tuple(strides[level]),
                    made.get(f"skip{level}", ""),
                )
            )
        return tuple(found)

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """Builds the network for the task's patch and classes."""
        from nasplug.nn.padded import Padded
        from nasplug.spaces.unet.network import UNet

        levels = self.levels(architecture, task)
        made: dict[str, Any] = self.active(architecture)
        channels, *patch = task.input_shape
        deep = bool(made["deep"]) and made["depth"] > 1
        network = UNet(levels, channels, task.outputs, len(patch), made["norm"], made["up"], deep)
        factors = [math.prod(level.stride[axis] for level in levels[:-1]) for axis in range(len(patch))]
        return Padded(network, factors)

    def shared(self, architecture: Architecture, network: nn.Module) -> dict[str, tuple[str, dict[int, Sequence[int]]]]:
        """Blocks of one kind and position are one; see `nasplug.SharesWeights`."""
        made: dict[str, Any] = self.active(architecture)
        options: dict[str, Any] = {choice.name: choice.options for choice in self.choices}
        stages = [
            Stage(
                self._width(made["width"], made["growth"], level),
                self._width(max(options["width"]), max(options["growth"]), level),
                made[f"encoder{level}"],
                made.get(f"decoder{level}", ""),
                made.get(f"skip{level}", ""),
            )
            for level in range(made["depth"] + 1)
        ]
        return shared_weights([name for name, _ in network.named_parameters()], stages)

    def workload(self, architecture: Architecture, task: Task) -> Workload:
        """The workload that would be read off the built network."""
        made: dict[str, Any] = self.active(architecture)
        return unet_workload(
            self.levels(architecture, task), task.input_shape, task.outputs, str(made["norm"]), str(made["up"])
        )

    def graph(self, architecture: Architecture) -> Graph:
        """The blocks of both ways, with the skips as edges of their own."""
        made: dict[str, Any] = self.active(architecture)
        depth = made["depth"]
        labels = ["input"]
        edges: list[tuple[int, int]] = []
        ends = []
        for level in range(depth + 1):
            for _ in range(made[f"repeats{level}"]):
                edges.append((len(labels) - 1, len(labels)))
                labels.append(f"{made[f'encoder{level}']}_{made[f'kernel{level}']}")
            ends.append(len(labels) - 1)
        for level in reversed(range(depth)):
            edges += [(ends[level], len(labels)), (len(labels) - 1, len(labels))]
            labels.append(f"{made[f'skip{level}']}_{made[f'decoder{level}']}_{made[f'kernel{level}']}")
        edges.append((len(labels) - 1, len(labels)))
        return Graph((*labels, "output"), tuple(edges))

    def _width(self, width: int, growth: float, level: int) -> int:
        """Number of channels of a level."""
        wanted = round(width * growth**level / 8) * 8 if level else width
        return min(self.max_width, max(width, wanted))


def _kernel(kind: str, dimensions: int) -> tuple[int, ...]:
    if kind == "flat":
        return (*[3] * (dimensions - 1), 1)
    return (int(kind),) * dimensions

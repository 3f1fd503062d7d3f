"""Networks of the macro space, for images (N, C, H, W).

Source: Lu et al., "NSGA-Net", GECCO 2019 (arXiv 1810.03522), and the released code; dense nodes after Huang et al.,
"Densely Connected Convolutional Networks", CVPR 2017.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpecError
from nasplug_emonas.phases import Phase


def conv(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    """A convolution that keeps the size of the image, without bias."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)


def node(kind: str, inputs: int, outputs: int) -> nn.Module:
    """A node of a phase: (N, inputs, H, W) -> (N, outputs, H, W).

    Args:
        kind: `residual`, `preact` or `dense`.
        inputs: Channels of what it reads.
        outputs: Number of its output channels.
    """
    if kind == "dense":
        inner = 4 * outputs
        return nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(inplace=True),
            conv(inputs, inner, 1),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            conv(inner, outputs, 3),
        )
    if kind == "preact":
        # Not in place: other nodes may read the same feature map.
        return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), conv(inputs, outputs, 3))
    return nn.Sequential(conv(inputs, outputs, 3), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class PhaseNetwork(nn.Module):
    """A phase: (N, inputs, H, W) -> (N, outputs, H, W).

    What a node reads is concatenated. In residual and preact phases a 1x1 convolution brings several inputs back to the
    phase's channels; in dense phases nodes take them as they are, and such a convolution stands at the output.

    Args:
        phase: The graph.
        inputs: Channels that come in.
        outputs: Channels of the phase.
        first: Whether it is the first phase, which widens the image by a 3x3 instead of a 1x1 convolution.
        decoder: Kind of the nodes.
        growth: Channels of a dense node.
    """

    def __init__(self, phase: Phase, inputs: int, outputs: int, first: bool, decoder: str, growth: int) -> None:
        super().__init__()
        self.phase, self.decoder = phase, decoder
        self.widen: nn.Module = conv(inputs, outputs, 3 if first else 1) if inputs != outputs else nn.Identity()
        dense = decoder == "dense"
        width = [outputs, *[growth if dense else outputs] * len(phase.inputs)]
        self.joins = nn.ModuleDict()
        self.nodes = nn.ModuleList()
        for name, sources in enumerate(phase.inputs, start=1):
            total = sum(width[source] for source in sources)
            if len(sources) > 1 and not dense:
                self.joins[str(name)] = conv(total, outputs, 1)
                total = outputs
            self.nodes.append(node(decoder, total, width[name]))
        self.widths = tuple(width)
        total = sum(width[source] for source in phase.outputs)
        if dense or len(phase.outputs) > 1:
            self.joins["out"] = conv(total, outputs, 1)
        self.out = nn.Sequential(nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """Computes the nodes in their order."""
        values = [self.widen(x)]
        for name, (sources, module) in enumerate(zip(self.phase.inputs, self.nodes, strict=True), start=1):
            values.append(module(self._join(str(name), [values[source] for source in sources])))
        result: Tensor = self.out(self._join("out", [values[source] for source in self.phase.outputs]))
        return result

    def read(self) -> dict[str, tuple[int, list[int]]]:
        """Says which channels parameters read that read several nodes, as if every node were read.

        Returns:
            Axis and positions by name of the parameter; see `nasplug.SharesWeights`.
        """
        starts = [sum(self.widths[:source]) for source in range(len(self.widths))]

        def channels(sources: Sequence[int]) -> list[int]:
            return [starts[source] + channel for source in sources for channel in range(self.widths[source])]

        found: dict[str, tuple[int, list[int]]] = {}
        for name, sources in enumerate(self.phase.inputs, start=1):
            if str(name) in self.joins:
                found[f"joins.{name}.weight"] = 1, channels(sources)
            elif self.decoder == "dense":
                found |= {f"nodes.{name - 1}.0.{what}": (0, channels(sources)) for what in ("weight", "bias")}
                found[f"nodes.{name - 1}.2.weight"] = 1, channels(sources)
        if "out" in self.joins:
            found["joins.out.weight"] = 1, channels(self.phase.outputs)
        return found

    def _join(self, name: str, values: list[Tensor]) -> Tensor:
        joined = torch.cat(values, dim=1) if len(values) > 1 else values[0]
        result: Tensor = self.joins[name](joined) if name in self.joins else joined
        return result


class MacroNetwork(nn.Module):
    """Phases with pools between them, and a classifier: (N, C, H, W) -> logits (N, outputs).

    A pool that no longer fits the image is left out. Without any phase the classifier sees the mean image.

    Args:
        phases: Phases from the first to the last.
        input_shape: Channels, height and width of an image.
        outputs: Number of classes.
        channels: Channels of the phases; there may be more numbers than phases.
        decoder: `residual`, `preact` or `dense`.
        growth: Channels of a dense node.

    Raises:
        SpecError: The inputs are not images.
    """

    def __init__(
        self,
        phases: Sequence[Phase],
        input_shape: Sequence[int],
        outputs: int,
        channels: Sequence[int],
        decoder: str = "residual",
        growth: int = 64,
    ) -> None:
        super().__init__()
        if len(input_shape) != 3:
            raise SpecError(f"expected an image (C, H, W), got shape {tuple(input_shape)}", where="emonas.macro")
        width, side = int(input_shape[0]), min(input_shape[1:])
        layers: list[nn.Module] = []
        for index, phase in enumerate(phases):
            if index and side >= 2:
                layers.append(nn.MaxPool2d(2))
                side //= 2
            layers.append(PhaseNetwork(phase, width, channels[index], index == 0, decoder, growth))
            width = channels[index]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Classifies a batch of images."""
        logits: Tensor = self.classifier(self.features(x).mean(dim=(2, 3)))
        return logits

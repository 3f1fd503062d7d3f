"""The regressors through which info-NAS teaches an encoder: features of networks on images, or accuracies."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpecError

Mode = Literal["dense", "concat"]


@dataclass(frozen=True, slots=True)
class RegressorSettings:
    """Sizes; the defaults are the published ones.

    Attributes:
        mode: Layer at which the code of the graph meets the image: behind its convolutions (`dense`, the model that was
            used), or in front of them, as further channels (`concat`).
        code: Numbers the codes of a graph are brought to.
        width: Channels of the first convolution; each of `steps` doubles them.
        steps: Halvings of the resolution.
        dense: Width of the dense layers.
        dropout: Dropout in front of them.
    """

    mode: Mode = "dense"
    code: int = 16
    width: int = 128
    steps: int = 2
    dense: int = 512
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if self.mode not in ("dense", "concat"):
            raise SpecError(f"there is no mode {self.mode!r}", where="RegressorSettings", fix="write dense or concat")
        if min(self.code, self.width, self.dense) < 1 or self.steps < 0 or not 0.0 <= self.dropout < 1.0:
            raise SpecError(f"these sizes make no regressor: {asdict(self)}", where="RegressorSettings")

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


class ImageRegressor(nn.Module):
    """Predicts what a network computes on an image.

    The image goes through convolutions of 3 x 3 with batch normalisation and ReLU - one to `width` channels, then per
    step one that keeps and one of stride 2 that doubles them - and a global mean; the codes of the graph through one
    linear layer and ReLU. Both together go through three linear layers.

    Source: Suchoparova and Neruda, "Graph Embedding for Neural Architecture Search with Input-Output Information",
    2021.

    Args:
        codes: Numbers in all codes of a graph, V D.
        channels: Channels C of the images.
        outputs: Numbers to predict.
        settings: Sizes.
    """

    def __init__(self, codes: int, channels: int, outputs: int, settings: RegressorSettings | None = None) -> None:
        super().__init__()
        self.settings = chosen = settings or RegressorSettings()
        self.code = nn.Linear(codes, chosen.code)
        extra = chosen.code if chosen.mode == "concat" else 0
        layers, width = [_convolution(channels + extra, chosen.width)], chosen.width
        for _ in range(chosen.steps):
            layers += [_convolution(width, width), _convolution(width, 2 * width, stride=2)]
            width *= 2
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Linear(width + (chosen.code if chosen.mode == "dense" else 0), chosen.dense),
            nn.ReLU(),
            nn.Dropout(chosen.dropout),
            nn.Linear(chosen.dense, chosen.dense),
            nn.ReLU(),
            nn.Dropout(chosen.dropout),
            nn.Linear(chosen.dense, outputs),
        )

    def forward(self, codes: Tensor, images: Tensor) -> Tensor:
        """Predictions (B, outputs) for codes (B, V, D) and images (B, C, H, W)."""
        code = torch.relu(self.code(codes.flatten(1)))
        if self.settings.mode == "concat":
            tiled = code[:, :, None, None].expand(-1, -1, *images.shape[2:])
            seen = self.convolutions(torch.cat([images, tiled], dim=1)).mean(dim=(2, 3))
        else:
            seen = torch.cat([self.convolutions(images).mean(dim=(2, 3)), code], dim=1)
        predicted: Tensor = self.head(seen)
        return predicted


class AccuracyRegressor(nn.Module):
    """Predicts an accuracy in [0, 1] from the codes of a graph alone.

    Args:
        codes: Numbers in all codes of a graph, V D.
        settings: Settings, of which `code` and `dense` are used.
    """

    def __init__(self, codes: int, settings: RegressorSettings | None = None) -> None:
        super().__init__()
        self.settings = chosen = settings or RegressorSettings()
        self.code = nn.Linear(codes, chosen.code)
        self.head = nn.Sequential(
            nn.ReLU(), nn.Linear(chosen.code, chosen.dense), nn.ReLU(), nn.Linear(chosen.dense, 1)
        )

    def forward(self, codes: Tensor) -> Tensor:
        """Predictions (B, 1) for codes (B, V, D)."""
        return torch.sigmoid(self.head(self.code(codes.flatten(1))))


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )

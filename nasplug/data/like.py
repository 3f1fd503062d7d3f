"""What images the weights of a library were trained with: their size, mean and standard deviation."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug.contract.errors import SpecError
from nasplug.data.prepared import PreparedImages, prepare
from nasplug.data.source import ImageSource
from nasplug.optional import require

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class WeightsConfig:
    """The images that weights expect.

    Attributes:
        name: `timm:NAME` or `torchvision:NAME`.
        size: Height and width in pixels.
        mean: Mean per channel, with pixels in 0..1.
        std: Standard deviation per channel.
    """

    name: str
    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def statistics(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Returns mean and standard deviation of images with another number of channels: means over the weights' own.

        Args:
            channels: Number of channels of the images.
        """
        if channels == len(self.mean):
            return self.mean, self.std
        mean, std = sum(self.mean) / len(self.mean), sum(self.std) / len(self.std)
        return (mean,) * channels, (std,) * channels


def read_config(name: str) -> WeightsConfig:
    """Returns what a library says of its weights; reads no weights.

    Args:
        name: `timm:resnet18`, with a tag where there are several, or `torchvision:resnet18`, also with `:WEIGHTS`.

    Raises:
        SpecError: The library has no such weights.
        MissingExtraError: The library is not installed.
    """
    library, _, model = name.partition(":")
    if library == "timm":
        timm = require("timm", extra="timm", purpose="read the configuration of timm's weights")
        config = timm.get_pretrained_cfg(model) if timm.is_model(model) else None
        if config is not None:
            return _of_timm(name, config.to_dict())
    elif library == "torchvision":
        models = require("torchvision.models", extra="timm", purpose="read the configuration of torchvision's weights")
        model, _, tag = model.partition(":")
        try:
            known = models.get_model_weights(model)
            transforms = (known[tag] if tag else known.DEFAULT).transforms()
        except (ValueError, KeyError, AttributeError):
            transforms = None
        if transforms is not None:
            crop = transforms.crop_size
            height, width = (crop[0], crop[-1]) if isinstance(crop, (list, tuple)) else (crop, crop)
            return WeightsConfig(name, (height, width), tuple(transforms.mean), tuple(transforms.std))
    raise SpecError(
        f"there are no weights {name!r}",
        where="loading.like",
        fix="write timm:NAME, such as timm:resnet18.a1_in1k, or torchvision:NAME, such as torchvision:resnet18",
    )


def config_of(weights: str, network: nn.Module) -> WeightsConfig | None:
    """Returns what the weights of a network expect, None where nobody says it.

    Args:
        weights: `hub`, `torchvision:NAME` or a file.
        network: The network; a timm model has a configuration of its own.
    """
    if weights.startswith("torchvision:"):
        return read_config(weights)
    config: Any = next((part.pretrained_cfg for part in network.modules() if hasattr(part, "pretrained_cfg")), None)
    if config is None:
        return None
    tag = ".".join(filter(None, (config.get("architecture"), config.get("tag"))))
    return _of_timm(f"timm:{tag}", config)


def prepare_like(source: ImageSource, like: str | None, division: Mapping[str, Any]) -> PreparedImages:
    """Reads and divides images, with the size and statistics that weights expect.

    Args:
        source: Source of the images; one that has a `size` and does not say it takes the size of the weights.
        like: Weights, or None for the data's own statistics.
        division: Arguments of `nasplug.data.prepared.prepare`.
    """
    if like is None:
        return prepare(source.load(), **division)
    config = read_config(like)
    if getattr(source, "size", config.size) is None:
        source = copy.copy(source)
        source.size = config.size  # type: ignore[attr-defined]
    found = prepare(source.load(), **division)
    mean, std = (np.asarray(values) for values in config.statistics(len(found.mean)))
    note = f"normalised as for {like}"
    if found.input_shape[1:] != config.size:
        note += f", whose images have {config.size[0]} x {config.size[1]} pixels"
    return dataclasses.replace(found, mean=mean, std=std, remark="; ".join(filter(None, (found.remark, note))))


def _of_timm(name: str, config: Any) -> WeightsConfig:
    data = require("timm.data", extra="timm", purpose="read the configuration of timm's weights")
    found = data.resolve_data_config(pretrained_cfg=config)
    return WeightsConfig(name, tuple(found["input_size"][1:]), tuple(found["mean"]), tuple(found["std"]))

"""Folders of small pictures, and networks found on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import nasplug as nas
from nasplug.data import ImageFolder

torch.set_num_threads(1)


class SmallNetworks(nas.ChoiceSpace):
    """A convolution of one of two widths, with batch normalisation.

    Args:
        activation: What stands behind it: `relu` or `tanh`.
    """

    def __init__(self, activation: str = "relu") -> None:
        super().__init__("small", [nas.Choice("width", (4, 8))])
        self.activation = activation

    def build(self, architecture, task):
        (width,) = architecture.genotype
        middle = nn.ReLU() if self.activation == "relu" else nn.Tanh()
        return nn.Sequential(
            nn.Conv2d(task.input_shape[0], width, 3, padding=1),
            nn.BatchNorm2d(width),
            middle,
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * width, task.outputs),
        )


def _picture(rng, label, kind):
    """Noise with a faint bar, whose direction is the class."""
    pixels = rng.normal(0.4, 0.15, (12, 10))
    where = rng.integers(2, 8)
    (pixels if label == "down" else pixels.T)[:, where] += 0.4
    pixels = pixels.clip(0, 1)
    if kind == "grey":
        return Image.fromarray((pixels * 255).astype(np.uint8))
    if kind == "16 bit":
        return Image.fromarray((pixels * 4095).astype(np.uint16))
    colours = np.stack([pixels, pixels**2, 1 - pixels], -1)
    if kind == "alpha":
        colours = np.concatenate([colours * 0, pixels[..., None]], -1)
    return Image.fromarray((colours * 255).astype(np.uint8))


def write_pictures(folder, kind, counts=(60, 40, 20)):
    rng = np.random.default_rng(0)
    for split, count in zip(("train", "val", "test"), counts, strict=True):
        for label in ("across", "down"):
            target = folder / split / label
            target.mkdir(parents=True)
            for number in range(count):
                _picture(rng, label, kind).save(target / f"{number:03}.png")
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Makes a folder of pictures of a kind, once."""
    made = {}

    def make(kind):
        if kind not in made:
            made[kind] = write_pictures(tmp_path_factory.mktemp("pictures") / kind.replace(" ", "-"), kind)
        return made[kind]

    return make


@pytest.fixture(scope="session")
def found(pictures, tmp_path_factory):
    """Makes a study of two short trainings on a folder of pictures, once."""
    made = {}
    patch = pytest.MonkeyPatch()
    patch.setenv("NASPLUG_CACHE", str(tmp_path_factory.mktemp("cache")))

    def make(kind="grey", *, space=None, **options):
        key = (kind, str(space), str(options))
        if key not in made:
            task = nas.ImageClassification(
                ImageFolder(str(pictures(kind)), **options), batch_size=16, training=nas.Training(lr=0.02)
            )
            study = nas.search(
                task, space=space or SmallNetworks(), strategy="random", trials=2, epochs=3, costs=["params"]
            )
            made[key] = study
        return made[key]

    yield make
    patch.undo()

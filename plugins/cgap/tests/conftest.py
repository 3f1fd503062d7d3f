"""Small networks and data for sequences of stages."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import nasplug as nas
from nasplug.data.arrays import ImageArrays
from nasplug.data.source import ImageSource


class Blobs(ImageSource):
    """Images whose class is where they are bright: learned in an epoch or two."""

    def __init__(self, classes: int = 4, each: int = 40, val: int = 12):
        self.classes, self.each, self.val = classes, each, val

    def load(self):
        rng = np.random.default_rng(0)

        def part(each):
            y = np.repeat(np.arange(self.classes), each)
            y = y[rng.permutation(len(y))]
            x = rng.integers(0, 60, (len(y), 8, 8, 1))
            for image, label in zip(x, y, strict=True):
                row, column = divmod(int(label), 4)
                image[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] += 180
            return x.astype(np.uint8), y

        (x, y), (xv, yv), (xt, yt) = part(self.each), part(self.val), part(self.val)
        return ImageArrays(x, y, xv, yv, xt, yt)


class Nets(nas.ChoiceSpace):
    """Two convolutions with normalisation and a linear head."""

    def __init__(self, head: bool = True):
        super().__init__("nets", [nas.Choice("width", (4, 6))])
        self.head = head

    def build(self, architecture, task):
        (width,) = architecture.genotype
        channels = task.input_shape[0]
        body = [
            *(nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, 2 * width, 3, padding=1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU()),
            nn.AdaptiveAvgPool2d(4),
        ]
        if self.head:
            return nn.Sequential(*body, nn.Flatten(), nn.Linear(32 * width, task.outputs))
        return nn.Sequential(*body, nn.Conv2d(2 * width, task.outputs, 4), nn.Flatten())


def blobs(classes: int = 4, **options):
    options.setdefault("batch_size", 16)
    training = options.pop("training", nas.Training(lr=0.03))
    return nas.ImageClassification(Blobs(classes), training=training, **options)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)

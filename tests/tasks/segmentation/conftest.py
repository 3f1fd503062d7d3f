from __future__ import annotations

import pytest
from torch import nn

import nasplug as nas
from nasplug.data.volumes import Folds, NpzVolumes
from nasplug.tasks.segmentation import Patches, Segmentation
from nasplug.tasks.settings import Training
from tests.support.volumes import write_npz


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NASPLUG_CACHE", str(tmp_path / "cache"))


class Convolutions(nas.ChoiceSpace):
    """Three convolutions of one width, flat or not."""

    produces = ("map", "volume")

    def __init__(self):
        super().__init__("convolutions", [nas.Choice("width", (4, 8))])

    def build(self, architecture, task):
        layer = nn.Conv2d if len(task.input_shape) == 3 else nn.Conv3d
        (width,) = architecture.genotype
        channels = task.input_shape[0]
        return nn.Sequential(
            layer(channels, width, 3, padding=1),
            nn.ReLU(),
            layer(width, width, 3, padding=1),
            nn.ReLU(),
            layer(width, task.outputs, 1),
        )


@pytest.fixture
def space():
    return Convolutions()


@pytest.fixture
def make_task(tmp_path):
    """Makes a task on six small volumes; groups of settings are given as mappings."""
    path = tmp_path / "volumes.npz"

    def make(dimensions=3, count=6, **groups) -> Segmentation:
        if not path.is_file():
            write_npz(path, count)
        patches = {"size": [12] * dimensions, "batch_size": 4, **groups.pop("patches", {})}
        folds = Folds(**groups.pop("folds", {}))
        training = Training(**{"lr": 1e-2, **groups.pop("training", {})})
        source = groups.pop("data", NpzVolumes(str(path), channels=["MRI"]))
        return Segmentation(source, dimensions, Patches(**patches), folds=folds, training=training, **groups)

    return make

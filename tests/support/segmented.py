"""Studies of one short training that segments turned volumes."""

from __future__ import annotations

import nibabel
import numpy as np

import nasplug as nas
from nasplug.data.volumes import Decathlon, Folds, Preparation
from nasplug.tasks.segmentation import Patches, Scoring, Segmentation
from tests.support.volumes import write_decathlon, write_nifti

#: Axes that run to the left, upwards and to the back, with thick slices along the second one.
TURNED = np.array([[-1.0, 0, 0, 40], [0, 0, -1.5, 70], [0, 3, 0, -20], [0, 0, 0, 1]])


def short_study(folder, dimensions, preparation, about, flips):
    """A study of one short training on turned volumes, and its best trial."""
    write_decathlon(folder, affine=TURNED, **about)
    if "labels" in about:  # masks of other values
        for path in (folder / "labelsTr").iterdir():
            values = np.asarray(nibabel.load(path).dataobj)
            write_nifti(path, np.array([0, 5, 9], np.uint8)[values.astype(int)], TURNED)
    task = Segmentation(
        Decathlon(str(folder)),
        dimensions,
        Patches(size=[12] * dimensions, batch_size=4, per_epoch=32),
        Preparation(**preparation),
        Folds(test_fraction=0),
        scoring=Scoring(flips=flips),
        training=nas.Training(lr=3e-2),
    )
    space = {"unet": {"max_depth": 1, "widths": [8], "repeats": [1], "blocks": ["conv"]}}
    return nas.search(task, space=space, strategy="random", trials=1, epochs=2)

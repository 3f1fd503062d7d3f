"""What a clinic's files get wrong is one message that names case and file, and no network is trained."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import nasplug as nas
from nasplug.contract.errors import DataError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.records import Evaluation
from nasplug.data.volumes import Decathlon, Folds, NpzVolumes
from nasplug.tasks.segmentation import Patches, Segmentation
from tests.support.volumes import balls, write_decathlon, write_nifti, write_npz

NAME = "case_02.nii.gz"


class Idle:
    """Counts the networks that it is asked to train, and trains none."""

    objectives = {"val_dice": "max"}  # noqa: RUF012

    def __init__(self):
        self.asked = 0

    @hookimpl
    def evaluate(self, run):
        self.asked += 1
        return Evaluation({"val_dice": 0.5})


def missing_label(folder):
    (folder / "labelsTr" / NAME).unlink()


def other_shape(folder):
    write_nifti(folder / "labelsTr" / NAME, balls((20, 18, 15), 2)[1])


def other_spacing(folder):
    write_nifti(folder / "labelsTr" / NAME, balls(seed=2)[1], np.diag([1, 1, 2.5, 1]))


def value_beyond_the_classes(folder):
    mask = balls(seed=2)[1]
    mask[0, 0, 0] = 7
    write_nifti(folder / "labelsTr" / NAME, mask)


def empty_mask(folder):
    write_nifti(folder / "labelsTr" / NAME, np.zeros((20, 18, 16), np.uint8))


def voxels_that_are_nan(folder):
    image = balls(seed=2)[0]
    image[3, 3, 3] = np.nan
    write_nifti(folder / "imagesTr" / NAME, image)


def corrupt_file(folder):
    path = folder / "imagesTr" / NAME
    path.write_bytes(path.read_bytes()[:2000])


def four_dimensions(folder):
    write_nifti(folder / "imagesTr" / NAME, np.stack([balls(seed=2)[0]] * 2, -1))


DAMAGES = {
    missing_label: ["case_02", "labelsTr"],
    other_shape: ["case_02", "20", "15"],
    other_spacing: ["case_02", "2.5"],
    value_beyond_the_classes: ["case_02", "7"],
    empty_mask: ["case_02", "empty"],
    voxels_that_are_nan: ["case_02", "NaN"],
    corrupt_file: ["case_02"],
    four_dimensions: ["case_02", "4"],
}


def refused(source, folds=None, patch=12) -> str:
    """The message of a search on a source that must not train anything."""
    idle = Idle()
    with pytest.raises(DataError) as caught:
        nas.search(
            Segmentation(source, 3, Patches(size=[patch] * 3, batch_size=2), folds=folds or Folds()),
            space=nas.component("unet", max_depth=1, widths=[4]),
            evaluator=idle,
            trials=2,
        )
    assert idle.asked == 0
    return str(caught.value)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return write_decathlon(tmp_path_factory.mktemp("sound"))


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_case_is_named(damage, sound, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(sound, folder)
    damage(folder)
    message = refused(Decathlon(str(folder)))
    assert all(word in message for word in DAMAGES[damage])


def test_a_patient_in_two_parts_is_named(tmp_path):
    patients = np.array(["ann", "bob", "cid", "dan", "eve", "ann"])
    path = write_npz(tmp_path / "v.npz", patient=patients, split=np.array([0, 0, 0, 0, 1, 1]))
    message = refused(NpzVolumes(str(path)))
    assert "ann" in message


def test_a_class_that_a_fold_lacks_is_named(tmp_path):
    labels = np.stack([balls(seed=number)[1] for number in range(6)])
    labels[:5][labels[:5] == 2] = 0
    path = write_npz(tmp_path / "v.npz", labels=labels)
    message = refused(NpzVolumes(str(path)), Folds(count=3, test_fraction=0.0))
    assert "shell" in message


def test_a_patch_that_exceeds_the_volumes_is_named(sound):
    message = refused(Decathlon(str(sound)), patch=32)
    assert "32" in message
    assert "20" in message

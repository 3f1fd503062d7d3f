from __future__ import annotations

import json

import pytest

from nasplug.contract.errors import DataError
from nasplug.data.volumes import Folds, NnUNet, divisions, fingerprint
from tests.support.volumes import balls, write_nifti


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "Dataset001_Balls"
    for number in range(4):
        image, mask = balls(seed=number)
        for channel in range(2):
            write_nifti(folder / "imagesTr" / f"ball_{number}_{channel:04d}.nii.gz", image * (1 - 2 * channel))
        write_nifti(folder / "labelsTr" / f"ball_{number}.nii.gz", mask)
    describe(folder)
    return folder


def describe(folder, **changes):
    about = {
        "channel_names": {"0": "T1", "1": "CT"},
        "labels": {"shell": 2, "background": 0, "core": 1},
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps({**about, **changes}))


def test_channels_and_labels(folder):
    source = NnUNet(str(folder))
    cases = source.load()
    assert (cases.classes, cases.channels) == (("background", "core", "shell"), ("T1", "CT"))
    assert [case.name for case in cases.cases] == [f"ball_{number}" for number in range(4)]
    volume = source.read(cases.cases[0], cases)
    assert volume.image.shape == (2, 20, 18, 16)
    assert (volume.image[0] == -volume.image[1]).all()


def test_what_is_missing(folder):
    (folder / "imagesTr" / "ball_2_0001.nii.gz").unlink()
    with pytest.raises(DataError, match=r"'ball_2' has no channel 1, 'CT'(.|\n)*add ball_2_0001.nii.gz"):
        NnUNet(str(folder)).load()
    (folder / "imagesTr" / "ball_2_0000.nii.gz").unlink()
    (folder / "labelsTr" / "ball_2.nii.gz").unlink()
    (folder / "labelsTr" / "ball_3.nii.gz").unlink()
    with pytest.raises(DataError, match="'ball_3' has no label"):
        NnUNet(str(folder)).load()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"labels": {"background": 0, "whole": [1, 2]}}, "regions"),
        ({"labels": {"background": 0, "core": "1"}}, "'core' has the value '1'(.|\n)*without quotes"),
        ({"labels": {}}, "no `labels`"),
        ({"labels": {"background": 0, "core": 1, "shell": 1}}, "labels 'core' and 'shell' have one value: 1"),
        ({"channel_names": {}}, "no `channel_names`"),
        ({"channel_names": {"MRI": 0, "CT": 1}}, "keys of `channel_names` are not numbers: MRI, CT"),
        ({"file_ending": ".nrrd"}, "'.nrrd'"),
    ],
)
def test_what_is_not_supported(folder, change, match):
    describe(folder, **change)
    with pytest.raises(DataError, match=match):
        NnUNet(str(folder)).load()


def test_a_name_without_a_channel(folder):
    write_nifti(folder / "imagesTr" / "stray.nii.gz", balls()[0])
    with pytest.raises(DataError, match=r"'stray.* does not end with a channel"):
        NnUNet(str(folder)).load()


def test_folds_of_the_folder_are_used(folder):
    names = [f"ball_{number}" for number in range(4)]
    splits = [{"train": names[2:], "val": names[:2]}, {"train": names[:2], "val": names[2:]}]
    (folder / "splits_final.json").write_text(json.dumps(splits))
    facts = fingerprint(NnUNet(str(folder)))
    found = divisions(facts, Folds(count=2, test_fraction=0))
    assert [parts.val for parts in found] == [(0, 1), (2, 3)]
    with pytest.raises(DataError, match="no fold 2"):
        divisions(facts, Folds(count=3, test_fraction=0))
    splits[1]["val"] = names[1:]
    (folder / "splits_final.json").write_text(json.dumps(splits))
    with pytest.raises(DataError, match="'ball_1' validates in folds 0 and 1"):
        NnUNet(str(folder)).load()


def test_a_patient_in_two_folds(folder):
    names = [f"ball_{number}" for number in range(4)]
    splits = [{"val": names[:2]}, {"val": names[2:]}]
    (folder / "splits_final.json").write_text(json.dumps(splits))
    facts = fingerprint(NnUNet(str(folder), patient=r"(ball)"))
    with pytest.raises(DataError, match="patient 'ball' is in two folds: 0 and 1"):
        divisions(facts, Folds(count=2, test_fraction=0))


@pytest.mark.parametrize(
    ("folds", "match"),
    [
        ({}, "not a list of folds"),
        ([], "not a list of folds"),
        ([{"train": []}], "a fold has no 'val'"),
        ([{"train": ["ball_0"], "val": ["ball_0"]}], "'ball_0' trains and validates in fold 0"),
        ([{"train": ["ball_0"], "val": ["ball_9"]}], "fold 0 validates on case 'ball_9', which has no image"),
    ],
)
def test_folds_that_cannot_be(folder, folds, match):
    (folder / "splits_final.json").write_text(json.dumps(folds))
    with pytest.raises(DataError, match=match):
        NnUNet(str(folder)).load()


def test_a_label_without_an_image(folder):
    write_nifti(folder / "labelsTr" / "ball_7.nii.gz", balls()[1])
    with pytest.raises(DataError, match=r"'ball_7.nii.gz' has no image(.|\n)*add ball_7_0000.nii.gz"):
        NnUNet(str(folder)).load()

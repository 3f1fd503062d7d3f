from __future__ import annotations

import json

import numpy as np
import pytest

from nasplug.contract.errors import DataError
from nasplug.data.volumes import Decathlon, Preparation, Prepared
from tests.support.volumes import balls, write_decathlon, write_nifti


def test_cases_classes_and_channels(tmp_path):
    cases = Decathlon(write_decathlon(tmp_path / "Task01_Balls", 3)).load()
    assert [case.name for case in cases.cases] == ["case_00", "case_01", "case_02"]
    assert cases.classes == ("background", "core", "shell")
    assert cases.channels == ("MRI",)
    assert cases.values == (0, 1, 2)


def test_a_volume_is_what_the_files_hold(tmp_path):
    source = Decathlon(write_decathlon(tmp_path / "d", 2, affine=np.diag([2, 1, 3, 1])))
    cases = source.load()
    volume = source.read(cases.cases[1], cases)
    image, mask = balls(seed=1)
    np.testing.assert_array_equal(volume.image, image[None])
    np.testing.assert_array_equal(volume.label, mask)
    assert volume.spacing == (2, 1, 3)


def test_a_pattern_names_the_patients(tmp_path):
    source = Decathlon(str(write_decathlon(tmp_path / "d", 3)), patient=r"case_(\d)\d")
    assert {case.patient for case in source.load().cases} == {"0"}
    with pytest.raises(DataError, match="does not match"):
        Decathlon(str(tmp_path / "d"), patient=r"sub-(\d)").load()


def test_channels_in_the_fourth_axis(tmp_path):
    folder = write_decathlon(tmp_path / "d", 2, modality={"0": "T2", "1": "ADC"})
    for number in range(2):
        image, _ = balls(seed=number)
        write_nifti(folder / "imagesTr" / f"case_{number:02d}.nii.gz", np.stack([image, -image], -1))
    prepared = Prepared.of(Decathlon(str(folder)), Preparation())
    assert prepared.image(0).shape == (2, 20, 18, 16)
    np.testing.assert_allclose(prepared.image(0)[0], -prepared.image(0)[1], atol=1e-5)


def refused(folder, match):
    with pytest.raises(DataError, match=match) as error:
        Decathlon(str(folder)).load()
    assert str(folder) in str(error.value)


def test_what_is_missing_is_named(tmp_path):
    refused(tmp_path, "there is no dataset.json")
    folder = write_decathlon(tmp_path / "d", 2)
    (folder / "labelsTr" / "case_01.nii.gz").unlink()
    refused(folder, "'case_01' has no label")
    (folder / "imagesTr" / "case_00.nii.gz").unlink()
    refused(folder, "image of case 'case_00' is missing")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"training": None}, "no list `training`"),
        ({"training": [{"image": "./imagesTr/case_00.nii.gz"}]}, "'case_00' has no label"),
        ({"training": [7]}, "cannot read the entry 7"),
        ({"training": []}, "no labelled cases"),
        ({"labels": {}}, "no mapping 'labels'"),
        ({"labels": {"zero": "background"}}, "are not numbers"),
        ({"labels": {"background": 0, "core": 1}}, r"are not numbers(.|\n)*`nnunet` reads folders of nnU-Net"),
    ],
)
def test_a_bad_description_is_refused(tmp_path, change, match):
    folder = write_decathlon(tmp_path / "d", 1)
    about = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**about, **change}))
    refused(folder, match)


def test_one_name_twice_is_refused(tmp_path):
    folder = write_decathlon(tmp_path / "d", 1)
    about = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**about, "training": about["training"] * 2}))
    refused(folder, "two cases are called 'case_00'")


@pytest.mark.data
def test_the_hippocampus_excerpt(real_data):
    prepared = Prepared.of(Decathlon(str(real_data / "msd_hippocampus" / "Task04_Hippocampus_mini")), Preparation())
    facts = prepared.facts
    assert len(facts.cases) == 8
    assert facts.classes == ("background", "Anterior", "Posterior")
    assert facts.spacing == (1, 1, 1)
    assert all(min(case.voxels) > 0 for case in facts.cases)
    with np.load(real_data / "msd_hippocampus" / "msd_hippocampus.npz") as file:
        row = [str(name) for name in file["names"]].index(facts.cases[0].name)
        x, y, z = file["shapes"][row]
        np.testing.assert_array_equal(prepared.truth(0), file["labels"][row, :x, :y, :z])

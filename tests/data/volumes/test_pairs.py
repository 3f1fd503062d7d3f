from __future__ import annotations

import pytest

from nasplug.contract.errors import DataError
from nasplug.data.volumes import NiftiPairs
from tests.support.volumes import balls, write_nifti

CLASSES = {"background": 0, "core": 1, "shell": 2}
IMAGES = {"T1w": "sub-*/anat/{case}_T1w.nii.gz"}
LABELS = "derivatives/manual/sub-*/anat/{case}_dseg.nii.gz"


@pytest.fixture
def bids(tmp_path):
    for subject, session in ((1, 1), (1, 2), (2, 1)):
        image, mask = balls(seed=subject + session)
        name = f"sub-{subject:02d}_ses-{session}"
        write_nifti(tmp_path / f"sub-{subject:02d}" / "anat" / f"{name}_T1w.nii.gz", image)
        write_nifti(tmp_path / "derivatives/manual" / f"sub-{subject:02d}" / "anat" / f"{name}_dseg.nii.gz", mask)
    return tmp_path


def test_sessions_of_a_subject_are_one_patient(bids):
    cases = NiftiPairs(str(bids), IMAGES, LABELS, CLASSES).load()
    assert [(case.name, case.patient) for case in cases.cases] == [
        ("sub-01_ses-1", "sub-01"),
        ("sub-01_ses-2", "sub-01"),
        ("sub-02_ses-1", "sub-02"),
    ]
    assert cases.channels == ("T1w",)


def test_a_pattern_of_ones_own_names_the_patients(bids):
    cases = NiftiPairs(str(bids), IMAGES, LABELS, CLASSES, patient=r"ses-(\d)").load()
    assert [case.patient for case in cases.cases] == ["1", "2", "1"]


def test_the_name_of_a_case_may_stand_twice(tmp_path):
    for name in ("a", "b"):
        image, mask = balls()
        write_nifti(tmp_path / name / f"{name}_image.nii.gz", image)
        write_nifti(tmp_path / name / f"{name}_mask.nii.gz", mask)
    write_nifti(tmp_path / "a" / "c_image.nii.gz", balls()[0])  # in the wrong folder
    source = NiftiPairs(str(tmp_path), {"x": "{case}/{case}_image.nii.gz"}, "{case}/{case}_mask.nii.gz", CLASSES)
    cases = source.load()
    assert [case.name for case in cases.cases] == ["a", "b"]
    assert source.read(cases.cases[0], cases).image.shape == (1, 20, 18, 16)


def test_what_is_missing(bids):
    with pytest.raises(DataError, match="'sub-01_ses-1' has no channel 'T2w'"):
        NiftiPairs(str(bids), {**IMAGES, "T2w": "sub-*/anat/{case}_T2w.nii.gz"}, LABELS, CLASSES).load()
    (bids / "derivatives/manual/sub-02/anat/sub-02_ses-1_dseg.nii.gz").unlink()
    with pytest.raises(DataError, match="'sub-02_ses-1' has no label"):
        NiftiPairs(str(bids), IMAGES, LABELS, CLASSES).load()
    with pytest.raises(DataError, match="no labelled cases"):
        NiftiPairs(str(bids), {"T1w": "{case}.mgz"}, LABELS, CLASSES).load()


def test_two_files_of_one_case(bids):
    write_nifti(bids / "sub-02" / "anat" / "sub-01_ses-1_T1w.nii.gz", balls()[0])
    with pytest.raises(DataError, match="two files match case 'sub-01_ses-1'"):
        NiftiPairs(str(bids), IMAGES, LABELS, CLASSES).load()


def test_bad_arguments(bids):
    with pytest.raises(DataError, match="lacks"):
        NiftiPairs(str(bids), {"T1w": "*.nii.gz"}, LABELS, CLASSES)
    for classes in ({"background": 0}, {"background": 0, "core": 0}):
        with pytest.raises(DataError, match="classes needs a background"):
            NiftiPairs(str(bids), IMAGES, LABELS, classes)
    with pytest.raises(DataError, match=r"a class has the value '1'(.|\n)*without quotes"):
        NiftiPairs(str(bids), IMAGES, LABELS, {"background": 0, "core": "1"})

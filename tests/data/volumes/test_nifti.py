"""What is wrong with a pair of files is said in one message, whatever the layout."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from nasplug.contract.errors import DataError
from nasplug.data.volumes import Case, CaseList, Decathlon, fingerprint
from nasplug.data.volumes.nifti import classes_of, read_case, stem
from tests.support.volumes import balls, write_decathlon, write_nifti

IMAGE, LABEL = "imagesTr/case_01.nii.gz", "labelsTr/case_01.nii.gz"


@pytest.fixture
def folder(tmp_path):
    return write_decathlon(tmp_path / "d", 3)


def refused(folder, *matches):
    with pytest.raises(DataError) as error:
        fingerprint(Decathlon(str(folder)))
    message = str(error.value)
    for match in (*matches, "case_01"):
        assert match in message
    assert "Do: " in message


def test_shapes_that_differ(folder):
    write_nifti(folder / LABEL, balls((20, 18, 15))[1])
    refused(folder, "image and label have different shapes: (20, 18, 16) and (20, 18, 15)")


def test_spacing_that_differs(folder):
    write_nifti(folder / LABEL, balls(seed=1)[1], np.diag([1, 1, 2, 1]))
    refused(folder, "image and label have different spacing: 1 x 1 x 1 mm and 1 x 1 x 2 mm")


def test_another_direction_or_place(folder):
    mask = balls(seed=1)[1]
    write_nifti(folder / LABEL, mask, np.diag([-1, 1, 1, 1]))
    refused(folder, "lie in different places or directions", "40 mm")
    moved = np.eye(4)
    moved[0, 3] = 0.6
    write_nifti(folder / LABEL, mask, moved)
    refused(folder, "0.6 mm")
    moved[0, 3] = 0.4  # less than half a voxel is rounding
    write_nifti(folder / LABEL, mask, moved)
    fingerprint(Decathlon(str(folder)))


def test_a_label_beyond_the_classes(folder):
    mask = balls(seed=1)[1]
    mask[0, 0, 0] = 7
    write_nifti(folder / LABEL, mask)
    refused(folder, "value 7, which is not one of the 3 classes", "0, 1, 2")


def test_a_label_that_was_interpolated(folder):
    write_nifti(folder / LABEL, balls(seed=1)[1].astype(np.float32) * 0.75)
    refused(folder, "1.5, which is not an integer", "nearest neighbour")


def test_negative_and_missing_values():
    with pytest.raises(DataError, match="the value -1"):
        classes_of(np.array([0, -1]), (0, 1), "here")
    with pytest.raises(DataError, match="NaN"):
        classes_of(np.array([0, np.nan]), (0, 1), "here")
    assert classes_of(np.array([0, 255, 128]), (0, 128, 255), "here").tolist() == [0, 2, 1]


def test_an_empty_mask(folder):
    write_nifti(folder / LABEL, np.zeros((20, 18, 16), np.uint8))
    refused(folder, "the label is empty", "empty: keep")
    assert fingerprint(Decathlon(str(folder)), empty="keep").cases[1].voxels == (20 * 18 * 16, 0, 0)


def test_an_image_of_one_value(folder):
    write_nifti(folder / IMAGE, np.full((20, 18, 16), 5.0))
    refused(folder, "the image has the value 5 everywhere", "'MRI'", "empty: keep")
    assert fingerprint(Decathlon(str(folder)), empty="keep").cases[1].high == (5.0,)


def test_colours_are_not_intensities(folder):
    pixel = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(np.zeros((20, 18, 16), pixel), np.eye(4)), folder / IMAGE)
    refused(folder, "colours, not intensities", "R, G, B")


def test_complex_numbers_are_not_intensities(folder):
    write_nifti(folder / IMAGE, balls(seed=1)[0].astype(np.complex64))
    refused(folder, "complex numbers, not intensities", "magnitude")


def test_a_file_that_is_not_compressed_is_told_to_be_renamed(folder):
    plain = write_nifti(folder / "plain.nii", balls(seed=1)[0])
    (folder / IMAGE).write_bytes(plain.read_bytes())
    refused(folder, "not a gzip file", "name it .nii")


def test_the_background_is_a_class_too():
    with pytest.raises(DataError, match="name the background too"):
        classes_of(np.array([0, 1]), (1, 2), "here")


def test_voxels_that_are_not_numbers(folder):
    image = balls(seed=1)[0]
    image[:2, 0, 0] = np.nan, np.inf
    write_nifti(folder / IMAGE, image)
    refused(folder, "2 voxels of the image are NaN or infinite", "nan: keep")
    assert np.isfinite(fingerprint(Decathlon(str(folder)), nan="keep").cases[1].high).all()


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"not an image" * 9])
def test_a_corrupt_file(folder, damage):
    (folder / IMAGE).write_bytes(damage((folder / IMAGE).read_bytes()))
    refused(folder, "cannot read the NIfTI file", "truncated, damaged or not gzipped NIfTI")


def test_a_corrupt_file_without_compression(tmp_path):
    folder = write_decathlon(tmp_path / "d", 1)
    text = (folder / "dataset.json").read_text().replace(".nii.gz", ".nii")
    (folder / "dataset.json").write_text(text)
    for kind in ("imagesTr", "labelsTr"):
        write_nifti(folder / kind / "case_00.nii", balls()[kind == "labelsTr"])
    path = folder / "imagesTr" / "case_00.nii"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match="cannot read the NIfTI file"):
        fingerprint(Decathlon(str(folder)))


def test_four_dimensions_where_three_were_said(folder):
    write_nifti(folder / IMAGE, np.stack([balls(seed=1)[0]] * 4, -1))
    refused(folder, "4-D, of shape (20, 18, 16, 4), and 3-D was said")
    write_nifti(folder / IMAGE, balls(seed=1)[0][..., None])  # an axis of one voxel says nothing
    fingerprint(Decathlon(str(folder)))


def test_a_file_without_voxel_sizes(tmp_path):
    path = write_nifti(tmp_path / "image.nii", balls()[0])
    raw = bytearray(path.read_bytes())
    raw[280:328] = bytes(48)  # the rows of the affine map
    path.write_bytes(raw)
    label = write_nifti(tmp_path / "label.nii", balls()[1])
    case = Case("case", "case", (path,), label)
    with pytest.raises(DataError, match="does not say the size of its voxels"):
        read_case(case, CaseList((case,), ("background", "core", "shell"), ("MRI",), "here", (0, 1, 2), ()))


def test_names_without_endings():
    assert [stem(name) for name in ("a/b.nii.gz", "b.nii", "b.c.nii.gz")] == ["b", "b", "b.c"]

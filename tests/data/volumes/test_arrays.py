from __future__ import annotations

import numpy as np
import pytest

from nasplug.contract.errors import DataError
from nasplug.data.volumes import Folds, NpzVolumes, Preparation, Prepared, divide, fingerprint
from tests.support.volumes import balls, write_npz


def test_volumes_with_padding_and_spacing(tmp_path):
    path = write_npz(tmp_path / "v.npz", 2, shapes=np.array([[20, 18, 16], [19, 17, 15]]), spacing_mm=[1, 2, 3])
    source = NpzVolumes(str(path))
    cases = source.load()
    volume = source.read(cases.cases[1], cases)
    assert volume.image.shape == (1, 19, 17, 15)
    assert volume.spacing == (1, 2, 3)
    np.testing.assert_array_equal(volume.label, balls(seed=1)[1][:19, :17, :15])


def test_slices_of_a_patient_become_a_volume_in_order(tmp_path):
    image, mask = balls((20, 18, 4))
    order = np.array([2, 0, 3, 1])
    slices = {"images": np.moveaxis(image, 2, 0)[order], "labels": np.moveaxis(mask, 2, 0)[order]}
    path = write_npz(tmp_path / "s.npz", 1, patient=np.full(4, 7), slice=order, **slices)
    source = NpzVolumes(str(path))
    cases = source.load()
    assert [case.name for case in cases.cases] == ["7"]
    np.testing.assert_array_equal(source.read(cases.cases[0], cases).label, mask)


def test_flat_images_with_channels(tmp_path):
    images = np.stack([balls((20, 18, 1), seed)[0][..., 0] for seed in range(3)])
    labels = np.stack([balls((20, 18, 1), seed)[1][..., 0] for seed in range(3)])
    for stacked in (np.stack([images, -images], -1), np.stack([images, -images], 1)):
        source = NpzVolumes(str(write_npz(tmp_path / "c.npz", 1, images=stacked, labels=labels)))
        cases = source.load()
        volume = source.read(cases.cases[2], cases)
        assert volume.image.shape == (2, 20, 18, 1)
        np.testing.assert_array_equal(volume.image[1, ..., 0], -images[2])


def test_one_volume(tmp_path):
    image, mask = balls()
    path = write_npz(tmp_path / "o.npz", 1, images=image, labels=mask)
    cases = NpzVolumes(str(path), layout="one").load()
    assert len(cases.cases) == 1
    assert NpzVolumes(str(path), layout="one").read(cases.cases[0], cases).label.shape == mask.shape


def test_parts_are_taken_from_the_file(tmp_path):
    path = write_npz(tmp_path / "p.npz", 6, split=np.array([0, 0, 1, 2, 0, 1]))
    parts = divide(fingerprint(NpzVolumes(str(path))), Folds())
    assert (parts.train, parts.val, parts.test) == ((0, 1, 4), (2, 5), (3,))
    parts = divide(fingerprint(NpzVolumes(str(path))), Folds(count=5))
    assert parts.test == (3,)
    assert len(parts.val) == 1


def test_a_patient_in_two_parts(tmp_path):
    flat = {
        "images": np.stack([balls((20, 18, 1), seed)[0][..., 0] for seed in range(3)]),
        "labels": np.stack([balls((20, 18, 1), seed)[1][..., 0] for seed in range(3)]),
    }
    split, patient = np.array(["train", "test", "train"]), np.array([4, 4, 5])
    path = write_npz(tmp_path / "t.npz", 1, **flat, split=split, patient=patient)
    with pytest.raises(DataError, match="patient 4 is in two parts: test and train"):
        NpzVolumes(str(path)).load()
    path = write_npz(tmp_path / "u.npz", 3, split=split, patient=patient)
    with pytest.raises(DataError, match="patient '4' is in two parts: test and train"):
        divide(fingerprint(NpzVolumes(str(path))), Folds())


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"labels": np.zeros((2, 20, 18, 15), np.uint8)}, "image and label have different shapes"),
        ({"labels": np.zeros((2, 20), np.uint8)}, r"labels have shape \(2, 20\)"),
        ({"patient": np.zeros(3)}, r"'patient' has shape \(3,\), and `labels` is for 2 cases"),
        ({"split": np.array(["train", "exam"])}, "the split 'exam' is not known"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, arrays, match):
    with pytest.raises(DataError, match=match):
        NpzVolumes(str(write_npz(tmp_path / "b.npz", 2, **arrays))).load()


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": np.zeros((2, 20, 18, 16), np.complex64)},
        {"images": np.full((2, 20, 18, 16), "a")},
        {"labels": np.zeros((2, 20, 18, 16), "datetime64[s]")},
    ],
)
def test_arrays_that_are_not_real_numbers(tmp_path, arrays):
    path, (key,) = write_npz(tmp_path / "c.npz", 2, **arrays), arrays
    source = NpzVolumes(str(path))
    for _ in range(2):  # nothing is left of the first attempt
        with pytest.raises(DataError, match=f"the array '{key}' holds .* in place of real numbers"):
            source.load()


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"shapes": np.full((2, 3), 50)}, r"says \[50, 50, 50\] of volume 0(.|\n)*\[20, 18, 16\]"),
        ({"shapes": np.zeros((2, 3), int)}, "'shapes' says"),
        ({"shapes": np.full((1, 3), 5)}, r"'shapes' is int64 of shape \(1, 3\)"),
        ({"shapes": np.full((2, 3), 5.0)}, "'shapes' is float64"),
        ({"spacing_mm": np.full(3, np.nan)}, "the spacing is"),
        ({"spacing_mm": np.array(["1", "1", "1"])}, "the spacing is"),
        ({"spacing_mm": np.ones(4)}, "the spacing is"),
        ({"affine": np.full((4, 4), np.nan)}, "'affine' does not say the size"),
        ({"affine": np.zeros((4, 4))}, "'affine' does not say the size"),
    ],
)
def test_sizes_that_cannot_be(tmp_path, arrays, match):
    with pytest.raises(DataError, match=match):
        fingerprint(NpzVolumes(str(write_npz(tmp_path / "s.npz", 2, **arrays))))


def test_values_beyond_the_classes(tmp_path):
    path = write_npz(tmp_path / "v.npz", 2, classes=np.array(["background", "core"]))
    with pytest.raises(DataError, match=r"case0(.|\n)*the value 2, which is not one of the 2 classes"):
        fingerprint(NpzVolumes(str(path)))


def test_bad_files_and_keys(tmp_path):
    path = write_npz(tmp_path / "k.npz", 1)
    with pytest.raises(DataError, match=r"no array 'image'(.|\n)*images"):
        NpzVolumes(str(path), images="image").load()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"cannot read the \.npz file"):
        NpzVolumes(str(path)).load()
    with pytest.raises(DataError, match="does not exist"):
        NpzVolumes(str(tmp_path / "none.npz")).check()
    with pytest.raises(DataError, match="there is no layout 'cube'"):
        NpzVolumes(str(path), layout="cube")


@pytest.mark.data
def test_cardiac_slices(real_data):
    prepared = Prepared.of(NpzVolumes(str(real_data / "acdc_cardiac2d" / "acdc_cardiac2d.npz")), Preparation())
    parts = divide(prepared.facts, Folds())
    assert [len(part) for part in (parts.train, parts.val, parts.test)] == [30, 10, 10]
    assert sum(case.shape[2] for case in prepared.facts.cases) == 476


@pytest.mark.data
def test_a_ct_with_hounsfield_units(real_data):
    path = str(real_data / "ct_spleen_sample" / "ct_spleen_sample.npz")
    source = NpzVolumes(path, images="ct_hu", channels=["CT"], layout="one")
    prepared = Prepared.of(source, Preparation(window=[-57, 164]))
    assert prepared.facts.cases[0].voxels[1] == 9452
    assert prepared.facts.spacing == pytest.approx((3, 3, 3))
    assert prepared.scales[0].kind == "ct"
    assert np.unique(prepared.image(0).max()) == pytest.approx((164 - prepared.scales[0].mean) / prepared.scales[0].std)

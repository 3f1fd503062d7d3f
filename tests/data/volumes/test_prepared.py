from __future__ import annotations

import multiprocessing

import numpy as np
import pytest

from nasplug.contract.errors import DataError, SpecError
from nasplug.data.volumes import Decathlon, NpzVolumes, Preparation, Prepared, fingerprint
from nasplug.data.volumes.facts import Fingerprint
from tests.support.volumes import balls, write_decathlon, write_nifti, write_npz


class Counting(NpzVolumes):
    """Counts how often a case is read."""

    reads = 0

    def read(self, case, cases):
        type(self).reads += 1
        return super().read(case, cases)


@pytest.fixture
def source(tmp_path):
    Counting.reads = 0
    return Counting(str(write_npz(tmp_path / "v.npz", 4)))


def test_a_case_is_scaled_and_its_truth_kept(source):
    prepared = Prepared.of(source, Preparation())
    image, mask = balls(seed=2)
    np.testing.assert_allclose(prepared.image(2)[0], (image - image.mean()) / image.std(), atol=1e-4)
    np.testing.assert_array_equal(prepared.label(2), mask)
    np.testing.assert_array_equal(prepared.truth(2), mask)


def test_loading_is_done_once(source):
    Prepared.of(source, Preparation())
    reads = Counting.reads
    assert reads == 8  # once to measure and once to prepare each of four cases
    Prepared.of(Counting(source.path), Preparation())
    assert Counting.reads == reads
    Prepared.of(source, Preparation(intensity="minmax"))
    assert Counting.reads == reads + 4  # the measures are known


def test_a_file_that_changes_is_read_again(tmp_path, source):
    before = Prepared.of(source, Preparation()).image(0).copy()
    write_npz(tmp_path / "v.npz", 4, images=np.stack([balls(seed=seed)[0] + 1 for seed in range(4, 8)]))
    assert not np.array_equal(Prepared.of(Counting(source.path), Preparation()).image(0), before)


def _shape(path):
    return Prepared.of(NpzVolumes(path), Preparation()).image(0).shape


def test_processes_prepare_once_and_share(tmp_path):
    path = str(write_npz(tmp_path / "w.npz", 3))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(_shape, [path] * 4) == [(1, 20, 18, 16)] * 4


def test_centres_are_voxels_of_their_class(source):
    prepared = Prepared.of(source, Preparation())
    flat = prepared.label(1).ravel()
    for value, positions in enumerate(prepared.centres(1)):
        assert (flat[positions] == value).all()
        assert len(positions) == (flat == value).sum()


def test_arrays_cannot_change_the_files(source):
    prepared = Prepared.of(source, Preparation())
    prepared.image(0)[:] = 7
    assert not (prepared.image(0) == 7).any()


def test_different_spacings_are_brought_to_the_median(tmp_path):
    folder = write_decathlon(tmp_path / "d", 3)
    image, mask = balls((20, 18, 8))
    write_nifti(folder / "imagesTr" / "case_02.nii.gz", image, np.diag([1, 1, 2, 1]))
    write_nifti(folder / "labelsTr" / "case_02.nii.gz", mask, np.diag([1, 1, 2, 1]))
    source = Decathlon(str(folder))
    prepared = Prepared.of(source, Preparation())
    assert prepared.image(2).shape == (1, 20, 18, 16)
    assert prepared.truth(2).shape == (20, 18, 8)
    assert Prepared.of(source, Preparation(spacing="original")).image(2).shape == (1, 20, 18, 8)
    assert Prepared.of(source, Preparation(spacing=[2, 2, 2])).image(2).shape == (1, 10, 9, 8)


def test_a_damaged_cache_says_where(source, cache):
    Prepared.of(source, Preparation())
    about = next((cache / "volumes").glob("*/about.json"))
    about.write_text("{}")
    with pytest.raises(DataError, match="prepared volumes are damaged"):
        Prepared.of(source, Preparation())


def test_a_cache_that_cannot_be_written_costs_time_only(source, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NASPLUG_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be kept"):
        assert Prepared.of(source, Preparation()).image(0).shape == (1, 20, 18, 16)


def test_a_fingerprint_by_hand(source):
    facts = fingerprint(source)
    pairs = [balls(seed=seed) for seed in range(4)]
    assert facts.shape == (20, 18, 16)
    assert facts.cases[3].voxels == tuple(np.bincount(pairs[3][1].ravel()))
    inside = np.concatenate([image[mask > 0] for image, mask in pairs])
    assert facts.channels[0].median == pytest.approx(np.median(inside), rel=0.02)
    assert facts.channels[0].low == pytest.approx(np.percentile(inside, 0.5), rel=0.05)
    assert facts.cases[0].low == (pairs[0][0].min(),)
    assert facts.slices == 2
    assert isinstance(facts, Fingerprint)


@pytest.mark.parametrize(
    "bad", [{"spacing": "mean"}, {"spacing": [1, 1]}, {"spacing": [1, 1, 0]}, {"window": [3, 2]}, {"intensity": "x"}]
)
def test_bad_settings(bad):
    with pytest.raises(SpecError, match="preparation"):
        Preparation(**bad)


def test_one_image_under_the_names_of_two_patients_is_refused(tmp_path):
    image = np.stack([balls(seed=seed)[0] for seed in (0, 1, 0)])
    path = write_npz(tmp_path / "t.npz", 3, images=image)
    with pytest.raises(DataError, match=r"'case0' and 'case2' of two patients have the same image"):
        fingerprint(NpzVolumes(str(path)))
    write_npz(path, 3, images=image, patient=np.array([4, 5, 4]))
    assert len(fingerprint(NpzVolumes(str(path))).cases) == 3  # one patient, who stays in one part


def test_images_of_one_value_say_nothing_of_patients(tmp_path):
    path = write_npz(tmp_path / "t.npz", 3, images=np.zeros((3, 20, 18, 16)))
    assert len(fingerprint(NpzVolumes(str(path)), empty="keep").cases) == 3


def test_a_spacing_that_makes_volumes_of_billions_of_voxels_is_refused(source):
    with pytest.raises(DataError, match=r"makes a volume of 20,000 x 18,000 x 16,000 voxels(.|\n)*20 x 18 x 16"):
        Prepared.of(source, Preparation(spacing=[1e-3, 1e-3, 1e-3]))

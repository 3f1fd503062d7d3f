from __future__ import annotations

import numpy as np
import pytest

from nasplug.tasks.segmentation.cutting import Cutter

SHAPE = (9, 8, 7)


def volume(held=(0, 1, 2)):
    """A volume in which every voxel is its flat position, a mask of the last digit, and centres of the held classes."""
    image = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(1, *SHAPE)
    label = (image[0] % 3).astype(np.uint8)
    centres = [np.flatnonzero(label == value) if value in held else np.zeros(0, np.int64) for value in range(3)]
    return image, label, centres


def patches(cut, count=200, **options):
    rng = np.random.default_rng(0)
    image, label, centres = volume(**options)
    return [cut(image, label, centres, rng) for _ in range(count)]


def test_image_and_mask_are_cut_alike():
    for patch, mask in patches(Cutter((4, 3, 5), 0.5, flips=True)):
        assert (patch.shape, mask.shape) == ((1, 4, 3, 5), (1, 4, 3, 5))
        np.testing.assert_array_equal(patch % 3, mask)


def test_two_sizes_cut_slices():
    for patch, mask in patches(Cutter((4, 3), 0.5, flips=True)):
        assert (patch.shape, mask.shape) == ((1, 4, 3), (1, 4, 3))
        assert len(np.unique(patch % SHAPE[2])) == 1  # one position along the last axis
        np.testing.assert_array_equal(patch % 3, mask)


def test_patches_reach_both_ends_of_every_axis():
    found = np.stack([patch[0] for patch, _ in patches(Cutter((4, 3, 5), 0.5, flips=False), 800)]).astype(int)
    for axis, (full, places) in enumerate(zip(SHAPE, np.unravel_index(found, SHAPE), strict=True)):
        assert (places.min(), places.max()) == (0, full - 1), axis
        assert (np.diff(places, axis=axis + 1) == 1).all()


def test_every_axis_is_flipped_in_half_of_the_patches():
    steps = [8 * 7, 7, 1]
    found = np.stack([patch[0] for patch, _ in patches(Cutter((3, 3, 3), 0.5, flips=True), 400)])
    for axis, step in enumerate(steps):
        differences = np.diff(found, axis=axis + 1)
        assert set(np.unique(differences)) == {-step, step}
        assert (differences > 0).mean() == pytest.approx(0.5, abs=0.08)


def test_what_is_missing_is_zero_on_both_sides():
    patch, mask = patches(Cutter((12, 8, 8), 0.5, flips=False), 1)[0]
    image, label, _ = volume()
    np.testing.assert_array_equal(patch[0, 1:10, :, :7], image[0])  # three voxels are missing: one before, two behind
    np.testing.assert_array_equal(mask[0, 1:10, :, :7], label)
    assert not patch[0, [0, 10, 11]].any()
    assert not mask[0, ..., 7:].any()


@pytest.mark.parametrize(
    ("foreground", "held", "wanted"),
    [
        (0.8, (0, 1, 2), (0.2, 0.4, 0.4)),
        (0.8, (0, 2), (1 / 3, 0, 2 / 3)),  # 0.2 and 0.4
        (1.0, (0,), (1, 0, 0)),  # an empty mask that the settings keep
        (0.0, (1, 2), (0, 0.5, 0.5)),
    ],
)
def test_which_classes_are_centred(foreground, held, wanted):
    centres = [int(mask[0, 0, 0, 0]) for _, mask in patches(Cutter((1, 1, 1), foreground, False), 1000, held=held)]
    np.testing.assert_allclose(np.bincount(centres, minlength=3) / 1000, wanted, atol=0.05)


def test_a_patch_is_a_copy():
    image, label, centres = volume()
    patch, mask = Cutter(SHAPE, 0.5, flips=False)(image, label, centres, np.random.default_rng(0))
    patch[:], mask[:] = -1, 7
    assert image.min() == 0
    assert label.max() == 2

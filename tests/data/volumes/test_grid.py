from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest
import torch

from nasplug.contract.errors import DataError
from nasplug.data.volumes.grid import Grid, orientation
from tests.support.volumes import balls

SHAPE = (5, 6, 7)


def turned_affines():
    for axes in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            affine = np.zeros((4, 4))
            affine[3, 3] = 1
            for world, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
                affine[world, axis] = sign * (1 + axis)
            yield affine


@pytest.mark.parametrize("affine", list(turned_affines()))
def test_turning_is_that_of_nibabel_and_back_again(affine):
    volume = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    expected = nibabel.as_closest_canonical(nibabel.Nifti1Image(volume, affine))
    grid = Grid.of(SHAPE, affine)
    np.testing.assert_array_equal(grid.image(volume[None])[0], expected.get_fdata())
    assert grid.spacing == pytest.approx(nibabel.affines.voxel_sizes(expected.affine))
    assert orientation(affine) == "".join(nibabel.aff2axcodes(affine))
    back = grid.back(torch.from_numpy(grid.image(volume[None]).copy()))
    np.testing.assert_array_equal(back[0].numpy(), volume)
    assert grid.file_spacing == pytest.approx((1, 2, 3))


def test_slices_come_last():
    grid = Grid.of(SHAPE, np.diag([4.0, 1, 1, 1]), slices=0)
    assert grid.turned == (6, 7, 5)
    assert grid.spacing == (1, 1, 4)
    volume = np.random.default_rng(0).normal(size=(1, *SHAPE)).astype(np.float32)
    np.testing.assert_array_equal(grid.back(torch.from_numpy(grid.image(volume))).numpy(), volume)


def test_resampling_keeps_the_extent_and_the_classes():
    image, mask = balls((20, 18, 16))
    grid = Grid.of(mask.shape, np.diag([1.0, 1, 2, 1]), spacing=(1, 1, 1))
    assert grid.shape == (20, 18, 32)
    assert grid.spacing == (1, 1, 1)
    label = grid.label(mask)
    assert set(np.unique(label)) == {0, 1, 2}
    for value in (1, 2):
        assert (label == value).sum() == pytest.approx(2 * (mask == value).sum(), rel=0.1)
    logits = torch.nn.functional.one_hot(torch.from_numpy(label).long(), 3).permute(3, 0, 1, 2).float()
    again = grid.back(logits).argmax(0).numpy()
    assert (again != mask).mean() < 0.01
    assert grid.image(image[None]).shape == (1, 20, 18, 32)


def test_a_spacing_that_is_nearly_right_is_left_alone():
    grid = Grid.of(SHAPE, np.diag([1.005, 1, 1, 1]), spacing=(1, 1, 1))
    assert not grid.resamples
    assert grid.shape == SHAPE


def test_oblique_axes_are_brought_to_the_nearest():
    angle = np.radians(20)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert orientation(affine) == "RAS"
    assert Grid.of(SHAPE, affine).spacing == pytest.approx((1, 1, 1))


def test_axes_without_directions():
    affine = np.diag([1.0, 1, 0, 1])
    with pytest.raises(DataError, match="no directions"):
        Grid.of(SHAPE, affine)

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion, distance_transform_edt

from nasplug.tasks.segmentation.scores import CaseScore, means, score, slug


def cube(low, high, shape=(12, 12, 12)):
    mask = torch.zeros(shape, dtype=torch.uint8)
    mask[low:high, low:high, low:high] = 1
    return mask


def test_by_hand():
    found = score(cube(2, 6), cube(4, 8), 2, 5, (1, 1, 1), tolerance=1.0)
    assert found.case == 5
    assert found.dice == pytest.approx((2 * 8 / (64 + 64),))
    assert found.volume_difference == (0,)
    found = score(cube(2, 8), cube(4, 8), 2, 0, (1, 1, 1))
    assert found.dice == pytest.approx((2 * 64 / (216 + 64),))
    assert found.volume_difference == pytest.approx(((216 - 64) / 64,))
    assert found.hd95 == ()


def test_a_shifted_cube_has_the_distance_of_its_shift():
    moved = torch.roll(cube(4, 8), 2, 0)
    found = score(moved, cube(4, 8), 2, 0, (3, 1, 1), tolerance=1.0)
    assert found.hd95 == pytest.approx((6.0,))
    same = score(cube(4, 8), cube(4, 8), 2, 0, (3, 1, 1), tolerance=1.0)
    assert (same.dice, same.hd95, same.surface_dice) == ((1,), (0,), (1,))


def test_distances_are_those_of_a_plain_computation():
    rng = np.random.default_rng(0)
    ours, true = (
        torch.from_numpy((distance_transform_edt(rng.random((14, 13, 12)) > 0.002) < 3).astype(np.uint8))
        for _ in range(2)
    )
    spacing = (1.0, 2.0, 1.5)
    found = score(ours, true, 2, 0, spacing, tolerance=2.0)
    edges = [mask.numpy() ^ binary_erosion(mask.numpy()) for mask in (ours, true)]
    forth, back = (
        distance_transform_edt(~edges[1 - i].astype(bool), sampling=spacing)[edges[i].astype(bool)] for i in range(2)
    )
    assert found.hd95[0] == pytest.approx(max(np.percentile(forth, 95), np.percentile(back, 95)), rel=0.05)


def test_flat_images_have_outlines():
    first, second = torch.zeros(10, 10, 1, dtype=torch.uint8), torch.zeros(10, 10, 1, dtype=torch.uint8)
    first[2:6, 2:6] = second[3:7, 2:6] = 1
    found = score(first, second, 2, 0, (1, 1, 5), tolerance=1.0)
    assert found.hd95 == pytest.approx((1.0,))
    assert found.surface_dice == pytest.approx((1.0,))


def test_classes_that_one_or_nobody_holds():
    empty = torch.zeros(3, 4, 12, dtype=torch.uint8)
    ours = empty.clone()
    ours[1, 1, 1] = 1
    found = score(ours, empty, 3, 0, (1, 1, 1), tolerance=1.0)
    assert found.dice[0] == 0
    assert found.hd95[0] == 13  # the diagonal of 3 x 4 x 12
    assert found.surface_dice[0] == 0
    assert all(math.isnan(values[1]) for values in (found.dice, found.volume_difference, found.hd95))
    assert math.isnan(found.volume_difference[0])  # relative to nothing
    missed = score(empty, ours, 3, 0, (1, 1, 1), tolerance=1.0)
    assert (missed.dice[0], missed.volume_difference[0], missed.hd95[0]) == (0, 1, 13)


def test_means_leave_out_what_nobody_holds():
    scores = [
        CaseScore(0, (0.5, math.nan), (0.1, math.nan)),
        CaseScore(1, (1.0, 0.4), (0.3, 0.0)),
    ]
    found = means(scores, ["Left lobe", "core"])
    assert found == pytest.approx(
        {"dice": (0.75 + 0.4) / 2, "dice_left_lobe": 0.75, "dice_core": 0.4, "volume_difference": 0.1}
    )
    assert math.isnan(means([CaseScore(0, (math.nan,), (math.nan,))], ["core"])["dice"])


def test_names_of_classes():
    assert [slug(label) for label in ("Left ventricle", "GM/WM", "±")] == ["left_ventricle", "gm_wm", "class"]

from __future__ import annotations

import pickle

import pytest
import torch

from nasplug.contract.errors import DataError
from nasplug.tasks.segmentation.data import Request


def batches(task, seed=0):
    torch.manual_seed(seed)
    return list(task.datamodule().train_dataloader())


@pytest.mark.parametrize(("dimensions", "size", "count"), [(3, (12, 12, 12), 4), (2, (12, 12), 4 * 16)])
def test_an_epoch_is_a_patch_of_each_case_or_slice(make_task, dimensions, size, count):
    found = batches(make_task(dimensions, patches={"batch_size": 3}))
    assert sum(len(label) for _, label in found) == count
    patches, label = found[0]
    assert patches.shape == (3, 1, *size)
    assert label.shape == (3, 1, *size)
    assert (patches.dtype, label.dtype) == (torch.float32, torch.int64)


def test_patches_are_cut_out_of_the_volumes(make_task):
    task = make_task(patches={"augment": "none", "per_epoch": 6, "batch_size": 1})
    for patch, label in batches(task):
        found = False
        for case in task.parts.train:
            volume = torch.from_numpy(task.cases.image(case))[0]
            windows = volume.unfold(0, 12, 1).unfold(1, 12, 1).unfold(2, 12, 1)
            same = (windows - patch[0, 0]).abs().amax((-1, -2, -3)) < 1e-6
            if same.any():
                x, y, z = (int(i) for i in same.nonzero()[0])
                mask = torch.from_numpy(task.cases.label(case))[x : x + 12, y : y + 12, z : z + 12]
                assert (mask == label[0, 0]).all()
                found = True
        assert found


def test_epochs_differ_and_follow_from_the_seed(make_task):
    task = make_task(patches={"per_epoch": 4})
    first, second, other = (batches(task, seed)[0][0] for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("foreground", [0.0, 1.0])
def test_where_patches_are_centred(make_task, foreground):
    task = make_task(patches={"size": [3, 3, 3], "per_epoch": 40, "foreground": foreground, "augment": "none"})
    centres = torch.cat([label[:, 0, 1, 1, 1] for _, label in batches(task)])
    # a centre at the border moves inwards by a voxel, so that the patch fits
    assert (centres > 0).float().mean() == pytest.approx(foreground, abs=0.05)
    if foreground:
        assert 0.2 < (centres == 1).float().mean() < 0.8  # both classes, though one has fewer voxels


@pytest.mark.parametrize("augment", ["none", "flips", "standard"])
def test_labels_stay_classes(make_task, augment):
    for dimensions in (2, 3):
        for _, label in batches(make_task(dimensions, patches={"augment": augment, "per_epoch": 8})):
            assert set(label.unique().tolist()) <= {0, 1, 2}


def test_a_transform_of_ones_own(make_task):
    def louder(sample):
        return {**sample, "image": sample["image"] * 0 + 7}

    for patches, _ in batches(make_task(transform=louder)):
        assert (patches == 7).all()


def test_whole_cases(make_task):
    task = make_task()
    data = task.datamodule()
    (case,) = data.val_dataloader()
    assert case["image"].shape == (1, 20, 18, 16)
    assert case["truth"].shape == case["label"].shape == (20, 18, 16)
    assert (int(case["case"]),) == task.parts.val
    assert len(data.test_dataloader()) == 1
    with pytest.raises(DataError, match="no test cases"):
        make_task(folds={"test_fraction": 0}).datamodule().test_dataloader()


def test_requests_cross_processes():
    request = pickle.loads(pickle.dumps(Request.of(3, 17)))
    assert (request, request.seed) == (3, 17)

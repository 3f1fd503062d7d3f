from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_qnas.segmentation.module import PooledDice
from nasplug_qnas.segmentation.recipe import SegRecipe
from nasplug_qnas.segmentation.space import SegmentationSpace
from nasplug_qnas.segmentation.task import RecipeSegmentation
from nasplug_qnas.strategy import QNAS

import nasplug as nas
from nasplug.contract.errors import TaskError
from nasplug.data.volumes import Folds, NpzVolumes
from nasplug.tasks.segmentation import Patches


@pytest.fixture
def task(tmp_path, monkeypatch):
    monkeypatch.setenv("NASPLUG_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    labels = np.zeros((6, 16, 16, 6), np.uint8)
    for label in labels:
        x, y = rng.integers(2, 8, 2)
        label[x : x + 6, y : y + 6, 1:5] = 1
        label[x + 1 : x + 4, y + 1 : y + 4, 2:4] = 2
    images = labels * 100.0 + rng.normal(0, 10, labels.shape)
    np.savez(tmp_path / "v.npz", images=images, labels=labels)
    patches = Patches(size=[16, 16], batch_size=8)
    return RecipeSegmentation(NpzVolumes(str(tmp_path / "v.npz")), patches=patches, folds=Folds(count=2))


def test_a_search_over_folds(task):
    study = nas.search(
        space=SegmentationSpace(nodes=3, kernels=[3], stem=4),
        task=task,
        strategy=QNAS("segqnas2023", evolution={"quantum_individuals": 2}),
        evaluator=nas.component("cross_validation", score="mean", window=2),
        objectives={"val_batch_dice": "max"},
        trials=4,
        epochs=3,
        batch=2,
        seed=0,
    )
    assert [trial.state for trial in study.trials] == ["complete"] * 4, study.trials[0].failure
    best = study.best
    last = [m.metrics["val_batch_dice"] for m in best.measurements if m.step > 1]
    assert best.metrics["val_batch_dice"] == pytest.approx(sum(last) / 4)
    assert best.metrics["val_dice"] > 0


def test_the_pooled_loss_by_hand():
    label = torch.tensor([[[[0, 1], [2, 2]]]])
    logits = 30.0 * torch.nn.functional.one_hot(torch.tensor([[[0, 1], [1, 2]]]), 3).movedim(-1, 1)
    # three voxels of foreground in each, two of them in common
    assert PooledDice()(logits, label).item() == pytest.approx(1 - 2 * 2 / 6, abs=1e-6)
    assert PooledDice()([logits, logits[:, :, ::2, ::2]], label).item() == pytest.approx(1 / 3, abs=1e-6)


def test_the_published_metric_by_hand(task):
    module = task.module(SegmentationSpace(nodes=1).build(SegmentationSpace(nodes=1).architecture(["ide_n"]), task))
    label = torch.zeros(2, 2, 3, dtype=torch.uint8)
    label[0, 0, 0], label[0, 1, 1] = 1, 2  # the third slice holds no foreground and does not count
    answer = torch.zeros(2, 2, 3, dtype=torch.int64)
    answer[0, 0, 0], answer[0, 0, 1], answer[1, 1, 2] = 1, 2, 1
    module.judge(30.0 * torch.nn.functional.one_hot(answer, 3).movedim(-1, 0), label)
    assert module.judgement() == pytest.approx({"batch_dice": 2 * 1 / 4})
    assert module.judgement() == {}
    undecided = torch.zeros(3, 2, 2, 3)  # a third each: no class is above a half
    module.judge(undecided, label)
    assert module.judgement() == {"batch_dice": 0.0}


def test_slices_are_pooled_by_thirty_two(task):
    module = task.module(SegmentationSpace(nodes=1).build(SegmentationSpace(nodes=1).architecture(["ide_n"]), task))
    label = torch.ones(1, 2, 33, dtype=torch.uint8)
    answer = torch.ones(1, 2, 33, dtype=torch.int64)
    answer[..., 32] = 0
    module.judge(30.0 * torch.nn.functional.one_hot(answer, 3).movedim(-1, 0), label)
    assert module.judgement()["batch_dice"] == pytest.approx(0.5)  # one batch right, one wrong


def test_the_schedule():
    recipe = SegRecipe()
    assert recipe.factor(0, 30) == 1
    assert recipe.lr * recipe.factor(15, 30) == pytest.approx(1e-4 + 9e-4 * 0.5**0.9)
    assert recipe.lr * recipe.factor(30, 30) == pytest.approx(1e-4)
    assert SegRecipe(lr=0.1).with_({"lr": 0.2}).lr == 0.2
    with pytest.raises(TaskError, match="is above lr"):
        SegRecipe(lr=1e-5)

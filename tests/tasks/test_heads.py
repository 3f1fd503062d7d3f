"""Figures against those of scikit-learn and against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics

from nasplug.tasks.heads import Classes, Labels, Values


def batches(*tensors, size=7):
    return zip(*(tensor.split(size) for tensor in tensors), strict=True)


@pytest.fixture
def classified():
    generator = torch.Generator().manual_seed(0)
    answers = torch.randn(60, 4, generator=generator)
    targets = torch.randint(0, 3, (60,), generator=generator)  # the fourth class never occurs, but is answered
    return answers, targets


def test_figures_of_classes(classified):
    answers, targets = classified
    head = Classes(4)
    for epoch in range(2):  # the second epoch must not remember the first
        for batch in batches(answers, targets) if epoch else batches(answers.flip(0), targets):
            head.update(*batch)
        found = {name: float(value) for name, value in head.compute().items()}
    assert set(found) == set(head.objectives)
    answered, scores = answers.argmax(1), answers.softmax(1).numpy()
    assert found["acc"] == pytest.approx(metrics.accuracy_score(targets, answered))
    with pytest.warns(UserWarning, match="y_pred contains classes"):
        assert found["balanced_acc"] == pytest.approx(metrics.balanced_accuracy_score(targets, answered))
    assert found["f1"] == pytest.approx(metrics.f1_score(targets, answered, average="macro", labels=[0, 1, 2]))
    areas = [metrics.roc_auc_score(targets == k, scores[:, k]) for k in range(3)]
    assert found["auroc"] == pytest.approx(np.mean(areas))
    confidence, right = scores.max(1), (answered == targets).numpy()
    bins = np.minimum((confidence * 15).astype(int), 14)
    error = sum(abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in set(bins))
    assert found["ece"] == pytest.approx(error, abs=1e-6)
    assert head.confusion == metrics.confusion_matrix(targets, answered, labels=range(4)).tolist()


def test_weights_of_classes_are_for_training_only(classified):
    answers, targets = classified
    head = Classes(4, torch.tensor([1.0, 2.0, 3.0, 0.0]))
    expected = torch.nn.functional.cross_entropy(answers, targets, weight=head.weights)
    assert float(head.loss(answers, targets)) == pytest.approx(float(expected))
    assert float(head.plain_loss(answers, targets)) == pytest.approx(
        float(torch.nn.functional.cross_entropy(answers, targets))
    )
    assert not head.state_dict()  # a checkpoint is that of the network


def test_figures_of_labels():
    generator = torch.Generator().manual_seed(0)
    answers = torch.randn(50, 4, generator=generator)
    targets = (torch.rand(50, 4, generator=generator) < 0.4).float()
    targets[:, 3] = 0  # a label that never occurs
    head = Labels(4)
    for batch in batches(answers, targets):
        head.update(*batch)
    found = {name: float(value) for name, value in head.compute().items()}
    assert set(found) == set(head.objectives)
    true, scores = targets.numpy(), answers.sigmoid().numpy()
    answered = scores >= 0.5
    assert found["acc"] == pytest.approx((answered == true).mean())
    assert found["f1"] == pytest.approx(np.mean([metrics.f1_score(true[:, k], answered[:, k]) for k in range(3)]))
    assert found["auroc"] == pytest.approx(metrics.roc_auc_score(true[:, :3], scores[:, :3]))
    assert found["ap"] == pytest.approx(metrics.average_precision_score(true[:, :3], scores[:, :3]), rel=1e-5)


@pytest.mark.parametrize("outputs", [1, 3])
def test_figures_of_values_are_in_units_of_the_data(outputs):
    generator = torch.Generator().manual_seed(0)
    std = torch.tensor([2.0, 10.0, 0.5][:outputs])
    targets = torch.randn(40, outputs, generator=generator)
    answers = targets + 0.3 * torch.randn(40, outputs, generator=generator)
    head = Values(std)
    for batch in batches(answers, targets):
        head.update(*batch)
    found = {name: float(value) for name, value in head.compute().items()}
    true, said = (targets * std).numpy(), (answers * std).numpy()
    assert found["rmse"] == pytest.approx(np.sqrt(((true - said) ** 2).mean(0)).mean(), rel=1e-5)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(true, said), rel=1e-5)
    assert found["r2"] == pytest.approx(metrics.r2_score(true, said), rel=1e-4)


def test_the_losses_of_values():
    answers, targets = torch.tensor([[0.0], [4.0]]), torch.tensor([[1.0], [1.0]])
    losses = {kind: float(Values(torch.ones(1), kind).loss(answers, targets)) for kind in ("mse", "l1", "huber")}
    assert losses == {"mse": 5.0, "l1": 2.0, "huber": 1.5}

"""Metrics of a sequence against a matrix by hand."""

from __future__ import annotations

import pytest
import torch
from nasplug_cgap.sequence.metrics import (
    BackwardTransfer,
    Forgetting,
    ForwardTransfer,
    SeenAccuracy,
    SequenceMetric,
    sequence_metrics,
)
from nasplug_cgap.sequence.schedule import ClassSequence

THREE = ClassSequence.of("2+1+1", 4, None)
#: Right answers of ten samples for each stage: before training, and after stages 0, 1, 2.
RIGHT = [[2, 1, 3], [9, 2, 0], [7, 8, 1], [5, 6, 10]]


def fill(metric):
    for row, rights in enumerate(RIGHT):
        for column, right in enumerate(rights):
            label = THREE.stages[column][0]
            other = (label + 1) % 4
            answers = torch.tensor([label] * right + [other] * (10 - right))
            logits = torch.nn.functional.one_hot(answers, 4).float()
            targets = torch.full((10,), label)
            for part in range(2):  # in two batches
                metric.update(logits[part::2], targets[part::2], row - 1)
    return metric


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        (SequenceMetric(THREE), 21 / 30),
        (SeenAccuracy(THREE), 21 / 30),
        (Forgetting(THREE), (0.9 - 0.5 + 0.8 - 0.6) / 2),
        (BackwardTransfer(THREE), (0.5 - 0.9 + 0.6 - 0.8) / 2),
        (ForwardTransfer(THREE, by_stage=False), (0.2 - 0.1 + 0.1 - 0.3) / 2),
    ],
)
def test_by_hand(metric, value):
    assert fill(metric).compute().item() == pytest.approx(value)


def test_in_the_middle():
    metrics = sequence_metrics(THREE)
    logits = torch.eye(4)
    metrics.update(logits, torch.tensor([0, 1, 2, 3]), -1)
    metrics.update(logits, torch.tensor([0, 1, 2, 0]), 0)
    found = {name: value.item() for name, value in metrics.compute().items()}
    assert found["acc"] == 0.75
    assert found["seen_acc"] == pytest.approx(2 / 3)
    assert found["forgetting"] == found["bwt"] == found["fwt"] == 0


def test_a_head_for_each_stage():
    logits = torch.tensor([[0.0, 1.0, 5.0, 9.0], [3.0, 1.0, 0.0, 0.0], [9.0, 9.0, 1.0, 9.0]])
    targets = torch.tensor([1, 1, 2])
    one, many = SeenAccuracy(THREE), SeenAccuracy(THREE, by_stage=True)
    for metric in (one, many):
        metric.update(logits, targets, 2)
    assert one.compute().item() == 0
    assert many.compute().item() == pytest.approx(2 / 3)


def test_the_state_is_kept():
    first = fill(Forgetting(THREE))
    second = Forgetting(THREE)
    second.load_state_dict(first.state_dict())
    assert second.compute() == first.compute() != 0
    assert first.matrix[1].tolist() == pytest.approx([0.9, 0.2, 0.0])

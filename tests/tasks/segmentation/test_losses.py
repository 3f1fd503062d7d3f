from __future__ import annotations

import pytest
import torch

from nasplug.tasks.segmentation.losses import SegmentationLoss, outputs_of
from nasplug.tasks.segmentation.settings import Loss


@pytest.fixture
def label():
    return torch.randint(0, 3, (2, 1, 8, 8), generator=torch.Generator().manual_seed(0))


def logits(label, scale=20.0):
    return scale * torch.nn.functional.one_hot(label[:, 0], 3).movedim(-1, 1).float()


@pytest.mark.parametrize("name", ["dice", "dice_ce", "dice_focal", "tversky"])
def test_right_answers_cost_nothing(name, label):
    loss = SegmentationLoss(Loss(name=name))
    assert loss(logits(label), label).item() == pytest.approx(0, abs=1e-3)
    assert loss(-logits(label), label).item() > 0.5


def test_dice_by_hand(label):
    loss = SegmentationLoss(Loss(name="dice", batch=True))
    chances = logits(label, 1.0).softmax(1)
    true = torch.nn.functional.one_hot(label[:, 0], 3).movedim(-1, 1).float()
    common = (chances * true).sum((0, 2, 3))[1:]
    expected = 1 - (2 * common / (chances + true).sum((0, 2, 3))[1:]).mean()
    assert loss(logits(label, 1.0), label).item() == pytest.approx(expected.item(), abs=1e-5)
    alone = SegmentationLoss(Loss(name="dice", batch=False))
    assert alone(logits(label, 1.0), label).item() != pytest.approx(expected.item(), abs=1e-7)


def test_tversky_weighs_misses(label):
    nothing = torch.zeros(2, 3, 8, 8)
    nothing[:, 0] = 20
    everything = torch.zeros(2, 3, 8, 8)
    everything[:, 1:] = 20
    strict, mild = (SegmentationLoss(Loss(name="tversky", alpha=alpha)) for alpha in (0.1, 0.9))
    assert strict(everything, label) < mild(everything, label)
    assert strict(nothing, label) >= mild(nothing, label) - 1e-6


def test_deep_supervision_halves_each_weight(label):
    loss = SegmentationLoss(Loss())
    fine = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    coarse = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    small = label[:, :, 1::2, 1::2]
    small = torch.nn.functional.interpolate(label.float(), size=(4, 4), mode="nearest-exact").long()
    expected = (loss(fine, label) + 0.5 * loss(coarse, small)) / 1.5
    assert loss([fine, coarse], label).item() == pytest.approx(expected.item(), rel=1e-6)


def test_smoothing_and_weights_reach_the_loss(label):
    plain = SegmentationLoss(Loss())
    smooth = SegmentationLoss(Loss(), smoothing=0.2)
    weighted = SegmentationLoss(Loss(), torch.tensor([0.0, 0.0, 5.0]))
    assert smooth(logits(label), label) > plain(logits(label), label) + 0.1
    wrong = logits(label)
    wrong[:, 2] -= 40  # misses the third class alone
    assert weighted(wrong, label) > plain(wrong, label)
    for name in ("dice", "dice_focal"):
        assert SegmentationLoss(Loss(name=name), torch.ones(3))(logits(label), label).item() < 1e-3


def test_what_a_network_may_answer():
    tensor = torch.zeros(1)
    assert outputs_of(tensor) == [tensor]
    assert outputs_of((tensor, tensor)) == [tensor, tensor]
    with pytest.raises(TypeError, match="not dict"):
        outputs_of({"out": tensor})

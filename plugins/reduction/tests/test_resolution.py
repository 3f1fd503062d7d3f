"""A smaller resolution: a hook in front of the network, which costs, weights and exports follow."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from nasplug_reduction import ReductionSpace
from nasplug_reduction.example import SmallResNet, small_resnet
from nasplug_reduction.extra_loss import ExtraLoss
from nasplug_reduction.resolution import resized
from torch import nn

from nasplug.contract.errors import SpecError
from nasplug.cost.counts import count_macs


def at(network, size, share, **settings):
    reduction = ReductionSpace.from_model(network, size, resolutions=(share,), **settings)
    vector = [len(choice.options) - 1 for choice in reduction.choices]
    return reduction, reduction.from_vector([*vector[:-1], 0])


def test_half_of_a_resolution_is_the_mean_of_four_pixels():
    x = torch.randn(2, 3, 8, 6)
    assert torch.allclose(resized(x, 0.5), nn.functional.avg_pool2d(x, 2), atol=1e-6)


def test_the_network_sees_smaller_inputs_and_keeps_its_names():
    network = small_resnet().eval()
    reduction, half = at(network, (3, 16, 16), 0.5)
    smaller = reduction.build(half).eval()
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(smaller(x), network(resized(x, 0.5)))
    assert list(smaller.state_dict()) == list(network.state_dict())
    assert reduction.params(half) == reduction.params(reduction.full)
    for again in (copy.deepcopy(smaller), pickle.loads(pickle.dumps(smaller))):
        assert torch.equal(again(x), smaller(x))


def test_multiply_accumulates_fall_with_the_square():
    reduction, half = at(small_resnet(), (3, 16, 16), 0.5)
    whole, less = (count_macs(reduction.skeleton(each), (3, 16, 16)) for each in (reduction.full, half))
    head = 12 * 10
    assert less - head == (whole - head) / 4


def test_dense_answers_are_scaled_back():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 1)).eval()
    reduction, half = at(network, (3, 8, 8), 0.5)
    x = torch.randn(2, 3, 8, 8)
    assert torch.allclose(reduction.build(half).eval()(x), resized(network(resized(x, 0.5)), 2), atol=1e-6)


def test_a_second_loss_is_of_what_the_network_was_given():
    reduction, half = at(small_resnet(), (3, 16, 16), 0.5)
    network, seen = reduction.build(half), []

    class Module:
        automatic_optimization = True

        def training_step(self, x):
            return network(x).sum()

    module = Module()
    callback = ExtraLoss(network, lambda call: seen.append(call) or call[2].sum(), 0.5)
    callback.on_train_start(None, module)
    x = torch.randn(2, 3, 16, 16)
    module.training_step(x)
    ((args, _, answer),) = seen
    assert args[0] is x
    assert answer.shape == (2, 10)


@pytest.mark.parametrize(
    ("share", "message"),
    [(0.0, "between 0 and 1, got 0"), (1.5, "between 0 and 1, got 1.5"), (0.3, "0.3 of 16x16 is not a whole number")],
)
def test_shares_are_checked(share, message):
    with pytest.raises(SpecError, match=message):
        ReductionSpace.from_model(small_resnet(), (3, 16, 16), resolutions=(share,))


def test_a_network_of_one_size_is_refused_with_the_reason():
    body = (nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten())
    with pytest.raises(SpecError, match=r"(?s)does not work at 0.5 of its resolution.*cannot take inputs of 4x4"):
        ReductionSpace.from_model(nn.Sequential(*body, nn.Linear(512, 2)), (3, 8, 8), resolutions=(0.5,))


def test_inputs_without_spatial_axes_are_refused():
    network = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    with pytest.raises(SpecError, match="only one float input of 1 to 3 spatial axes can be scaled"):
        ReductionSpace.from_model(network, (8,), resolutions=(0.5,))


def test_a_transformer_with_fixed_positions_is_refused():
    timm = pytest.importorskip("timm")
    network = timm.create_model("vit_tiny_patch16_224", depth=1, num_classes=3)
    with pytest.raises(SpecError, match=r"does not work at 0\.5 of its resolution"):
        ReductionSpace.from_model(network, (3, 224, 224), resolutions=(0.5,))


def test_a_module_that_is_the_network_is_refused(project):
    import own_project

    with pytest.raises(SpecError, match="the LightningModule is the network itself"):
        ReductionSpace.from_model(own_project.Whole(), (3, 8, 8), resolutions=(0.5,))


def test_the_original_resolution_may_be_named():
    reduction = ReductionSpace.from_model(SmallResNet(8, 1), (3, 8, 8), resolutions=(1, 0.5))
    assert reduction.choices[-1].options == (0.5, 1.0)

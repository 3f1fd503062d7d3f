"""Layers that a network lists and never calls are named; weights that hooks recompute are refused by name."""

from __future__ import annotations

import copy
import pickle
import warnings

import pytest
import torch
from nasplug_darts_lp.layers.quantise import quantise
from torch import nn
from torch.nn.utils import prune

from nasplug.contract.errors import TaskError


class Reads(nn.Module):
    """Multiplies by the weights of one layer itself, as attention of some models does."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 3)

    def forward(self, x):
        return self.out(nn.functional.linear(x, self.qkv.weight)[..., :8])


def told(network, *inputs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        network(*inputs)
    return [str(item.message) for item in caught if "darts_lp.quantise" in str(item.message)]


def test_a_layer_that_is_read_and_not_called_is_named_once():
    network = quantise(Reads())
    (said,) = told(network, torch.rand(2, 8))
    assert "did not call qkv:" in said
    assert told(network, torch.rand(2, 8)) == []


def test_nothing_is_said_of_layers_that_run_and_of_a_layer_alone():
    assert told(quantise(nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3))), torch.rand(2, 8)) == []
    assert told(quantise(nn.Linear(8, 4)), torch.rand(2, 8)) == []
    shared = nn.Linear(8, 8)
    assert told(quantise(nn.Sequential(shared, nn.ReLU(), shared)), torch.rand(2, 8)) == []


def test_copies_watch_themselves():
    network = quantise(Reads())
    for copied in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert len(told(copied, torch.rand(2, 8))) == 1
    assert len(told(network, torch.rand(2, 8))) == 1


def test_a_pass_that_fails_does_not_count():
    network = quantise(Reads())
    with pytest.raises(RuntimeError):
        network(torch.rand(2, 7))
    assert len(told(network, torch.rand(2, 8))) == 1


def test_of_many_idle_layers_five_are_named():
    class Many(nn.Module):
        def __init__(self):
            super().__init__()
            self.idle = nn.ModuleList(nn.Linear(4, 4) for _ in range(7))
            self.out = nn.Linear(4, 2)

        def forward(self, x):
            return self.out(x)

    (said,) = told(quantise(Many()), torch.rand(2, 4))
    assert "idle.4 and 2 more:" in said


def test_attention_of_beit_is_named():
    beit = pytest.importorskip("timm.models.beit")
    network = quantise(beit.Beit(img_size=16, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=3))
    (said,) = told(network, torch.rand(2, 3, 16, 16))
    assert "blocks.0.attn.qkv" in said
    assert "blocks.1.attn.qkv" in said


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
            r"1 \(Linear\).*\n.*masked.*\n.*prune\.remove\(layer, 'weight'\)",
        ),
        (
            lambda layer: prune.random_unstructured(layer, "bias", 0.5),
            r"1 \(Linear\).*\n.*masked.*\n.*prune\.remove\(layer, 'bias'\)",
        ),
        (torch.nn.utils.weight_norm, r"1 \(Linear\).*\n.*weight_norm.*\n.*remove_weight_norm\(layer\)"),
        (torch.nn.utils.spectral_norm, r"1 \(Linear\).*\n.*computed by a hook.*\n.*permanent"),
    ],
)
def test_weights_that_hooks_recompute_are_refused_by_name(change, message):
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    change(network[1])
    network(torch.rand(2, 4))
    with pytest.raises(TaskError, match=message):
        quantise(network)
    if "prune" in message:
        prune.remove(network[1], "bias" if "bias" in message else "weight")
        assert told(quantise(network), torch.rand(2, 4)) == []

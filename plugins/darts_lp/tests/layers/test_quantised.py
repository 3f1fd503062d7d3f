"""Tests of `nasplug_darts_lp.layers.quantised`."""

from __future__ import annotations

import torch
from nasplug_darts_lp.layers.quantise import quantise
from torch import nn


def test_training_mode_and_inference_agree(batch, network):
    """Inference sums whole numbers; the values are those of training, up to the rounding of floating point."""
    quantised = quantise(network(2), activations="fixed")
    quantised(batch())
    conv = quantised[1].conv1
    values = torch.relu(torch.randn(4, 8, 5, 5))
    with torch.no_grad():
        torch.testing.assert_close(conv.eval()(values), conv.train()(values), rtol=1e-4, atol=1e-5)


def test_linear_layers_on_tokens():
    quantised = quantise(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)))
    tokens = torch.randn(2, 5, 6)
    assert quantised(tokens).shape == (2, 5, 3)
    quantised.eval()
    assert torch.equal(quantised(tokens)[1, 2], quantised(tokens[1, 2:3])[0])

"""Tests of `nasplug.export.inference`."""

from __future__ import annotations

import torch
from torch import nn

from nasplug.export.inference import inference_form


class Learned(nn.Module):
    """Doubles; may be two modules' worth of helpers in training."""

    def __init__(self):
        super().__init__()
        self.helper = nn.Linear(3, 3)

    def forward(self, x):
        return 2 * x

    def inference_form(self):
        return Doubling()


class Doubling(nn.Module):
    def forward(self, x):
        return x + x


def test_parts_are_exchanged_in_a_copy_wherever_they_stand():
    shared = Learned()
    network = nn.Sequential(nn.Linear(3, 3), shared, nn.Sequential(nn.ReLU(), shared), Learned()).eval()
    x = torch.randn(2, 3)
    form = inference_form(network)
    assert not any(isinstance(module, Learned) for module in form.modules())
    assert form[1] is form[2][1]
    assert form[1] is not form[3]
    assert isinstance(network[1], Learned)
    assert torch.equal(form(x), network(x))
    assert not any(module.training for module in form.modules())


def test_the_network_itself_may_have_a_form_or_none_of_its_parts():
    assert isinstance(inference_form(Learned().eval()), Doubling)
    plain = nn.Sequential(nn.Linear(2, 2)).eval()
    assert inference_form(plain) is plain

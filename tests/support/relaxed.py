"""A space of one decision that gradients can make, and one that they cannot."""

from __future__ import annotations

import torch
from torch import nn

import nasplug as nas
from nasplug.spaces.choices import ChoiceSpace


class Mixture(nn.Module):
    """Digits from their pixels, weighed against a constant: only one of the two can learn."""

    def __init__(self):
        super().__init__()
        self.pixels, self.weights = nn.Linear(64, 10), nn.Parameter(torch.zeros(2))

    def forward(self, x):
        parts = self.weights.softmax(0)
        return parts[0] * self.pixels(x.flatten(1)) + parts[1] * torch.zeros(len(x), 10)


class Ways(ChoiceSpace):
    """Sees the pixels, or nothing."""

    def __init__(self):
        super().__init__("ways", [nas.Choice("way", ("pixels", "nothing")), nas.Choice("noise", tuple(range(1000)))])

    def build(self, architecture, task):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    def relaxed(self, task):
        return Mixture()

    def derived(self, network):
        way = ("pixels", "nothing")[int(network.weights.argmax())]
        return (way, int(1000 * network.pixels.weight[0, 0].sigmoid()))

"""Helpers of these tests."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.layers.quantise import quantise
from torch import nn


class Residual(nn.Module):
    def __init__(self, inputs, channels, stride=1, groups=1, act=nn.ReLU):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1, self.act1 = nn.BatchNorm2d(channels), act()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding="same", groups=groups)
        self.bn2, self.act2 = nn.BatchNorm2d(channels), act()
        same = stride == 1 and inputs == channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, channels, 1, stride)

    def forward(self, x):
        return self.act2(self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x))))) + self.shortcut(x))


def _residual(groups=1, act=nn.ReLU):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        act(),
        Residual(8, 8, groups=groups, act=act),
        Residual(8, 12, stride=2, act=act),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 5),
    )


def _plain(act=nn.ReLU):
    """Without any addition: all comparisons but the first are of whole numbers."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), act(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 8, 3, padding=1, dilation=1, groups=8), nn.BatchNorm2d(8), nn.Identity()),
        *(nn.Conv2d(8, 6, 1), nn.BatchNorm2d(6), act(), nn.Dropout(0.5)),
        nn.Conv2d(6, 4, 2, stride=2),
    )


def _ready(network, seed=0, shape=(3, 11, 11), **settings):
    """Quantised, a few steps trained, with normalisation of both signs."""
    torch.manual_seed(seed)
    quantised = quantise(network, **settings)
    for module in quantised.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias, std=0.3)
            module.weight.data[0] = 0.0
    optimiser = torch.optim.Adam(quantised.parameters(), lr=0.01)
    for _ in range(2):
        optimiser.zero_grad()
        quantised(torch.randn(6, *shape)).square().mean().backward()
        optimiser.step()
    return quantised.eval()


def _images(seed=0, shape=(3, 11, 11)):
    return 2 * torch.randn(5, *shape, generator=torch.Generator().manual_seed(seed))


def _parts(folded, kind):
    return [module for module in folded.modules() if isinstance(module, kind)]


@pytest.fixture
def images():
    return _images


@pytest.fixture
def parts():
    return _parts


@pytest.fixture
def plain():
    return _plain


@pytest.fixture
def ready():
    return _ready


@pytest.fixture
def residual():
    return _residual

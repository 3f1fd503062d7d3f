"""Small spaces of networks for every kind of input and output."""

from __future__ import annotations

import torch
from torch import nn

import nasplug as nas


class Space(nas.ChoiceSpace):
    """Networks of two widths, made by a function.

    Args:
        make: Function of (width, task) that makes a network.
        produces: Kind of output.
    """

    def __init__(self, make, produces="vector"):
        super().__init__("widths", [nas.Choice("width", (4, 6, 8))])
        self.make, self.produces = make, (produces,)

    def build(self, architecture, task):
        (width,) = architecture.genotype
        return self.make(width, task)


def convolutions(width, task):
    channels = task.input_shape[0]
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * width, task.outputs),
    )


def pixels(width, task):
    channels = task.input_shape[0]
    return nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, task.outputs, 1))


def perceptron(width, task):
    return nn.Sequential(nn.Linear(task.input_shape[0], width), nn.ReLU(), nn.Linear(width, task.outputs))


class Reader(nn.Module):
    def __init__(self, words, width, outputs):
        super().__init__()
        self.embedding, self.head = nn.Embedding(words, width), nn.Linear(width, outputs)

    def forward(self, input_ids, attention_mask):
        weights = attention_mask[..., None].float()
        return self.head((self.embedding(input_ids) * weights).sum(1) / weights.sum(1).clamp_min(1))


def reader(width, task):
    return Reader(40, width, task.outputs)


class Tagger(nn.Module):
    def __init__(self, words, width, outputs):
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.recurrent = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, outputs)

    def forward(self, tokens):
        return self.head(self.recurrent(self.embedding(tokens))[0])


def tagger(width, task):
    return Tagger(40, width, task.outputs)


class Recurrent(nn.Module):
    """Reads the past of a series, and what is known of the days to come."""

    def __init__(self, past, known, width, outputs):
        super().__init__()
        self.recurrent = nn.LSTM(past, width, batch_first=True)
        self.head = nn.Linear(width + known, outputs)

    def forward(self, series, calendar):
        _, (last, _) = self.recurrent(series)
        return self.head(torch.cat([last[0], calendar], 1))


def recurrent(width, task):
    series, calendar = task.inputs.args
    return Recurrent(series.shape[-1], calendar.shape[-1], width, task.outputs)

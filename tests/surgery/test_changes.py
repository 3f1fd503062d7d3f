"""What an edit changes is known before anything is changed, and is what `make` does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.contract.errors import SurgeryError
from nasplug.surgery import channels_of, edit_of
from nasplug.surgery.changes import changes, make
from tests.surgery.networks import Attention, OptionA


def test_tensors_attributes_and_sizes_of_an_edit() -> None:
    network = nn.Sequential(nn.Linear(2, 12), Attention(12, 3), nn.Linear(12, 1))
    channels = channels_of(network, (5, 2))
    wanted = changes(channels, edit_of("remove", {"1.qkv": [0]}))
    assert wanted.tensors == ("1.proj.weight", "1.qkv.bias", "1.qkv.weight")
    assert wanted.attributes == {"1": {"num_heads": 2}}
    assert wanted.plan.sizes["1.qkv"] == 2
    assert (wanted.placements, wanted.dropped) == ({}, ())
    # queries, keys and values lose the first four indices of their twelve
    (rows,) = [axis for axis in wanted.plan.axes if axis.tensor == "1.qkv.weight"]
    assert rows.take.tolist() == [*range(4, 12), *range(16, 24), *range(28, 36)]
    assert network[1].qkv.weight.shape == (36, 12)
    changed = make(network, wanted)
    assert {tuple(tensor.shape) for tensor in changed} == {(24, 12), (24,), (12, 8)}
    assert network[1].num_heads == 2


def test_padding_modules_of_an_edit() -> None:
    channels = channels_of(OptionA(), (3, 16, 16))
    wanted = changes(channels, edit_of("remove", {"conv": [2]}))
    low, sources = wanted.placements["blocks.1.shortcut"]
    assert low == 4
    assert sources.tolist() == [-1] * 4 + list(range(7)) + [-1] * 4
    assert "blocks.0.shortcut" not in wanted.placements


def test_an_edit_of_modules_changes_no_tensor() -> None:
    network = OptionA()
    channels = channels_of(network, (3, 16, 16))
    wanted = changes(channels, edit_of("drop", {}, modules=("blocks.0",)))
    assert (wanted.tensors, wanted.dropped) == ((), ("blocks.0",))
    count = sum(value.numel() for value in network.parameters())
    assert make(network, wanted) == {}
    # two convolutions of 8 x 8 x 9, two normalisations of 8
    assert count - sum(value.numel() for value in network.parameters()) == 2 * (576 + 16)
    assert network(torch.ones(1, 3, 16, 16)).shape == (1, 5)


def test_an_unknown_group_is_named_before_anything_is_changed() -> None:
    with pytest.raises(SurgeryError, match="no channel group 'blocks'"):
        changes(channels_of(OptionA(), (3, 16, 16)), edit_of("remove", {"blocks": [0]}))

"""Edits are made without numbers first; groups are tried when channels are followed."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nasplug.contract.errors import SurgeryError
from nasplug.surgery import Surgery, channels_of, edit_of
from nasplug.surgery.changes import changes
from nasplug.surgery.rehearsal import rehearsed


class Mixed(nn.Module):
    """Three hidden layers: one is free, one is written in code, one is computed with."""

    def __init__(self) -> None:
        super().__init__()
        self.free, self.written, self.number = nn.Linear(2, 5), nn.Linear(5, 6), nn.Linear(6, 7)
        self.last = nn.Linear(7, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.written(self.free(x).relu()).view(-1, 6)
        x = self.number(x.relu())
        return self.last(x / x.shape[-1])


def test_each_group_gets_its_own_reason() -> None:
    channels = channels_of(Mixed(), (2,))
    assert channels.sizes == {"free": 5, "number": 7}
    assert "its size is written in code" in channels.refused["written"]
    assert channels["free"].inexact_split is None
    assert "the network (Mixed) computes with a number" in (channels["number"].inexact_split or "")


def test_the_rehearsal_is_on_the_copy() -> None:
    network = Mixed()
    channels = channels_of(network, (2,))
    wanted = changes(channels, edit_of("grow", {"free": 2}))
    after = rehearsed(replace(channels, twin=copy.deepcopy(channels.twin)), wanted)
    assert after.sizes == {"free": 7, "number": 7}
    assert after.refused == channels.refused  # what was found by trying is kept
    assert network.free.out_features == channels.twin.free.out_features == 5


def test_the_numbers_of_a_network_are_not_touched_while_channels_are_followed() -> None:
    network = Mixed()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    rng = torch.get_rng_state()
    channels_of(network, (2,))
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(parameter.is_meta for parameter in network.parameters())


def test_one_head_is_refused_with_the_way_out() -> None:
    from tests.surgery.networks import Attention

    network = nn.Sequential(nn.Linear(2, 8), Attention(8, 2), nn.Linear(8, 1))
    with pytest.raises(SurgeryError, match="keep two channels or more"):
        Surgery(network, (5, 2)).remove({"1.qkv": [0]})
    assert network[1].num_heads == 2

"""What one pass through a network shows: labels, roles, sizes, shapes of calls."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasplug.contract.io import Inputs
from nasplug.cost.meta import meta_copy
from nasplug.surgery.follow import traced
from nasplug.surgery.trace import shape_of


class Small(nn.Module):
    """A convolution, a normalisation, a scale, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.unused = nn.Linear(2, 2)
        self.fc = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"y": self.fc((self.norm(self.conv(x)) * self.scale / 2.5).flatten(1))}


def test_roles_shapes_sizes_and_numbers() -> None:
    trace = traced(meta_copy(Small()), Inputs.of((3, 4, 4)))
    assert trace.roles == {
        ("conv.weight", 0): "out",
        ("conv.weight", 1): "in",
        ("conv.bias", 0): "along",
        **{(f"norm.{name}", 0): "along" for name in ("weight", "bias", "running_mean", "running_var")},
        ("scale", 0): "along",
        ("fc.weight", 0): "out",
        ("fc.weight", 1): "in",
        ("fc.bias", 0): "along",
    }
    assert "unused.weight" not in trace.state
    # kernels have no channels along their places
    assert [axis is None for axis in trace.state["conv.weight"]] == [False, False, True, True]
    given, made = trace.passed["conv"][0]
    assert given is not None
    assert made is not None
    assert (given[2:], made[2:]) == ((3, 4, 4), (4, 2, 2))
    assert [shape[2:] for shape in trace.outputs if shape is not None] == [(5,)]
    assert trace.reshapes("norm") is None
    assert trace.reshapes("conv") == "it maps (N, 3, 4, 4) of float32 to (N, 4, 2, 2) of float32"
    assert trace.reshapes("unused") == "it was not called"
    assert trace.reshapes("") == "it does not return one tensor"
    assert ("", "aten.div.Tensor", (2.5,)) in trace.numbers


def test_the_channels_of_a_flattened_map_are_four_places_each() -> None:
    trace = traced(meta_copy(Small()), Inputs.of((3, 4, 4)))
    channels = trace.book.channels()
    made, read = trace.state["conv.weight"][0], trace.state["fc.weight"][1]
    assert made is not None
    assert read is not None
    assert channels[read].tolist() == [channel for channel in channels[made].tolist() for _ in range(4)]


def test_what_only_training_uses_is_seen_in_training() -> None:
    class Aux(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.aux = nn.Linear(3, 2), nn.Linear(3, 4)

        def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
            return (self.main(x), self.aux(x)) if self.training else self.main(x)

    network = Aux().eval()
    trace = traced(meta_copy(network), Inputs.of((3,)))
    assert ("aux.weight", 0) in trace.roles
    assert len(trace.passed["main"]) == 2
    assert len(trace.outputs) == 1  # of inference
    assert not network.training


def test_shapes_of_values() -> None:
    assert shape_of(torch.ones(2, 3, dtype=torch.int32)) == ("torch.int32", 2, 3)
    assert shape_of([torch.ones(2)]) is None

"""A search space of one's own."""

from __future__ import annotations

from typing import assert_type

from torch import nn

import nasplug as nas


class Chain(nas.ChoiceSpace):
    def __init__(self) -> None:
        super().__init__(
            "chain",
            [
                nas.Choice("op", ["conv", "pool"]),
                nas.Choice("kernel", (1, 3, 5), weights=[0.5, 0.25, 0.25], when={"op": "conv"}),
                nas.Choice("width", {"low": 16, "high": 64, "step": 16}, when={"op": ["conv", "pool"]}),
                nas.Choice("rate", nas.FloatRange(0.0, 0.5)),
            ],
        )

    def build(self, architecture: nas.Architecture, task: nas.Task) -> nn.Module:
        made = self.active(architecture)
        assert_type(made, dict[str, str | int | float | bool | None])
        return nn.Linear(task.input_shape[0], task.outputs)


space: nas.SearchSpace = Chain()
architecture = Chain().architecture(["conv", 3, 16, 0.1])
assert_type(architecture, nas.Architecture)
assert_type(architecture.key, str)
Chain().architecture({"op": "pool", "rate": 0.25})

nas.Choice("op", 3)  # type: ignore[arg-type]
nas.Choice("op", [1, 2], when={"kernel": object()})  # type: ignore[dict-item]
nas.IntRange(0.5, 2)  # type: ignore[arg-type]
Chain().architecture(object())  # type: ignore[arg-type]


class Wrong(nas.ChoiceSpace):
    def build(self, architecture: nas.Architecture, task: nas.Task) -> str:  # type: ignore[override]
        return "a network"

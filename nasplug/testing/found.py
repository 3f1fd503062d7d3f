"""Small networks as a search would have found them, for exporters to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from nasplug.contract.choice import Choice
from nasplug.contract.io import Inputs
from nasplug.contract.protocols import Task
from nasplug.contract.records import Architecture, Proposal, Trial
from nasplug.export.exporter import Found
from nasplug.plugins.discovery import discover
from nasplug.plugins.trust import trusting
from nasplug.run.assemble import compose
from nasplug.run.spec import RunSpec
from nasplug.spaces.choices import ChoiceSpace

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule, LightningModule
    from torch import nn

    from nasplug.contract.records import Scalar

#: Inputs of the example networks, as tasks state them.
KINDS: Mapping[str, Any] = {
    "plain": [6],
    "image": [3, 8, 8],
    "tokens": {"shape": [12], "dtype": "int64", "high": 50},
    "named": {"left": {"shape": [4]}, "right": {"shape": [5]}},
}
_OUTPUTS = 3


class ExampleNetworks(ChoiceSpace):
    """Networks with batch normalisation and dropout, so that training mode is noticed.

    Args:
        kind: One of `KINDS`.
        width: Hidden width, the only option.
    """

    def __init__(self, kind: str = "image", width: int = 4) -> None:
        super().__init__("example", [Choice("width", (width,))])
        self.kind = kind

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """Builds the network."""
        from nasplug.testing.example_networks import make

        (width,) = cast("tuple[int]", architecture.genotype)
        return make(self.kind, width, task.outputs)


class ExampleTask:
    """States inputs and outputs, and for images the classes and the preprocessing.

    Args:
        kind: One of `KINDS`.
    """

    objectives: Mapping[str, str] = {"val_acc": "max"}

    def __init__(self, kind: str = "image") -> None:
        self.inputs = Inputs.of(KINDS[kind])
        self.input_shape, self.outputs = self.inputs.shape, _OUTPUTS
        if kind == "image":
            self.class_names = ("cat", "dog", 'it\'s a "bird"')
            self.preprocessing = {
                "kind": "image",
                "size": [8, 8],
                "channels": 3,
                "pixels": "uint8",
                "span": [0.0, 255.0],
                "fit": "crop",
                "background": 255,
                "mean": [0.5, 0.4, 0.3],
                "std": [0.2, 0.25, 0.5],
            }

    def datamodule(self) -> LightningDataModule:
        """There are no data."""
        raise NotImplementedError

    def module(self, network: nn.Module, hyperparameters: Mapping[str, Scalar]) -> LightningModule:
        """There is no training."""
        raise NotImplementedError

    def check_hyperparameters(self, names: Sequence[str]) -> None:
        """Nothing is refused."""


def example_found(kind: str = "image", width: int = 4) -> Found:
    """Returns a network as exporters get it, with a study of one trial around it.

    Args:
        kind: One of `KINDS`.
        width: Hidden width.
    """

    def part(name: str, **arguments: Any) -> dict[str, Any]:
        return {"class_path": f"nasplug.testing.{name}", "init_args": arguments}

    spec = RunSpec.parse(
        {
            "space": part("found.ExampleNetworks", kind=kind, width=width),
            "task": part("found.ExampleTask", kind=kind),
            "evaluator": part("synthetic.SyntheticEvaluator"),
            "budget": {"trials": 1},
        }
    )
    with trusting():
        assembly = compose(spec, discover().catalog, with_strategy=False)
    ledger = assembly.ledger(meta={"spec": spec.to_plain()})
    proposal = Proposal(assembly.space.architecture((width,)))
    trial = Trial(0, proposal, state="complete", metrics={"val_acc": 0.75}, seed=0)
    ledger.observe(trial)
    study = ledger.result(lambda: assembly)
    return Found.of(study, trial, study.build(trial))

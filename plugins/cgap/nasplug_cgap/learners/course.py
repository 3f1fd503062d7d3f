"""One trial on its way through a sequence: network, data, memory, metrics and the count of its work."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpecError, TrialError
from nasplug.contract.io import inputs_of
from nasplug_cgap.learners.flops import FlopMeter
from nasplug_cgap.learners.layers import layers_of
from nasplug_cgap.sequence.loaders import Indexed, Positions
from nasplug_cgap.sequence.metrics import sequence_metrics
from nasplug_cgap.sequence.schedule import ClassSequence

if TYPE_CHECKING:
    from nasplug.evaluate.trialrun import TrialRun

#: Makes a callback for the Lightning at hand.
MakeCallback = Callable[[ModuleType], object]

#: Names of the weights files of a stage start so.
_NETWORK, _METHOD, _METRICS, _WORK = "network.", "method.", "metrics.", "work"


@dataclass(frozen=True)
class Phase:
    """One fit of a stage.

    Attributes:
        name: Name of the phase.
        epochs: Number of epochs.
        data: Indices of training samples for an epoch.
        callbacks: Functions that make a callback for the Lightning at hand.
        free: Share of the units of a layer that is trained, by name of the layer; 1 where it is not named.
        head_only: Whether the head alone is trained, with normalisation as in inference.
        body_trains: Whether batch normalisation is trained too in such a phase.
        decay: Number of epochs after which the learning rate falls to a tenth, again and again, in place of the
            schedule of the task; None keeps that schedule.
        rate: Factor of the learning rate.
    """

    name: str
    epochs: int
    data: Callable[[int], Positions]
    callbacks: Sequence[MakeCallback] = ()
    free: dict[str, float] = field(default_factory=dict)
    head_only: bool = False
    body_trains: bool = False
    decay: int | None = None
    rate: float = 1.0


class Course:
    """What a learner has while it goes through the stages of one trial.

    Args:
        run: The trial.
        sequence: Classes of the stages.
        where: Name of the learner, for messages.

    Attributes:
        network: Network in training.
        data: Training samples.
        layers: Layers of the network.
        meter: Count of floating-point operations.
        metrics: Metrics of the sequence.
        where: Name of the learner.
    """

    def __init__(self, run: TrialRun, sequence: ClassSequence, where: str) -> None:
        self.run, self.sequence, self.where = run, sequence, where
        module = run.data()
        prepare: Any = module
        prepare.prepare_data()
        prepare.setup("fit")
        self.data = Indexed(prepare.train_dataloader(), where)
        self._validation = Indexed(prepare.val_dataloader(), where)
        self._check()
        self.network: nn.Module = run.network
        self.layers = layers_of(self.network, inputs_of(run.task))
        self.meter = FlopMeter(self.layers)
        self.metrics = sequence_metrics(sequence)

    def _check(self) -> None:
        for name, data in (("training", self.data), ("validation", self._validation)):
            for stage, labels in enumerate(self.sequence.stages):
                absent = [label for label in labels if not len(data.of([label]))]
                if absent:
                    raise SpecError(
                        f"there are no {name} samples of class {absent[0]}, which stage {stage} brings",
                        where=self.where,
                        fix="use more of the data (limit, val_fraction), or a task with fewer classes",
                    )

    @property
    def device(self) -> torch.device:
        """Device of the trial."""
        name = self.run.device
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(name)

    def seed(self, role: str) -> int:
        """Returns a seed derived from the trial's.

        Args:
            role: Purpose of the seed.
        """
        return self.run.seed(f"cgap:{role}")

    def batches(self, indices: Positions) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields training batches of chosen samples on the device of the trial.

        Args:
            indices: Indices into the training samples.
        """
        yield from _pairs(self.data.take(indices), self.device, self.where)

    def measure(self, stage: int) -> None:
        """Adds the answers of the network on all validation samples to the metrics.

        Args:
            stage: Index of the stage that was learned last; -1 before any training.
        """
        training = self.network.training
        self.network.to(self.device).eval()
        self.metrics.to(self.device)
        with torch.inference_mode():
            for inputs, targets in _pairs(
                self._validation.take(np.arange(len(self._validation))), self.device, self.where
            ):
                self.metrics.update(self.network(inputs), targets, stage)
        self.network.train(training)

    def scores(self) -> dict[str, float]:
        """Returns the figures after the last measured stage, by name."""
        with warnings.catch_warnings():  # counts that were restored are counts
            warnings.filterwarnings("ignore", message="The .*compute.* method")
            return {name: float(value) for name, value in self.metrics.compute().items()}

    # -- from one stage to the next ------------------------------------------------------------------------------

    def state(self, method: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns everything that the next stage needs, as tensors by name.

        Args:
            method: State of the learner.
        """
        parts = (
            (_NETWORK, self.network.state_dict()),
            (_METHOD, method),
            (_METRICS, self.metrics.state_dict()),
        )
        state = {f"{prefix}{name}": tensor for prefix, part in parts for name, tensor in part.items()}
        return {**_apart(state), _WORK: torch.tensor(self.meter.total, dtype=torch.float64)}

    def load(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Takes up `state` and returns the part of the learner.

        Args:
            state: Tensors by name.
        """

        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}

        self.network.load_state_dict(part(_NETWORK))
        self.metrics.load_state_dict(part(_METRICS))
        self.meter.total = float(state[_WORK])
        return part(_METHOD)


def _apart(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that share no memory, as their file wants them."""
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}


def _pairs(loader: Any, device: torch.device, where: str) -> Iterator[tuple[Tensor, Tensor]]:
    for batch in loader:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2 or not all(isinstance(x, Tensor) for x in batch):
            raise TrialError(
                "data",
                "a batch is not a pair of inputs and class labels",
                where=where,
                fix="let the data module return (inputs, labels), with labels of shape (N,)",
            )
        yield batch[0].to(device), batch[1].to(device)

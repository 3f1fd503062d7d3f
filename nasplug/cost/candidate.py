"""What cost plugins price: an architecture with its network, built only if somebody looks at it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError
from nasplug.contract.io import Inputs, InputsLike

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.protocols import SearchSpace, Task
    from nasplug.contract.records import Architecture
    from nasplug.workloads.workload import Workload


class Candidate:
    """A network on its way through the costs.

    Attributes:
        architecture: Architecture to price; None for a bare network, as in `nasplug cost timm:resnet18`.
        space: The space of the architecture, for capabilities such as a workload without building.
        task: The task, if there is one.
        inputs: Inputs of the network; None for a search without a task.
        trained: Whether `network` has trained weights.
        transformed: Whether wrappers change what the space builds.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        inputs: InputsLike | None,
        *,
        architecture: Architecture | None = None,
        space: SearchSpace | None = None,
        task: Task | None = None,
        trained: bool = False,
        transformed: bool = False,
    ) -> None:
        self._build = build
        self.inputs = None if inputs is None or inputs == () else Inputs.of(inputs)
        self.architecture, self.space, self.task = architecture, space, task
        self.trained, self.transformed = trained, transformed

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the first input without the batch dimension; empty without a task."""
        return () if self.inputs is None else self.inputs.shape

    @property
    def known_inputs(self) -> Inputs:
        """What the network is called with.

        Raises:
            SpecError: Nobody has said it.
        """
        if self.inputs is None:
            raise SpecError(
                "the inputs of the network are not known",
                where="cost",
                fix="add a task, or give the shapes of the inputs",
            )
        return self.inputs

    def of_network(self, network: nn.Module | None) -> Candidate:
        """Returns the same candidate with its trained network; without one, whoever asks for it gets a `SpecError`."""

        def trained() -> nn.Module:
            if network is None:
                raise SpecError(
                    "the evaluator gave no trained network",
                    where="cost",
                    why="this cost looks at trained weights, which an evaluator that looks results up does not have",
                    fix="use an evaluator that trains and answers Evaluation(..., network=...), or leave the cost out",
                )
            return network

        return Candidate(
            trained,
            self.inputs,
            architecture=self.architecture,
            space=self.space,
            task=self.task,
            trained=True,
        )

    @cached_property
    def network(self) -> nn.Module:
        """The `torch.nn.Module`, built on first use; the very object that is trained. Do not change it."""
        return self._build()

    @cached_property
    def workload(self) -> Workload:
        """The layers of the network, from the space where it knows them, else read off the network.

        A trained network is always read, since its weights may have become sparse.

        Raises:
            TaskError: The network cannot be read.
        """
        from nasplug.contract.protocols import HasWorkload

        as_built = not self.trained and not self.transformed
        if isinstance(self.space, HasWorkload) and as_built and self.architecture is not None and self.task is not None:
            return self.space.workload(self.architecture, self.task)
        from nasplug.workloads.extract import extract

        return extract(self.network, self.known_inputs)

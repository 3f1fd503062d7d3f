"""What cost plugins price: an architecture with its network, built only if somebody looks at it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasplug.contract.protocols import SearchSpace, Task
    from nasplug.contract.records import Architecture
    from nasplug.workloads.workload import Workload


class Candidate:
    """A network on its way through the costs.

    Attributes:
        architecture: What is priced; None for a bare network, as in `nasplug cost timm:resnet18`.
        space: The space of the architecture, for capabilities such as a workload without building.
        task: The task, if there is one.
        input_shape: Shape of one input without the batch dimension.
        trained: Whether `network` has trained weights.
        transformed: Whether wrappers change what the space builds.
    """

    def __init__(
        self,
        build: Callable[[], Any],
        input_shape: tuple[int, ...],
        *,
        architecture: Architecture | None = None,
        space: SearchSpace | None = None,
        task: Task | None = None,
        trained: bool = False,
        transformed: bool = False,
    ) -> None:
        self._build = build
        self.input_shape = tuple(input_shape)
        self.architecture, self.space, self.task = architecture, space, task
        self.trained, self.transformed = trained, transformed

    @cached_property
    def network(self) -> Any:
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

        space: Any = self.space
        as_built = isinstance(space, HasWorkload) and not self.trained and not self.transformed
        if as_built and self.architecture is not None and self.task is not None:
            found: Workload = space.workload(self.architecture, self.task)
            return found
        from nasplug.workloads.extract import extract

        return extract(self.network, self.input_shape)

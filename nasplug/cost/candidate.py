"""What cost plugins price: an architecture with its network, built only if somebody looks at it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasplug.records import Architecture
    from nasplug.spaces.protocols import SearchSpace, Task


class Candidate:
    """A network on its way through the costs.

    Attributes:
        architecture: What is priced; None for a bare network, as in `nasplug cost timm:resnet18`.
        space: The space of the architecture, for capabilities such as a workload without building.
        task: The task, if there is one.
        input_shape: Shape of one input without the batch dimension.
        trained: Whether `network` has trained weights.
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
    ) -> None:
        self._build = build
        self.input_shape = tuple(input_shape)
        self.architecture, self.space, self.task, self.trained = architecture, space, task, trained

    @cached_property
    def network(self) -> Any:
        """The `torch.nn.Module`, built on first use; the very object that is trained. Do not change it."""
        return self._build()

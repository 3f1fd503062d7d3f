"""Base class for spaces whose networks nobody can build: their results stand in tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from nasplug.contract.errors import SpaceError
from nasplug.spaces.choices import ChoiceSpace

if TYPE_CHECKING:
    from nasplug.contract.protocols import Task
    from nasplug.contract.records import Architecture


class TableSpace(ChoiceSpace):
    """A space of named choices without networks, for published tables of results.

    Searches on a table work as on any `ChoiceSpace`; a training on it is refused before anything runs. Where the code
    of the networks is at hand, derive from `ChoiceSpace` instead, and what was found can be trained.

    Example:
        >>> from nasplug import Choice, TableSpace
        >>> TableSpace("kernels", [Choice("width", (8, 16)), Choice("op", ("conv", "pool"))]).size()
        4
    """

    #: Networks of this space give no outputs of any kind.
    produces: tuple[str, ...] = ()

    def build(self, architecture: Architecture, task: Task) -> NoReturn:
        """Refuses.

        Raises:
            SpaceError: Always.
        """
        raise SpaceError(
            "its networks cannot be built",
            where=f"space {self.name!r}",
            why="it has results in tables only",
            fix="search with `evaluator: {tabular: {path: FILE}}`, or take a space that builds networks",
        )

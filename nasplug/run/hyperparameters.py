"""Hyperparameters that are searched beside the architecture: from the specification to the trials' proposals."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

import msgspec

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.protocols import HasHyperparameters, SearchSpace
from nasplug.contract.records import Proposal


class Fill:
    """Gives proposals the hyperparameters that their architectures say. Registered beside the strategy.

    Args:
        space: Space of the search.
    """

    def __init__(self, space: HasHyperparameters) -> None:
        self._space = space

    @hookimpl(wrapper=True)
    def propose(self) -> Generator[None, object, object]:
        """Adds them to what the strategy proposes, whose own hyperparameters have other names."""
        proposals = yield
        if not isinstance(proposals, list):
            return proposals
        return [self._filled(each) if isinstance(each, Proposal) else each for each in proposals]

    def _filled(self, proposal: Proposal) -> Proposal:
        ours = self._space.hyperparameters(proposal.architecture)
        return msgspec.structs.replace(proposal, hyperparameters={**proposal.hyperparameters, **ours})

    def state_dict(self) -> dict[str, Json]:
        """Empty."""
        return {}

    def load_state_dict(self, state: JsonObject) -> None:
        """Nothing to restore."""


def with_hyperparameters(space: object, hyperparameters: object) -> object:
    """The plain data of a specification's space, or a ready space, with hyperparameters; unchanged without them.

    Args:
        space: Slug, mapping or component of a space; or a space.
        hyperparameters: Ranges, choices and fixed values by name; None for none.

    Raises:
        SpecError: The hyperparameters are not a mapping.
    """
    if hyperparameters is None:
        return space
    if not isinstance(hyperparameters, Mapping):
        raise SpecError(
            f"cannot read {hyperparameters!r}", where="hyperparameters", fix="write {name: range, choices or value}"
        )
    if isinstance(space, SearchSpace):
        from nasplug.spaces.hyperparameters import HyperparameterSpace

        return HyperparameterSpace(space, hyperparameters)
    return {"with_hyperparameters": {"space": space, "hyperparameters": dict(hyperparameters)}}


def check_names(space: SearchSpace, strategy: Sequence[str], *, where: str) -> list[str]:
    """Names of all hyperparameters that a strategy and a space propose.

    Raises:
        SpecError: Both propose the same one.
    """
    ours = list(space.hyperparameter_names) if isinstance(space, HasHyperparameters) else []
    twice = [name for name in strategy if name in ours]
    if twice:
        raise SpecError(
            f"the hyperparameter {twice[0]!r} is searched twice: by the strategy and beside it",
            where=where,
            fix="take it out of one of the two",
        )
    return [*strategy, *ours]

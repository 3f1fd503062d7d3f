"""Whether an architecture belongs to a space; for `validate` of spaces of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.errors import SpaceError

if TYPE_CHECKING:
    from nasplug.contract.protocols import SearchSpace
    from nasplug.contract.records import Architecture


def check_member(space: SearchSpace, architecture: Architecture) -> None:
    """Checks name, genotype and key of an architecture.

    Args:
        space: Space whose `architecture` makes the record anew.
        architecture: Architecture to check.

    Raises:
        SpaceError: The architecture is not of this space.
    """
    where = f"space {space.name!r}"
    if architecture.space != space.name:
        raise SpaceError(f"an architecture of space {architecture.space!r} was given", where=where)
    if space.architecture(architecture.genotype).key != architecture.key:
        raise SpaceError(
            "the key does not belong to the genotype",
            where=where,
            fix="make architectures with space.architecture(genotype)",
        )

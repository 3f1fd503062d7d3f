"""Names of architectures for people: what their space says, or the values of the genotype in a readable form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nasplug.contract.protocols import HasLabels

if TYPE_CHECKING:
    from nasplug.contract.protocols import SearchSpace
    from nasplug.contract.records import Architecture, Genotype

#: Characters of a label in a table.
WIDTH = 60


def labeller(space: SearchSpace | None) -> Callable[[Architecture], str]:
    """Returns the function that names the architectures of a space.

    A name is a convenience, so a space that cannot name one of its architectures does not stop anything.

    Args:
        space: The space; None if its plugin is not there.
    """
    if not isinstance(space, HasLabels):
        return spelled

    def named(architecture: Architecture) -> str:
        try:
            label: object = space.label(architecture)
        except Exception:  # a plugin's own code, and the conformance suite of spaces tells its author
            return spelled(architecture)
        return " ".join(label.split()) if isinstance(label, str) and label.strip() else spelled(architecture)

    return named


def spelled(architecture: Architecture) -> str:
    """Returns the values of a genotype in a row, groups in parentheses: `resnet10t 0.2 (conv 3)`."""
    genotype = architecture.genotype
    return " ".join(map(_spell, genotype)) if isinstance(genotype, tuple) and genotype else _spell(genotype)


def _spell(value: Genotype) -> str:
    if isinstance(value, tuple):
        return f"({' '.join(map(_spell, value))})"
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def shortened(label: str, width: int = WIDTH) -> str:
    """Returns a label of at most `width` characters that ends behind a word, with the number of words left out.

    Args:
        label: Label of one line.
        width: Largest number of characters; at least 12 are used.

    >>> shortened("conv_3_1_64 pool_2 conv_3_1_128 dense", 30)
    'conv_3_1_64 pool_2 … +2'
    """
    width = max(width, 12)
    if len(label) <= width:
        return label
    words = label.split(" ")
    for kept in range(len(words) - 1, 0, -1):
        short = f"{' '.join(words[:kept])} … +{len(words) - kept}"
        if len(short) <= width:
            return short
    return f"{label[: width - 1]}…"

"""What the tables of NAS-Bench-201 share: the numbers of its cells, the sizes of its networks, its datasets.

Its authors listed the 15,625 cells with the last edge running fastest and shuffled the list once, with Python's
generator and seed 88 (Dong and Yang, ICLR 2020, arXiv 2001.00326; released code). Tables of other groups name cells by
that number.
"""

from __future__ import annotations

import itertools
import random
from functools import cache

from nasplug_tables.spaces.nasbench201.space import network_parameters

#: Datasets of the benchmark and their numbers of classes.
CLASSES = {"cifar10": 10, "cifar100": 100, "ImageNet16-120": 120}
_SEED = 88


@cache
def cells() -> tuple[str, ...]:
    """The cells in the order of their number: six digits, one per edge, as in column `ops` of a table."""
    found = ["".join(digits) for digits in itertools.product("01234", repeat=6)]
    random.Random(_SEED).shuffle(found)  # a generator of its own; the shared one is left alone
    return tuple(found)


@cache
def numbers() -> dict[str, int]:
    """Number of every cell; the inverse of `cells`."""
    return {cell: number for number, cell in enumerate(cells())}


def parameters(cell: str, classes: int) -> int:
    """Trainable parameters of the benchmark's network.

    Args:
        cell: Six digits.
        classes: Number of classes.
    """
    return network_parameters(cell.count("2"), cell.count("3"), classes)

"""Names of hyperparameters: those with a slash are arguments of plugins, the others are the task's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

#: Parts the name of a plugin from that of its argument: `darts_lp.quantise/weight_bits`.
SEPARATOR = "/"


def for_task(hyperparameters: Mapping[str, T]) -> dict[str, T]:
    """Returns the hyperparameters that a task takes, without the arguments of plugins.

    Args:
        hyperparameters: Hyperparameters of a trial.
    """
    return {name: value for name, value in hyperparameters.items() if SEPARATOR not in name}

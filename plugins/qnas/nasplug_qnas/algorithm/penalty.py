"""Penalty on networks that reduce the resolution too often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural
from nasplug_qnas.algorithm.arrays import BoolArray, FloatArray, IntArray


def reduction_table(choices: Sequence[int], reduces: Sequence[bool] | Sequence[Sequence[bool]] | None) -> BoolArray:
    """Which choice of which node reduces the resolution (its stride is above 1), as a boolean array (L, F).

    Args:
        choices: Number of choices of each node, length L.
        reduces: One flag per choice, shared by all nodes; or one list of flags per node; None for none.

    Raises:
        SpecError: If a list has the wrong length.
    """
    table = np.zeros((len(choices), max(choices)), dtype=np.bool_)
    if reduces is None:
        return table
    per_node = [reduces] * len(choices) if len(reduces) and np.ndim(reduces[0]) == 0 else list(reduces)
    if len(per_node) != len(choices):
        raise SpecError(
            f"expected reduction flags for {plural(len(choices), 'node')}, got {len(per_node)}",
            where="Q-NAS",
        )
    for node, (count, given) in enumerate(zip(choices, per_node, strict=True)):
        flags = np.asarray(given, dtype=np.bool_)
        if flags.shape != (count,):
            raise SpecError(
                f"node {node} has {plural(count, 'choice')}, but got {plural(flags.size, 'reduction flag')}",
                where="Q-NAS",
            )
        table[node, :count] = flags
    return table


def reduction_penalty(genes: IntArray, table: BoolArray, limit: int, weight: float = 0.01) -> FloatArray:
    """What is taken from the fitness: `weight * max(0, reducing genes - limit)`; nothing when `limit` is 0.

    Genes are counted, not effective reductions: a pool that acts on a 1 x 1 map changes nothing but counts.

    Args:
        genes: Genes (N, L).
        table: Choices that reduce the resolution, (L, F), as from `reduction_table`.
        limit: Reductions that are free of charge; 0 turns the penalty off.
        weight: Fitness per excess reduction; 0.01 (one accuracy point) as published.

    Returns:
        Non-negative penalties (N,).
    """
    if limit == 0:
        return np.zeros(len(genes))
    counts = np.sum(table[np.arange(genes.shape[1]), genes], axis=1)
    excess = np.maximum(0, counts - limit).astype(np.float64)
    return np.asarray(weight * excess, dtype=np.float64)

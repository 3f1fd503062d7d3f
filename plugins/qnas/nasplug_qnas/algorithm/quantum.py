"""The network part of a quantum individual: one probability mass function per node.

Szwarcman, Civitarese and Vellasco, "Quantum-inspired evolutionary algorithm applied to neural architecture search",
Applied Soft Computing 120:108674, 2022. "Quantum" is an image: the individuals are ordinary categorical distributions,
observing one is sampling from it, and evolution moves probability towards the choices of good networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural
from nasplug_qnas.algorithm.arrays import BoolArray, FloatArray, IntArray, check_fraction, check_positive, check_shape

Guard: TypeAlias = Literal["skip", "clip"]

#: A configured probability vector may miss 1 by this much before it is refused; it is then scaled to sum to 1.
SUM_TOLERANCE = 1e-6


class QuantumNodes:
    """Probability mass functions of Q quantum individuals over the choices of L nodes.

    Args:
        num_quantum: Number of quantum individuals, Q.
        choices: Number of choices of each node, length L. Nodes may differ; shorter ones are padded with probability 0.
        initial: Starting probabilities, the same for every quantum individual: None for uniform ones, one vector for
            all nodes (when all have the same number of choices), or one vector per node.

    Attributes:
        probabilities: float64 array (Q, L, F), where F is the largest number of choices.

    Raises:
        SpecError: If a count is below 1 or a vector of probabilities has the wrong length, a negative entry, or a sum
            other than 1.
    """

    def __init__(
        self,
        num_quantum: int,
        choices: Sequence[int],
        initial: Sequence[float] | Sequence[Sequence[float]] | None = None,
    ) -> None:
        check_positive("num_quantum", num_quantum)
        if len(choices) == 0:
            raise SpecError("a search space needs at least one node, got no choices", where="Q-NAS")
        for node, count in enumerate(choices):
            check_positive(f"the number of choices of node {node}", count)
        self.choices: tuple[int, ...] = tuple(int(count) for count in choices)
        start = np.zeros((len(self.choices), max(self.choices)))
        for node, vector in enumerate(_vectors(self.choices, initial)):
            start[node, : len(vector)] = vector
        self.probabilities: FloatArray = np.repeat(start[None], num_quantum, axis=0)

    @property
    def num_quantum(self) -> int:
        """Number of quantum individuals, Q."""
        return int(self.probabilities.shape[0])

    @property
    def num_nodes(self) -> int:
        """Number of nodes, L."""
        return int(self.probabilities.shape[1])

    def observe(self, rng: np.random.Generator, repetition: int) -> IntArray:
        """Samples classical individuals; number i is observed from quantum individual `i mod Q`.

        Args:
            rng: Source of randomness; (N, L) uniform numbers are drawn.
            repetition: Classical individuals per quantum individual, R.

        Returns:
            Genes (N, L) with N = Q * R, each within `0 .. choices[node] - 1`.
        """
        check_positive("repetition", repetition)
        cumulative = np.cumsum(self.probabilities, axis=2)
        # Dividing makes the last entry exactly 1, so neither rounding nor padding can select a choice of probability 0.
        cumulative /= cumulative[:, :, -1:]
        tiled = np.tile(cumulative, (repetition, 1, 1))
        draws = rng.random(tiled.shape[:2])
        genes: IntArray = np.sum(draws[:, :, None] >= tiled, axis=2, dtype=np.int64)
        return genes

    def update(
        self,
        best: IntArray,
        intensity: float,
        rng: np.random.Generator,
        *,
        rate: float,
        max_update: float = 0.05,
        max_probability: float = 0.99,
        guard: Guard = "skip",
        active: BoolArray | None = None,
    ) -> None:
        """Pulls each quantum individual towards the genes of one classical individual.

        A node is selected with probability `rate`. With k the gene of `best` and u = intensity * max_update, the
        probability of k grows by u and the others shrink by the factor 1 - u / (1 - P[k]), so the sum stays 1.

        Args:
            best: Genes (Q, L); row q is the target of quantum individual q.
            intensity: r of this generation, in [0, 1].
            rng: Source of randomness; (Q, L) uniform numbers are drawn.
            rate: Probability that a node is updated.
            max_update: Largest growth of a probability in one update.
            max_probability: No update takes a probability above this value.
            guard: Treatment of an update that would: `"skip"` leaves the node as it is (as published), `"clip"` moves
                it exactly to `max_probability`.
            active: Quantum individuals to update, boolean (Q,); all by default.

        Raises:
            SpecError: If a rate is out of range.
            ValueError: If a gene is out of range or `guard` is unknown.
        """
        for name, value in (("intensity", intensity), ("update_rate", rate), ("max_update", max_update)):
            check_fraction(name, value)
        check_fraction("max_probability", max_probability)
        if guard not in ("skip", "clip"):
            raise ValueError(f"Q-NAS: guard must be 'skip' or 'clip', got {guard!r}.")
        check_shape("best", best, (self.num_quantum, self.num_nodes))
        if np.any((best < 0) | (best >= np.asarray(self.choices))):
            raise ValueError(f"Q-NAS: a gene of the update target lies outside the choices of its node {self.choices}.")
        selected = rng.random(best.shape) < rate
        if active is not None:
            selected &= active[:, None]
        current = np.take_along_axis(self.probabilities, best[:, :, None], axis=2)[:, :, 0]
        growth = np.full(best.shape, intensity * max_update)
        if guard == "clip":
            growth = np.minimum(growth, max_probability - current)
        # A probability of 1 has nothing left to take from the other choices (and would divide by zero).
        selected &= (current + growth <= max_probability) & (growth > 0.0) & (current < 1.0)
        rows, nodes = np.nonzero(selected)
        factor = 1.0 - growth[rows, nodes] / (1.0 - current[rows, nodes])
        self.probabilities[rows, nodes] *= np.maximum(factor, 0.0)[:, None]
        self.probabilities[rows, nodes, best[rows, nodes]] = current[rows, nodes] + growth[rows, nodes]

    def entropy(self) -> FloatArray:
        """Shannon entropy of every node in nats, (Q, L); ln(choices) when uniform and 0 when decided."""
        logarithms = np.log(self.probabilities, out=np.zeros_like(self.probabilities), where=self.probabilities > 0)
        entropy: FloatArray = np.maximum(-np.sum(self.probabilities * logarithms, axis=2), 0.0)
        return entropy

    def max_probability(self) -> FloatArray:
        """Largest probability of every node, (Q, L)."""
        largest: FloatArray = self.probabilities.max(axis=2)
        return largest

    def state_dict(self) -> list[list[list[float]]]:
        """Probabilities without padding as nested lists: quantum individual, node, choice."""
        return [
            [row[:count].tolist() for row, count in zip(individual, self.choices, strict=True)]
            for individual in self.probabilities
        ]

    def load_state_dict(self, state: list[list[list[float]]]) -> None:
        """Restores what `state_dict` gave, bit by bit.

        Raises:
            ValueError: If the numbers of individuals, nodes or choices differ from this object's.
        """
        shapes = [[len(vector) for vector in individual] for individual in state]
        if shapes != [list(self.choices)] * self.num_quantum:
            raise ValueError(
                f"Q-NAS: the stored probabilities do not fit {plural(self.num_quantum, 'quantum individual')} with "
                f"{plural(self.num_nodes, 'node')}, whose choices are {self.choices}. "
                "Was the search space or num_quantum changed?"
            )
        loaded = np.zeros_like(self.probabilities)
        for q, individual in enumerate(state):
            for node, vector in enumerate(individual):
                loaded[q, node, : len(vector)] = vector
        if not np.allclose(loaded.sum(axis=2), 1.0, atol=SUM_TOLERANCE) or np.any(loaded < 0.0):
            raise ValueError("Q-NAS: the stored probabilities are negative or do not sum to 1; the state is damaged.")
        self.probabilities = loaded


def _vectors(choices: tuple[int, ...], initial: Sequence[float] | Sequence[Sequence[float]] | None) -> list[FloatArray]:
    """Checked starting probabilities of each node, without padding."""
    if initial is None:
        return [np.full(count, 1.0 / count) for count in choices]
    per_node = [initial] * len(choices) if len(initial) and np.ndim(initial[0]) == 0 else list(initial)
    if len(per_node) != len(choices):
        raise SpecError(
            f"expected initial probabilities for {plural(len(choices), 'node')}, got {len(per_node)}",
            where="Q-NAS",
        )
    vectors = []
    for node, (count, given) in enumerate(zip(choices, per_node, strict=True)):
        vector = np.asarray(given, dtype=np.float64)
        if vector.shape != (count,):
            raise SpecError(
                f"node {node} has {plural(count, 'choice')}, but initial probabilities for {vector.size} were given",
                where="Q-NAS",
            )
        total = float(vector.sum())
        if not np.all(vector >= 0.0) or abs(total - 1.0) > SUM_TOLERANCE:
            raise SpecError(
                f"the initial probabilities of node {node} must not be negative and must sum to 1",
                where="Q-NAS",
                why=f"they sum to {total:.9g}, and the smallest is {vector.min():.9g}",
            )
        vectors.append(vector if total == 1.0 else vector / total)
    return vectors

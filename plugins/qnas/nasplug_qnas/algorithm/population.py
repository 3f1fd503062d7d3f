"""Classical individuals as parallel arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nasplug.contract.wording import plural
from nasplug_qnas.algorithm.arrays import BoolArray, FloatArray, IntArray, check_shape


@dataclass(frozen=True)
class Population:
    """M classical individuals; survivors are kept in order of rank, best first.

    Attributes:
        genes: Index of the chosen function per node, (M, L).
        numeric: Inner values of the evolved hyperparameters, (M, H).
        fitness: Fitness as measured, (M,) or (M, K) for K objectives; NaN where `failed`.
        penalised: Fitness minus penalty, the same shape; what selection compares.
        failed: Individuals without a measurement, (M,).
        born: Generation and index in that generation's list of candidates, (M, 2): the one identifier of an individual.
    """

    genes: IntArray
    numeric: FloatArray
    fitness: FloatArray
    penalised: FloatArray
    failed: BoolArray
    born: IntArray

    def __len__(self) -> int:
        return len(self.genes)

    def take(self, order: IntArray) -> Population:
        """The individuals at the given indices, in that order."""
        return Population(
            self.genes[order],
            self.numeric[order],
            self.fitness[order],
            self.penalised[order],
            self.failed[order],
            self.born[order],
        )

    def followed_by(self, other: Population) -> Population:
        """This population with another one appended."""
        return Population(
            np.concatenate([self.genes, other.genes]),
            np.concatenate([self.numeric, other.numeric]),
            np.concatenate([self.fitness, other.fitness]),
            np.concatenate([self.penalised, other.penalised]),
            np.concatenate([self.failed, other.failed]),
            np.concatenate([self.born, other.born]),
        )

    def state_dict(self) -> dict[str, Any]:
        """Plain lists; a failed individual has None for its fitness, which JSON can hold and NaN cannot."""
        return {
            "genes": self.genes.tolist(),
            "numeric": self.numeric.tolist(),
            "fitness": [None if bad else value.tolist() for value, bad in zip(self.fitness, self.failed, strict=True)],
            "penalised": [
                None if bad else value.tolist() for value, bad in zip(self.penalised, self.failed, strict=True)
            ],
            "objectives": list(self.fitness.shape[1:]),
            "born": self.born.tolist(),
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any], num_nodes: int, num_numeric: int) -> Population:
        """Rebuilds a population from `state_dict`.

        Raises:
            ValueError: If the lists differ in length or do not fit the numbers of nodes and hyperparameters.
        """
        size = len(state["genes"])
        genes = np.array(state["genes"], dtype=np.int64)
        check_shape("the stored genes", genes, (size, num_nodes))
        numeric = np.array(state["numeric"], dtype=np.float64).reshape(size, -1)
        check_shape("the stored numeric genes", numeric, (size, num_numeric))
        born = np.array(state["born"], dtype=np.int64)
        check_shape("the stored identifiers", born, (size, 2))
        if len(state["fitness"]) != size or len(state["penalised"]) != size:
            raise ValueError(
                f"Q-NAS: the stored state has {plural(size, 'individual')}, but not as many fitness values."
            )
        failed = np.array([value is None for value in state["fitness"]], dtype=np.bool_)
        columns = tuple(state["objectives"])
        fitness, penalised = _filled(state["fitness"], columns), _filled(state["penalised"], columns)
        return cls(genes, numeric, fitness, penalised, failed, born)


def _filled(values: list[float | list[float] | None], columns: tuple[int, ...]) -> FloatArray:
    """Fitness lists as an array (M, *columns), with NaN in the place of None."""
    return np.array([np.full(columns, np.nan) if value is None else value for value in values], dtype=np.float64)

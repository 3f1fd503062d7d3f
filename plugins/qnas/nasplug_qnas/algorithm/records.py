"""What the algorithm hands out: candidates to measure, survivors, and a record of each generation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class Candidate(NamedTuple):
    """A classical individual to be measured.

    Attributes:
        genes: Index of the chosen function per node, length L.
        hyperparameters: Evolved values by name; empty if none are evolved.
        parent: Quantum individual it was observed from.
    """

    genes: tuple[int, ...]
    hyperparameters: dict[str, float]
    parent: int


@dataclass(frozen=True, slots=True)
class Individual:
    """A measured survivor.

    Attributes:
        genes: Index of the chosen function per node, length L.
        hyperparameters: Evolved values by name.
        fitness: Fitness as measured; None if it failed; a list for several objectives.
        penalised: Fitness minus penalty, which of several objectives only the first one bears.
        generation: Generation in which it was proposed.
        index: Position in that generation's list of candidates.
    """

    genes: tuple[int, ...]
    hyperparameters: dict[str, float]
    fitness: Any
    penalised: Any
    generation: int
    index: int


@dataclass(frozen=True, slots=True)
class GenerationRecord:
    """What one generation did.

    Attributes:
        generation: Number, from 0.
        best: Penalised fitness of the best survivor; None while every candidate has failed.
        best_fitness: Fitness of the best individual, as measured.
        mean_fitness: Mean over this generation's measured candidates, as measured; None if all failed.
        failed: This generation's candidates without a measurement.
        entropy: Mean entropy of the nodes in nats, after the update.
        max_probability: Mean over nodes of the largest probability, after the update.
        pulse_width: Mean width of the pulses relative to their ranges; None if nothing numeric is evolved.
        intensity: r of the generation.
        updated: Whether a quantum update took place.
    """

    generation: int
    best: Any
    best_fitness: Any
    mean_fitness: Any
    failed: int
    entropy: float
    max_probability: float
    pulse_width: float | None
    intensity: float
    updated: bool

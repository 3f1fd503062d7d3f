"""The numeric part of a quantum individual: one uniform pulse per evolved hyperparameter.

A pulse is the uniform density on [lower, upper]. It starts as the configured range, and evolution moves it towards good
values and narrows it as the survivors agree (Szwarcman et al., Applied Soft Computing 120:108674, 2022).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nasplug.contract.ranges import FloatRange, IntRange
from nasplug_qnas.algorithm.arrays import BoolArray, FloatArray, check_fraction, check_positive, check_shape


class UniformPulses:
    """Uniform pulses of Q quantum individuals over H hyperparameters, in alphabetical order of their names.

    A hyperparameter on a logarithmic scale is observed, crossed and updated as its natural logarithm. Arrays of this
    class hold those inner values; `decode` gives the values that a training uses. Integers and numbers with a step own
    half a step to either side of their inner value, so that all are equally likely at the start.

    Args:
        num_quantum: Number of quantum individuals, Q.
        ranges: Range of every hyperparameter by name. May be empty: nothing numeric is evolved then.

    Attributes:
        names: Names of the hyperparameters, sorted.
        lower: Lower ends of the pulses, (Q, H).
        upper: Upper ends of the pulses, (Q, H).
    """

    def __init__(self, num_quantum: int, ranges: Mapping[str, FloatRange | IntRange]) -> None:
        check_positive("num_quantum", num_quantum)
        self.names: tuple[str, ...] = tuple(sorted(ranges))
        self.ranges: dict[str, FloatRange | IntRange] = {name: ranges[name] for name in self.names}
        ends = [_ends(of) for of in self.ranges.values()]
        self.low: FloatArray = np.array([low for low, _ in ends], dtype=np.float64)
        self.high: FloatArray = np.array([high for _, high in ends], dtype=np.float64)
        self.lower: FloatArray = np.tile(self.low, (num_quantum, 1))
        self.upper: FloatArray = np.tile(self.high, (num_quantum, 1))

    def observe(self, rng: np.random.Generator, repetition: int) -> FloatArray:
        """Samples inner values (N, H), N = Q * R; row i comes from quantum individual `i mod Q`."""
        check_positive("repetition", repetition)
        lower = np.tile(self.lower, (repetition, 1))
        upper = np.tile(self.upper, (repetition, 1))
        return lower + rng.random(lower.shape) * (upper - lower)

    def update(
        self,
        best: FloatArray,
        population: FloatArray,
        intensity: float,
        rng: np.random.Generator,
        *,
        rate: float,
        active: BoolArray | None = None,
    ) -> None:
        """Moves the selected pulses towards `best` and brings their width towards the spread of the population.

        With w the spread (largest minus smallest value) over all survivors, both ends move by the fraction
        `intensity` of their way to best - w/2 and best + w/2, and stay within the configured range.

        Args:
            best: Inner values (Q, H); row q is the target of quantum individual q.
            population: Inner values (M, H) of the survivors that were measured, M >= 1.
            intensity: r of this generation, in [0, 1].
            rng: Source of randomness; (Q, H) uniform numbers are drawn, one for both ends of a pulse.
            rate: Probability that a pulse is updated.
            active: Quantum individuals to update, boolean (Q,); all by default.

        Raises:
            SpecError: If a rate is out of range.
            ValueError: If a shape does not fit.
        """
        check_fraction("intensity", intensity)
        check_fraction("update_rate", rate)
        check_shape("best", best, self.lower.shape)
        check_shape("population", population, (len(population), len(self.names)))
        selected = rng.random(self.lower.shape) < rate
        if active is not None:
            selected &= active[:, None]
        if not selected.any():
            return
        half_width = (population.max(axis=0) - population.min(axis=0)) / 2.0
        lower = self.lower + intensity * (best - half_width - self.lower)
        upper = self.upper + intensity * (best + half_width - self.upper)
        # Ends contract alike, so they cannot cross in exact arithmetic; the clips also rule it out in floating point.
        lower = np.clip(lower, self.low, self.high)
        upper = np.clip(upper, lower, self.high)
        self.lower = np.where(selected, lower, self.lower)
        self.upper = np.where(selected, upper, self.upper)

    def decode(self, values: FloatArray) -> dict[str, float]:
        """Hyperparameters by name from one row (H,) of inner values, within their configured ranges."""
        decoded = {}
        for name, value in zip(self.names, values.tolist(), strict=True):
            decoded[name] = _decoded(self.ranges[name], value)
        return decoded

    def relative_width(self) -> FloatArray:
        """Width of every pulse as a fraction of its configured range, (Q, H)."""
        return (self.upper - self.lower) / (self.high - self.low)

    def state_dict(self) -> dict[str, Any]:
        """Both ends of all pulses as nested lists of inner values."""
        return {"names": list(self.names), "lower": self.lower.tolist(), "upper": self.upper.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` gave, bit by bit.

        Raises:
            ValueError: If names or shapes differ, or a pulse lies outside its range.
        """
        if tuple(state["names"]) != self.names:
            raise ValueError(
                f"Q-NAS: the stored hyperparameters are {state['names']}, this search evolves {self.names}."
            )
        lower = np.array(state["lower"], dtype=np.float64)
        upper = np.array(state["upper"], dtype=np.float64)
        check_shape("the stored lower ends", lower, self.lower.shape)
        check_shape("the stored upper ends", upper, self.upper.shape)
        if not (np.all(self.low <= lower) and np.all(lower <= upper) and np.all(upper <= self.high)):
            raise ValueError("Q-NAS: a stored pulse is inverted or outside its range; the state is damaged.")
        self.lower, self.upper = lower, upper


def _ends(of: FloatRange | IntRange) -> tuple[float, float]:
    """Inner values of both ends."""
    margin = 0.0 if of.step is None else of.step / 2.0
    low, high = of.low - margin, of.high + margin
    return (math.log(low), math.log(high)) if of.log else (low, high)


def _decoded(of: FloatRange | IntRange, inner: float) -> float:
    """The value of an inner value."""
    value = math.exp(inner) if of.log else inner
    if of.step is not None:
        return of[min(max(round((value - of.low) / of.step), 0), len(of) - 1)]
    return min(max(value, of.low), of.high)

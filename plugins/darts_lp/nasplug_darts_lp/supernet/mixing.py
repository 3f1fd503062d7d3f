"""How mixing weights are made and how sharp they are, as a record that needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from nasplug.contract.errors import SpecError, did_you_mean

Kind: TypeAlias = Literal["softmax", "gumbel", "gumbel_hard", "dirichlet"]
Annealing: TypeAlias = Literal["linear", "exponential", "constant"]


@dataclass(frozen=True)
class Mixing:
    """How mixing weights are made, and the course of the temperature.

    Attributes:
        kind: `softmax` weighs all candidates; `gumbel` weighs them by a sample that the temperature sharpens;
            `gumbel_hard` takes one candidate forward and the gradient of the soft sample backward, as GDAS;
            `dirichlet` weighs them by a sample of the Dirichlet distribution whose mean is the softmax, as DrNAS.
        temperature: Temperatures at the start and at the end of the search; None means 5 and 0.1 for samples of the
            Gumbel softmax, and 1 for the others.
        annealing: Course from one to the other, `linear`, `exponential` or `constant`.

    Raises:
        SpecError: An unknown name, or a temperature that is not positive.
    """

    kind: Kind = "gumbel"
    temperature: tuple[float, float] | None = None
    annealing: Annealing = "linear"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("mixing", self.kind, get_args(Kind)),
            ("annealing", self.annealing, get_args(Annealing)),
        ):
            if value not in known:
                raise SpecError(f"unknown {name} {value!r}", where="darts_lp", fix=did_you_mean(str(value), known))
        for temperature in self.temperature or ():
            if not 0.0 < temperature < math.inf:
                raise SpecError(f"temperature must be > 0, got {temperature}", where="darts_lp")

    def temperature_at(self, progress: float) -> float:
        """Returns the temperature when a fraction of the search is done.

        Args:
            progress: Fraction done, 0 to 1.
        """
        start, end = self.temperature or ((5.0, 0.1) if self.kind.startswith("gumbel") else (1.0, 1.0))
        if self.annealing == "constant":
            return start
        if self.annealing == "exponential":
            return start * math.pow(end / start, progress)
        return start + (end - start) * progress

"""The settings of the evolution, and the presets that go by a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from nasplug.contract.errors import SpecError, did_you_mean

#: What must be new about an offspring: its genotype beside parents and siblings, or its network in the whole search.
Distinct: TypeAlias = Literal["genotype", "network"]
#: How the first generation is drawn: from the prior of the space, or with a density of ones that varies.
Start: TypeAlias = Literal["prior", "spread"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of NSGA-II with the operators of NSGA-Net.

    Attributes:
        population: Survivors of every generation, and size of the first, random one.
        offspring: Children per generation; 1 is the steady state.
        eta: Distribution index of the polynomial mutation; larger values stay closer to the parent.
        crossover_points: Cuts of the crossover.
        distinct: See `Distinct`.
        start: See `Start`.
        reevaluate: Number of proposals of each generation, or of every `population` ones in the steady state, that
            measure a member of the first front again.

    Raises:
        SpecError: A value out of range.
    """

    population: int = 20
    offspring: int = 20
    eta: float = 3.0
    crossover_points: int = 2
    distinct: Distinct = "network"
    start: Start = "prior"
    reevaluate: int = 0

    def __post_init__(self) -> None:
        least = (("population", 2), ("offspring", 1), ("crossover_points", 1))
        for name, bound in least:
            if getattr(self, name) < bound:
                raise SpecError(f"{name} is {getattr(self, name)}, less than {bound}", where="emonas")
        if not 1.0 <= self.eta <= 100.0:
            raise SpecError(f"eta is {self.eta}", where="emonas", fix="give 1 to 100; NSGA-Net has 3")
        if self.distinct not in get_args(Distinct):
            fix = did_you_mean(str(self.distinct), get_args(Distinct))
            raise SpecError(f"distinct is {self.distinct!r}", where="emonas", fix=fix)
        if self.start not in get_args(Start):
            raise SpecError(
                f"start is {self.start!r}", where="emonas", fix=did_you_mean(str(self.start), get_args(Start))
            )
        room = self.population if self.offspring == 1 else self.offspring
        if not 0 <= self.reevaluate < room:
            raise SpecError(f"reevaluate is {self.reevaluate}", where="emonas", fix=f"give 0 to {room - 1}")


#: `thesis` fits the 100 evaluations of EMONAS; the others are those of NSGA-Net's two search spaces; `steady` is an
#: extension: a spread start and the steady state, one child after the other.
SETTINGS: dict[str, Settings] = {
    "thesis": Settings(),
    "steady": Settings(offspring=1, start="spread"),
    "nsganet_macro": Settings(population=40, offspring=40, distinct="genotype"),
    "nsganet_micro": Settings(population=40, offspring=20, distinct="genotype"),
}

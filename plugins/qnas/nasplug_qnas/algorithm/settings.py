"""Settings of the algorithm, and named ones: two of the literature, three for smaller budgets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nasplug.contract.errors import SpecError
from nasplug_qnas.algorithm.anchoring import Sampling
from nasplug_qnas.algorithm.arrays import check_fraction, check_positive
from nasplug_qnas.algorithm.crossover import GeneCrossover
from nasplug_qnas.algorithm.quantum import Guard
from nasplug_qnas.algorithm.selection import Replacement


@dataclass(frozen=True, slots=True)
class QNASSettings:
    """Parameters of the evolution. The defaults are those of the published CIFAR experiments, without penalty.

    Attributes:
        quantum_individuals: Quantum individuals, Q.
        repetition: Classical individuals observed per quantum individual and generation, R.
        crossover_rate: Probability that an evolved hyperparameter is crossed with a survivor's.
        gene_crossover: Crossover of architectures with survivors; published Q-NAS has `"none"`.
        gene_crossover_rate: Probability that a new architecture is crossed.
        sampling: `"distributions"` observes every gene anew (as published). `"anchored"`, an extension, lets new
            individual i keep the genes of the survivor at rank i but for a few, which are drawn from its quantum
            individual.
        redrawn: Mean number of genes that an anchored individual redraws beyond the first one.
        redraws: Attempts to replace a candidate that was proposed before; 0 allows repeats (as published).
        replacement: `"best"` of new and old, or generational with `"elitism"`.
        update_interval: Generations between quantum updates; the first is at the generation of this number.
        update_rate: Probability that a node or pulse takes part in an update.
        max_update: Largest growth of a probability in one update.
        max_probability: Upper bound of a probability.
        guard: Treatment of an update beyond the bound: `"skip"` (published) or `"clip"`.
        penalise_above: Reductions of resolution that are free of penalty; 0 turns the penalty off.
        penalty_weight: Fitness lost per reduction above that number.
        patience: Generations without enough gain before the evolution stops; 0 never stops it.
        min_gain: Relative gain over `patience` generations that counts as progress.

    Raises:
        SpecError: If a value is out of range.
    """

    quantum_individuals: int = 5
    repetition: int = 4
    crossover_rate: float = 0.5
    gene_crossover: GeneCrossover = "none"
    gene_crossover_rate: float = 0.5
    sampling: Sampling = "distributions"
    redrawn: float = 0.5
    redraws: int = 0
    replacement: Replacement = "best"
    update_interval: int = 5
    update_rate: float = 0.1
    max_update: float = 0.05
    max_probability: float = 0.99
    guard: Guard = "skip"
    penalise_above: int = 0
    penalty_weight: float = 0.01
    patience: int = 0
    min_gain: float = 0.005

    def __post_init__(self) -> None:
        for count in ("quantum_individuals", "repetition", "update_interval"):
            check_positive(count, getattr(self, count))
        for fraction in ("crossover_rate", "gene_crossover_rate", "update_rate", "max_update", "max_probability"):
            check_fraction(fraction, getattr(self, fraction))
        for amount in ("penalise_above", "penalty_weight", "patience", "min_gain", "redrawn", "redraws"):
            if not getattr(self, amount) >= 0:
                raise SpecError(f"{amount} must not be negative, got {getattr(self, amount)!r}", where="Q-NAS")
        allowed = {
            "gene_crossover": ("none", "uniform", "hux"),
            "replacement": ("best", "elitism"),
            "sampling": ("distributions", "anchored"),
            "guard": ("skip", "clip"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise SpecError(
                    f"{name} must be one of {', '.join(values)}; got {getattr(self, name)!r}", where="Q-NAS"
                )
        if self.sampling == "anchored" and self.gene_crossover != "none":
            raise SpecError(
                "anchored individuals have the genes of a survivor already, so that there is nothing to cross",
                where="Q-NAS",
                fix="leave gene_crossover out, or take sampling: distributions",
            )

    @property
    def population(self) -> int:
        """Candidates per generation, N = Q * R."""
        return self.quantum_individuals * self.repetition


#: `cifar2022`: Szwarcman et al. 2022, as released for CIFAR with the function sets conv11 and res9; with conv9 there
#: was without a penalty. Over its 100 generations a node is updated about twice,
#: by 0.025 on average, so the search is close to sampling from the starting probabilities with an archive of the best.
#: `segqnas2023`: SegQNAS (Baldo Carlos et al., IJCNN 2023): nine quantum individuals observed once, updated every
#: generation, so that the distributions converge.
#: `strong`: the same, and candidates that were proposed before are drawn again.
#: `table`: for some 150 cheap evaluations, as on a table of results. Few quantum individuals, which gives thirty
#: generations; firm updates that stop short of certainty, so that the last generations still vary; crossover of
#: architectures, which is an extension; no repeats. Tuned on NAS-Bench-101 and -201, on seeds that no reported figure
#: uses.
#: `anchored`: the distributions of `table` around survivors; an extension that shares much with evolution.
_CONVERGING = QNASSettings(quantum_individuals=9, repetition=1, update_interval=1, update_rate=0.9)
_SMALL = QNASSettings(
    quantum_individuals=5,
    repetition=1,
    update_interval=1,
    update_rate=0.5,
    max_update=0.2,
    max_probability=0.9,
    guard="clip",
    redraws=10,
)
SETTINGS: dict[str, QNASSettings] = {
    "cifar2022": QNASSettings(penalise_above=3),
    "segqnas2023": _CONVERGING,
    "strong": replace(_CONVERGING, redraws=10),
    "table": replace(_SMALL, gene_crossover="hux"),
    "anchored": replace(_SMALL, sampling="anchored"),
}

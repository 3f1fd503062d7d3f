"""BOHB: Hyperband whose architectures come from densities of good and of bad results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from nasplug.builtin.hyperband import Hyperband
from nasplug.builtin.ranking import best_first, comparable
from nasplug.builtin.successive_halving import RUNG
from nasplug.contract.choice import Choice
from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import HasVector
from nasplug.contract.records import Architecture, Proposal, Trial
from nasplug.ledger.view import StudyView

if TYPE_CHECKING:
    import numpy.typing as npt

#: Smallest width of the kernel of a number between 0 and 1.
_NARROWEST = 1e-3


class Bohb(Hyperband):
    """Hyperband with a model: new architectures are likely among good results, and unlikely among bad ones.

    Source: Falkner, Klein and Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", ICML 2018,
    algorithm 2. The model learns from the highest rung that has `d + 2` results or more, d being the number of
    decisions: results of longer trainings count for more than many of short ones. A share of architectures is random.

    Densities are products over the decisions of the space, of the kernels of Aitchison and Aitken for options, and of
    Gaussian ones, cut off at the bounds, for numbers. Good are the best of the results, by `best_first` where there are
    several objectives or constraints.

    Args:
        eta: One of `eta` is promoted.
        min_epochs: Epochs of the lowest rung.
        max_epochs: Epochs of the highest rung; default: the epochs of the run.
        good: Share of the results that are good.
        random_share: Probability that an architecture is random.
        candidates: Number of draws from the density of good results, of which the best is taken.
        wider: Factor by which the kernels are widened for these draws.

    Raises:
        SpecError: Numbers that make no two rungs, or a share outside of (0, 1).
    """

    def __init__(
        self,
        eta: int = 3,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        good: float = 0.15,
        random_share: float = 1 / 3,
        candidates: int = 64,
        wider: float = 3.0,
    ) -> None:
        if not 0.0 < good < 1.0 or not 0.0 <= random_share <= 1.0:
            raise SpecError(f"expected shares between 0 and 1, got good={good} and {random_share=}", where="bohb")
        if candidates < 1 or wider < 1.0:
            raise SpecError(f"candidates and wider must be >= 1, got {candidates} and {wider}", where="bohb")
        super().__init__(None, eta, min_epochs, max_epochs)
        self.good, self.random_share, self.candidates, self.wider = good, random_share, candidates, wider
        self.requires = (HasVector,)

    def _fresh(self, study: StudyView, count: int, bracket: int) -> list[Proposal]:
        random = super()._fresh(study, count, bracket)
        seen = {trial.architecture.key for trial in (*study.trials, *study.pending)}
        found = []
        for offset, proposal in enumerate(random):
            rng = study.rng("bohb.propose", study.proposed + offset)
            known = [] if rng.random() < self.random_share else self._known(study)
            chosen = self._chosen(study, known, seen, rng) if known else None
            if chosen is not None:
                proposal = msgspec.structs.replace(proposal, architecture=chosen)
            origin: Json = "random" if chosen is None else "model"
            proposal = msgspec.structs.replace(proposal, info={**proposal.info, "origin": origin})
            seen.add(proposal.architecture.key)
            found.append(proposal)
        return found

    def _known(self, study: StudyView) -> list[Trial]:
        """Results of the highest rung that has enough of them, the best first; none where no rung has."""
        space: Any = study.space  # its capabilities are checked against `requires` before the search starts
        least = len(space.choices) + 2
        for rung in range(len(self._epochs) - 1, -1, -1):
            some = [trial for trial in study.trials if _is_of(trial, rung) and comparable(study, trial)]
            if len(some) >= least:
                return best_first(study, some)
        return []

    def _chosen(
        self, study: StudyView, ordered: Sequence[Trial], seen: set[str], rng: np.random.Generator
    ) -> Architecture | None:
        """The new architecture of the largest ratio of densities; None where no draw is new."""
        space: Any = study.space
        points = np.array([_units(space.choices, space.vector(trial.architecture)) for trial in ordered])
        least = min(len(space.choices) + 1, len(points) - 1)
        few = min(max(least, round(self.good * len(points))), len(points) - 1)
        good, bad = _Density(space.choices, points[:few]), _Density(space.choices, points[few:])
        drawn: dict[str, Architecture] = {}
        for _ in range(self.candidates):
            units = zip(space.choices, good.draw(rng, self.wider), strict=True)
            architecture = space.from_vector([choice.gene(choice.domain.from_unit(unit)) for choice, unit in units])
            if architecture.key not in seen:
                drawn.setdefault(architecture.key, architecture)
        if not drawn:
            return None
        found = list(drawn.values())
        places = np.array([_units(space.choices, space.vector(architecture)) for architecture in found])
        return found[int(np.argmax(good.logarithm(places) - bad.logarithm(places)))]


def _is_of(trial: Trial, rung: int) -> bool:
    return trial.proposal.info.get(RUNG) == rung and trial.copied_from is None


def _units(choices: Sequence[Choice], vector: Sequence[float]) -> npt.NDArray[np.float64]:
    """Entries of a vector between 0 and 1; for an option, the middle of its share of the interval."""
    return np.array(
        [float(choice.domain.to_unit(choice.value(gene))) for choice, gene in zip(choices, vector, strict=True)]  # type: ignore[arg-type]
    )


class _Density:
    """Density by kernels around points of the unit cube, a product over the decisions.

    Args:
        choices: Decisions of the space.
        points: float64 (points, decisions).
    """

    def __init__(self, choices: Sequence[Choice], points: npt.NDArray[np.float64]) -> None:
        self._choices, self._points = choices, points
        #: Number of options of a decision among listed ones, 0 for numbers of a range.
        self._options = np.array([len(c.options) if isinstance(c.options, tuple) else 0 for c in choices])
        # Scott's rule, as in the code of BOHB: the deviation times n to the power of -1 / (d + 4).
        factor = len(points) ** (-1.0 / (len(choices) + 4))
        self._widths = np.maximum(points.std(axis=0) * factor, _NARROWEST)
        # Probability of another option than that of the point, by Aitchison and Aitken, 1976.
        spread = np.array([_disagreement(points[:, i], size) for i, size in enumerate(self._options)])
        self._others = np.clip(spread * factor, 0.05, 0.9)

    def logarithm(self, places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Logarithm of the density, up to a constant of the space; float64 (places,).

        Args:
            places: float64 (places, decisions).
        """
        total = np.zeros((len(places), len(self._points)))
        for i, size in enumerate(self._options):
            apart = places[:, i, None] - self._points[None, :, i]
            if size > 1:
                same = np.abs(apart) < 0.5 / size
                total += np.log(np.where(same, 1.0 - self._others[i], self._others[i] / (size - 1)))
            elif not size:
                total += -0.5 * np.square(apart / self._widths[i]) - np.log(self._widths[i])
        peak = total.max(axis=1)
        logarithm: npt.NDArray[np.float64] = peak + np.log(np.exp(total - peak[:, None]).mean(axis=1))
        return logarithm

    def draw(self, rng: np.random.Generator, wider: float) -> list[float]:
        """One place near a random point."""
        centre = self._points[int(rng.integers(len(self._points)))]
        found = []
        for i, size in enumerate(self._options):
            if not size:
                found.append(_inside(float(centre[i]), wider * float(self._widths[i]), rng))
            elif rng.random() < min(1.0, wider * float(self._others[i])):
                found.append((int(rng.integers(size)) + 0.5) / size)
            else:
                found.append(float(centre[i]))
        return found


def _disagreement(column: npt.NDArray[np.float64], size: int) -> float:
    """How often two of the points have different options."""
    if size <= 1:
        return 0.0
    counts = np.unique(column, return_counts=True)[1] / len(column)
    return float(1.0 - np.square(counts).sum())


def _inside(middle: float, width: float, rng: np.random.Generator) -> float:
    """A draw from a Gaussian, again until it lies between 0 and 1; uniform where it never does."""
    for _ in range(20):
        drawn = float(rng.normal(middle, width))
        if 0.0 <= drawn <= 1.0:
            return drawn
    return float(rng.random())

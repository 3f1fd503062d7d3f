"""Whether BOO says more than how many weights there are: its correlation with size over the trials of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import StudyError
from nasplug.contract.records import Trial
from nasplug.ledger.study import Study
from nasplug_emonas.boo.formats import BitFormat

#: From this rank correlation on, ordering by ones is ordering by size.
SAME_ORDER = 0.99
#: Up to this relative difference in ones per weight between any two networks, ones are weights times a constant.
SAME_MEAN = 0.05


@dataclass(frozen=True, slots=True)
class Correlation:
    """How ones and sizes go together.

    Attributes:
        format: The bit format; `recorded` for the values that the cost `boo` left in the study.
        trials: Number of trials that it is computed over.
        spearman: Correlation of ranks between ones and counted weights; NaN if one is the same in all trials.
        pearson: Correlation of values between them.
        spearman_params: Correlation of ranks between ones and the cost `params`, which has biases and batch
            normalisation in it; NaN where the trials do not have that cost.
        lowest: Smallest number of ones per weight.
        highest: Largest number of ones per weight.
    """

    format: str
    trials: int
    spearman: float
    pearson: float
    spearman_params: float
    lowest: float
    highest: float

    @property
    def counts_weights(self) -> bool:
        """Whether ones order the trials as numbers of weights do, or are such a number times a constant.

        Networks of nearly one size may change places by a constant that is none to the last digit, so that one of the
        two is enough.
        """
        return self.spearman >= SAME_ORDER or self.spread <= SAME_MEAN

    @property
    def spread(self) -> float:
        """By how much the largest number of ones per weight exceeds the smallest, relative to it."""
        return self.highest / self.lowest - 1.0 if self.lowest else float("inf")


def boo_correlation(study: Study, formats: Sequence[str] = ()) -> list[Correlation]:
    """Correlates BOO with the size of the networks, over all complete trials.

    Args:
        study: Study with the cost `boo`, or with kept weights; and best with the cost `params`.
        formats: Bit formats to count in anew, from the weights that the study kept, such as `int8/sign_magnitude`.
            Copies of earlier trials are left out, as everywhere here.

    Returns:
        The recorded values first, if there are any, then the formats.

    Raises:
        StudyError: Fewer than three trials have what is needed.
    """
    trials = [trial for trial in study.trials if trial.state == "complete" and trial.copied_from is None]
    recorded = [trial for trial in trials if {"boo/ones", "boo/weights"} <= set(trial.values)]
    found = []
    if recorded or not formats:
        ones = [(trial.values["boo/ones"], trial.values["boo/weights"]) for trial in recorded]
        found.append(_correlation("recorded", recorded, ones, "record the cost `boo`, or give formats to count in"))
    kept = [trial for trial in trials if "weights" in trial.artifacts]
    parsed = {text: BitFormat.parse(text) for text in formats}
    counts = _count(study, kept, list(parsed.values())) if parsed else []
    for column, text in enumerate(parsed):
        ones = [row[column] for row in counts]
        found.append(_correlation(text, kept, ones, "keep weights: the evaluator's option `keep`"))
    return found


def _count(study: Study, trials: Sequence[Trial], formats: Sequence[BitFormat]) -> list[list[tuple[float, float]]]:
    """Ones and weights of every trial in every format."""
    from nasplug_emonas.boo.counting import count

    rows = []
    for trial in trials:
        network = study.network(trial)
        counts = [count(network, form) for form in formats]
        rows.append([(float(one.ones), float(one.weights)) for one in counts])
    return rows


def _correlation(name: str, trials: Sequence[Trial], counts: Sequence[tuple[float, float]], fix: str) -> Correlation:
    if len(trials) < 3:
        raise StudyError(f"a correlation needs at least 3 trials, got {len(trials)}", where=f"boo, {name}", fix=fix)
    ones, weights = np.array(counts, dtype=np.float64).T
    params = np.array([trial.values.get("params", np.nan) for trial in trials])
    mean = ones / weights
    return Correlation(
        format=name,
        trials=len(trials),
        spearman=pearson(ranks(ones), ranks(weights)),
        pearson=pearson(ones, weights),
        spearman_params=float("nan") if np.isnan(params).any() else pearson(ranks(ones), ranks(params)),
        lowest=float(mean.min()),
        highest=float(mean.max()),
    )


def pearson(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """Correlation coefficient of two rows of numbers; NaN if one is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks from 1, equal values sharing the mean of theirs."""
    _, inverse, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    found: npt.NDArray[np.float64] = (last - (sizes - 1) / 2)[inverse]
    return found

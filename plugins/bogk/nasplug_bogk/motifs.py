"""Which parts of an architecture help: derivatives of the expected result with respect to substructures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from nasplug.contract.errors import StudyError
from nasplug.ledger.study import Study
from nasplug.optional import require
from nasplug_bogk.kernels.graph_kernel import separations
from nasplug_bogk.kernels.weisfeiler_lehman import WeisfeilerLehman
from nasplug_bogk.strategy import BayesianOptimisation


@dataclass(frozen=True, slots=True)
class Motif:
    """A substructure and what it does.

    Attributes:
        text: The operation with what it gets and what it feeds: `input, pool -> conv -> output`.
        rounds: Radius in rounds: 0 for a single operation, 1 for its neighbours as well.
        effect: Change of the expected result by one more occurrence, in standard deviations of the (transformed)
            objective over the trials; above 0 helps.
        spread: Standard deviation of that over the architectures that have the motif.
        trials: Number of trials that have it.
    """

    text: str
    rounds: int
    effect: float
    spread: float
    trials: int


def motifs(study: Study, rounds: int = 1, least: int = 3, **settings: Any) -> list[Motif]:
    """The motifs of a study, the most helpful first.

    A Gaussian process with the Weisfeiler-Lehman kernel is fitted to the study's trials, from whatever strategy they
    are. The effect of a motif is the derivative of the posterior mean with respect to how often the motif occurs, on
    average over the trials that have it, each weighted by its occurrences; Ru et al., "Interpretable Neural
    Architecture Search via Bayesian Optimisation with Weisfeiler-Lehman Kernels", ICLR 2021, section 3.2. It says what
    goes along with good results among these trials, and no more.

    Args:
        study: Study on a space that gives graphs, with at least three finished trials.
        rounds: Largest radius of a motif in rounds.
        least: Motifs that fewer trials have are left out.
        **settings: Further arguments of the strategy, such as `drop` or `transform`.

    Raises:
        StudyError: There are too few trials.
    """
    strategy = BayesianOptimisation("wl", "matern52", kernel_options={"wl": {"depths": [rounds]}}, **settings)
    if len({trial.architecture.key for trial in study.trials}) < 3:
        raise StudyError("motifs need at least three different architectures", where="bogk.motifs")
    process, _ = strategy.posterior(study)
    (part,) = process.kernel.parts  # type: ignore[attr-defined]
    embedding = part.embedding
    assert isinstance(embedding, WeisfeilerLehman)
    levels = [embedding.features(process.graphs, level) for level in range(rounds + 1)]
    counts = csr_array(sum(levels[1:], start=levels[0]))
    # d k / d D² of the matern52 shape, at D² = separation
    separation = separations(embedding, "matern52", process.graphs, process.graphs, [0])[0]
    distance = np.sqrt(5.0 * separation) / part.lengthscale
    pull = -5.0 / (6.0 * part.lengthscale**2) * (1.0 + distance) * np.exp(-distance) * process.weights
    slopes = 2.0 * (counts.multiply(pull.sum(axis=1)[:, None]).toarray() - (counts.T @ pull.T).T)
    found = []
    for column, (level, label) in enumerate(embedding.column_names()):
        times = counts[:, [column]].toarray()[:, 0]
        if np.count_nonzero(times) < least or np.ptp(times) == 0:
            continue  # too rare, or the same everywhere, like the input
        effect = float(np.average(slopes[:, column], weights=times))
        spread = float(np.sqrt(np.average(np.square(slopes[:, column] - effect), weights=times)))
        found.append(Motif(describe(embedding, label, level), level, effect, spread, int(np.count_nonzero(times))))
    return sorted(found, key=lambda motif: (-motif.effect, motif.text))


def describe(embedding: WeisfeilerLehman, label: Any, level: int) -> str:
    """A label in words: what the operation gets, the operation, and what it feeds."""
    if level == 0:
        return str(embedding.meaning(label))
    meaning: Any = embedding.meaning(label)
    own, before, after = meaning
    for _ in range(level - 1):
        inner: Any = embedding.meaning(own)
        own = inner[0]

    def side(labels: Sequence[int]) -> str:
        texts = sorted(describe(embedding, each, level - 1) for each in labels)
        return ", ".join(f"({text})" if level > 1 else text for text in texts)

    parts = [side(before), str(embedding.meaning(own)), side(after)]
    return " -> ".join(part for part in parts if part)


def draw(found: Sequence[Motif], path: str | Path, most: int = 10) -> None:
    """Draws the most helpful and the most harmful motifs as bars.

    Args:
        found: Motifs from `motifs`.
        path: A picture file, such as `motifs.svg`.
        most: Largest number of either kind.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figures = require("matplotlib.figure", extra="report", purpose="draw motifs")
    shown = [*found[:most], *found[max(most, len(found) - most) :]][::-1]
    figure = figures.Figure(figsize=(9, 1.2 + 0.3 * len(shown)), layout="constrained")
    axes = figure.subplots()
    axes.barh(
        [motif.text for motif in shown],
        [motif.effect for motif in shown],
        xerr=[motif.spread for motif in shown],
        color=["#2a7f62" if motif.effect > 0 else "#b5483a" for motif in shown],
        ecolor="#777777",
    )
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_xlabel("effect of one more occurrence (standard deviations of the objective)")
    figure.savefig(path)

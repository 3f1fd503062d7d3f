"""Variation around survivors: how many genes change, to what, and what never does."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_qnas.algorithm import QNASAlgorithm, QNASSettings
from nasplug_qnas.algorithm.anchoring import anchored

from nasplug.contract.errors import SpecError

PROBABILITIES = np.array([[0.2, 0.3, 0.5], [0.6, 0.4, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
VARIABLE = np.array([True, True, False, True])


def drawn(mean, count=3000):
    rng = np.random.default_rng(0)
    survivor = np.array([2, 0, 0, 1])
    return survivor, np.array([anchored(survivor, PROBABILITIES, VARIABLE, mean, rng) for _ in range(count)])


def test_exactly_one_gene_is_redrawn_without_more():
    survivor, children = drawn(0.0)
    changed = (children != survivor).sum(axis=1)
    # The gene that is certain of its option is redrawn in vain a third of the time.
    assert set(changed) == {0, 1}
    assert np.mean(changed == 0) == pytest.approx(1 / 3, abs=0.03)


def test_a_redrawn_gene_follows_the_distribution_without_the_present_option():
    _, children = drawn(0.0)
    first = children[:, 0][children[:, 0] != 2]
    assert np.mean(first == 1) == pytest.approx(0.3 / 0.5, abs=0.04)
    assert set(children[:, 1]) == {0, 1}, "an option of probability 0 is never drawn"


def test_genes_without_alternatives_stay():
    _, children = drawn(5.0)
    assert set(children[:, 2]) == {0}
    assert set(children[:, 3]) == {1}


def test_the_mean_number_of_redrawn_genes():
    rng = np.random.default_rng(1)
    probabilities, survivor = np.full((50, 2), 0.5), np.zeros(50, dtype=np.int64)
    children = [anchored(survivor, probabilities, np.ones(50, dtype=bool), 1.5, rng).sum() for _ in range(2000)]
    assert np.mean(children) == pytest.approx(2.5, abs=0.1)


def test_nothing_varies_in_a_space_of_one():
    survivor = np.zeros(2, dtype=np.int64)
    child = anchored(survivor, np.ones((2, 1)), np.zeros(2, dtype=bool), 0.5, np.random.default_rng(0))
    assert child.tolist() == [0, 0]


def test_the_second_generation_stays_near_its_survivors():
    settings = QNASSettings(quantum_individuals=4, repetition=2, sampling="anchored", redrawn=0.0)
    algorithm = QNASAlgorithm([3] * 20, settings)
    first = [candidate.genes for candidate in algorithm.ask(np.random.default_rng(0))]
    algorithm.tell(np.arange(8.0), np.random.default_rng(1), [True] + [False] * 7)
    second = algorithm.ask(np.random.default_rng(2))
    ranked = first[:0:-1]  # the last is the best; the first one failed
    for child, parent in zip(second, ranked, strict=False):
        assert sum(a != b for a, b in zip(child.genes, parent, strict=True)) == 1
    assert sum(a != b for a, b in zip(second[7].genes, first[0], strict=True)) > 1, "nothing varies a failure"


def test_anchored_individuals_are_not_crossed():
    with pytest.raises(SpecError, match=r"nothing to cross[\s\S]*gene_crossover"):
        QNASSettings(sampling="anchored", gene_crossover="hux")


def test_a_repeat_is_replaced_and_asked_about_again():
    algorithm = QNASAlgorithm([2], QNASSettings(quantum_individuals=1, repetition=2, redraws=50))
    seen: set[tuple[int, ...]] = set()

    def known(candidate):
        found = candidate.genes in seen
        seen.add(candidate.genes)
        return found

    candidates = algorithm.ask(np.random.default_rng(0), known)
    assert {candidate.genes for candidate in candidates} == {(0,), (1,)}
    assert algorithm.pending == candidates


def test_without_redraws_nobody_is_asked():
    def known(candidate):
        raise AssertionError

    algorithm = QNASAlgorithm([2], QNASSettings())
    plain = QNASAlgorithm([2], QNASSettings()).ask(np.random.default_rng(5))
    assert algorithm.ask(np.random.default_rng(5), known) == plain


def test_a_stored_state_without_the_younger_settings_is_read():
    settings = QNASSettings(quantum_individuals=2, repetition=1)
    algorithm = QNASAlgorithm([3, 3], settings)
    algorithm.ask(np.random.default_rng(0))
    state = algorithm.state_dict()
    for name in ("sampling", "redrawn", "redraws"):
        del state["settings"][name]
    other = QNASAlgorithm([3, 3], settings)
    other.load_state_dict(state)
    assert other.pending == algorithm.pending

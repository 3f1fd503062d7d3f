"""Tests of `nasplug_darts_lp.sensitivity.assigning` and `.pricing`, beside exhaustive search and a count by hand."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from nasplug_darts_lp.example import small_network, small_task
from nasplug_darts_lp.sensitivity.assigning import limit_of, uniform, within
from nasplug_darts_lp.sensitivity.pricing import Pricer
from nasplug_darts_lp.spaces.bits.space import BitsSpace

import nasplug as nas

PAIRS = tuple(product((2, 4, 8), (2, 4, 8)))


class Prices(Pricer):
    """A cost of four layers in which two layers of eight bits next to each other cost more than their sum."""

    def __init__(self, extra):
        super().__init__(None, None, None, "made_up")
        self.extra = extra

    def __call__(self, bits):
        pairs = list(bits.values())
        together = sum(one[0] == other[0] == 8 for one, other in pairwise(pairs))
        return 10.0 + sum(w * a for w, a in pairs) + self.extra * together


@pytest.mark.parametrize("extra", [0.0, 6.0])
@pytest.mark.parametrize("limit", [40.0, 90.0, 150.0])
def test_the_best_assignment_is_that_of_exhaustive_search(extra, limit):
    precisions = dict.fromkeys("abcd", PAIRS)
    harms = np.random.default_rng(3).random((4, 9)) / np.array([w * a for w, a in PAIRS])
    pricer = Prices(extra)

    found = within(pricer, precisions, Keyed, harms.tolist(), limit, 1)[0]

    def harm(bits):
        return sum(harms[at][PAIRS.index(pair)] for at, pair in enumerate(bits.values()))

    every = (dict(zip("abcd", pairs, strict=True)) for pairs in product(PAIRS, repeat=4))
    best = min(harm(bits) for bits in every if pricer(bits) <= limit)
    assert pricer(found) <= limit
    if extra == 0.0:
        assert harm(found) == pytest.approx(best)
    else:  # what two layers do together narrows the sum
        assert best <= harm(found) <= 1.5 * best


class Keyed(dict):
    """Bits that have a key, as an architecture does."""

    @property
    def key(self):
        return str(self)


def test_uniform_bits_are_the_dearest_within_the_budget():
    precisions = dict.fromkeys("ab", PAIRS)

    assert uniform(Prices(0.0), precisions, Keyed, 10.0 + 2 * 32) == dict.fromkeys("ab", (8, 4))
    assert uniform(Prices(0.0), precisions, Keyed, 10.0 + 2 * 16) == dict.fromkeys("ab", (4, 4))
    assert uniform(Prices(0.0), precisions, Keyed, 15.0) is None


def test_a_share_counts_from_the_most_bits():
    precisions = dict.fromkeys("ab", PAIRS)

    assert limit_of(Prices(0.0), precisions, Keyed, 0.5, None) == 0.5 * (10 + 2 * 64)
    with pytest.raises(nas.errors.SpecError, match=r"keep 0\.13 or more"):
        limit_of(Prices(0.0), precisions, Keyed, 0.1, None)


def test_own_costs_are_those_of_a_count_by_hand():
    space = BitsSpace(small_network, "random", (1, 8, 8))
    task = small_task()
    network = space.assigned({"first.0": (2, 4), "second.0": (8, 2)})

    # Stem and head on 8x8 bits; images of 8x8 pixels, 8 channels, kernels 3x3.
    stem, inner, head = 64 * 9 * 8, 64 * 9 * 64, 80
    assert Pricer(space, task, None, "bit_operations")(network) == stem + head + inner * (8 + 16) / 64
    weights = [(72, 8), (576, 2), (576, 8), (80, 8)]
    inputs = [(64, 8), (512, 4), (512, 2), (8, 8)]
    total = sum(size * bits for size, bits in (*weights, *inputs))
    assert Pricer(space, task, None, "average_bits")(network) == pytest.approx(
        total / sum(size for size, _ in (*weights, *inputs))
    )


def test_a_cost_that_nothing_answers():
    space = BitsSpace(small_network, "random", (1, 8, 8))

    with pytest.raises(nas.errors.SpecError, match="the run has no hardware target"):
        Pricer(space, small_task(), None, "npu/energy_j")(space.from_vector([0] * 4))

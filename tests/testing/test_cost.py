"""The suite for costs asks a cost as a run would."""

from __future__ import annotations

import pytest

import nasplug as nas
from nasplug.testing import CostConformance


class Plain:
    name = "plain"

    @nas.hookimpl
    def cost(self, candidate, target):
        return {"plain": 1.0}


class Trained(Plain):
    needs_trained_weights = True


@pytest.mark.parametrize(("cost", "trained"), [(Plain, False), (Trained, True)])
def test_a_candidate_is_trained_for_costs_that_ask_for_it(cost, trained):
    class Suite(CostConformance):
        name = "plain"

        def make_cost(self):
            return cost()

    suite = Suite()
    assert suite.candidate().trained is trained
    assert suite.price(suite.candidate()) == {"plain": 1.0}

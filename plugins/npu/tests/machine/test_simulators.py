"""Whole layers in simulations of the hardware: the numbers that integers give, and alike in every simulator."""

from __future__ import annotations

import numpy as np
import pytest

from nasplug.contract.errors import NasplugError, SpecError

pytest.importorskip("amaranth", reason="needs nasplug-npu[rtl]")

from nasplug_npu.machine.checking import check, read_map
from nasplug_npu.machine.compiler import Compiler
from nasplug_npu.machine.simulators import available, simulator
from nasplug_npu.machine.steps import steps_of
from nasplug_npu.machine.timing import events


def test_a_convolution_is_exact_in_the_simulator_of_amaranth(build, layer, random_map, rng):
    inputs = random_map(rng, 8, 4, 5)
    asked, compiler = layer(rng, inputs, 8), Compiler(build())
    source = compiler.input(8, 4, 5, 8, signed=True)
    compiler.layer(asked, source)
    (found,) = check(simulator(build(), "amaranth"), compiler, [asked], inputs)
    assert found.numbers == 8 * 4 * 5
    assert found.differing == 0
    # Two chunks of four channels, twenty positions, nine taps: one clock each, and what loads and stores take.
    steps = 2 * 20 * 9
    assert steps < found.clocks < steps + 280


def test_the_clocks_of_the_array_are_those_of_the_model(build, layer, random_map, rng):
    """Twice the positions take twice the steps: the difference is that of the closed form, to the clock."""
    clocks = []
    for height in (2, 4):
        inputs = random_map(rng, 8, height, 4)
        asked, compiler = layer(rng, inputs, 4, coded=False), Compiler(build())
        compiler.layer(asked, compiler.input(8, height, 4, 8, signed=True))
        outcome = simulator(build(), "amaranth").run(compiler.program, compiler.program.maps["input"].pack(inputs))
        assert np.array_equal(read_map(compiler.program, outcome, "layer"), asked(inputs))
        loaded = max(outcome.events["maps"][0], outcome.events["weights"][0])
        clocks.append(outcome.events["compute"][0] - loaded)
    assert clocks[1] - clocks[0] == 9 * 8


@pytest.mark.slow
@pytest.mark.parametrize("name", ["verilator", "icarus"])
def test_simulators_agree_to_the_clock(name, build, layer, random_map, rng):
    if name not in available():
        pytest.skip(f"{name} is not installed: apt install {name}")
    inputs = random_map(rng, 16, 5, 5)
    asked, compiler = layer(rng, inputs, 8), Compiler(build())
    compiler.layer(asked, compiler.input(16, 5, 5, 8, signed=True))
    packed = compiler.program.maps["input"].pack(inputs)
    one, other = (simulator(build(), which).run(compiler.program, packed) for which in (name, "amaranth"))
    assert one.events == other.events
    assert np.array_equal(read_map(compiler.program, one, "layer"), read_map(compiler.program, other, "layer"))


def test_a_machine_that_does_not_end_is_reported(build, layer, random_map, rng):
    inputs = random_map(rng, 8, 4, 4)
    compiler = Compiler(build())
    compiler.layer(layer(rng, inputs, 4), compiler.input(8, 4, 4, 8, signed=True))
    with pytest.raises(NasplugError, match="not ended after 20 clocks"):
        simulator(build(), "amaranth").run(compiler.program, compiler.program.maps["input"].pack(inputs), 20)


def test_unknown_simulators_are_refused(build):
    with pytest.raises(SpecError, match="unknown simulator 'verilater'"):
        simulator(build(), "verilater")


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_skipped_weights_change_clocks_and_no_number(kept, build, layer, random_map, rng):
    machine = build("1x1x4", sparsity="weight_skip", window=4, ports="separate")
    inputs = random_map(rng, 12, 3, 3)
    clocks = []
    for share in (kept, 1.0):
        asked, compiler = layer(rng, inputs, 3, 1, kept=share), Compiler(machine)
        source = compiler.input(12, 3, 3, 8, signed=True)
        compiler.layer(asked, source)
        outcome = simulator(machine, "amaranth").run(compiler.program, source.pack(inputs))
        assert np.array_equal(read_map(compiler.program, outcome, "layer"), asked(inputs))
        assert outcome.events == events(compiler.program)
        steps = [steps_of(row.any(axis=(1, 2)).tolist(), 4) for row in asked.weights != 0]
        clocks.append((outcome.events["compute"][0], sum(steps) * 3))
    # Three rounds of four positions for each output channel: the difference is that of the steps.
    assert clocks[1][1] == 3 * np.count_nonzero(asked.weights)
    assert clocks[0][0] < clocks[1][0]


@pytest.mark.parametrize(("bits", "weight_bits"), [(2, 2), (4, 2), (2, 8), (8, 4), (4, 4)])
@pytest.mark.parametrize("groups", [1, 4])
def test_narrow_operands_are_exact(bits, weight_bits, groups, build, layer, random_map, rng):
    machine = build("2x2x1", precision="full2d", ports="separate")
    signed = weight_bits == 4
    inputs = random_map(rng, 4, 2, 3, bits=bits, signed=signed)
    asked, compiler = layer(rng, inputs, 4, bits=bits, weight_bits=weight_bits, groups=groups), Compiler(machine)
    source = compiler.input(4, 2, 3, bits, signed=signed)
    compiler.layer(asked, source)
    outcome = simulator(machine, "amaranth").run(compiler.program, source.pack(inputs))
    assert np.array_equal(read_map(compiler.program, outcome, "layer"), asked(inputs))
    assert outcome.events == events(compiler.program)

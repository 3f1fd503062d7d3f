"""The functional model executes programs: the numbers of integers, and word for word what the hardware leaves."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_npu.machine.checking import check, read_map
from nasplug_npu.machine.codes import Line
from nasplug_npu.machine.compiler import Compiler
from nasplug_npu.machine.functional import Functional
from nasplug_npu.machine.layers import Coded, addition, window_sums
from nasplug_npu.machine.parameters import parameters
from nasplug_npu.machine.samples import KINDS, code, draw
from nasplug_npu.machine.timing import events
from nasplug_npu.machine.units import unit

from nasplug.contract.errors import NasplugError, SpecError


def compiled(build, sample, **cut):
    compiler = Compiler(build)
    source = compiler.input(*sample.inputs.shape, sample.bits, signed=sample.signed)
    compiler.layer(sample.layer, source, **cut)
    return compiler.program, source.pack(sample.inputs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["dense", "narrow", "sparse"])
def test_programs_store_what_integers_say(kind, name):
    if name == "sparse" and kind in ("grouped", "linear"):
        pytest.skip("a sum over groups is not one of its kinds in the record")
    build = parameters(unit(name))
    for seed in range(3):
        rng = np.random.default_rng((seed, KINDS.index(kind)))
        bits = [int(rng.choice([2, 4, 8])) if build.narrow else 8 for _ in range(2)]
        kept = 0.5 if name == "sparse" else 1.0
        sample = draw(kind, rng, input_bits=bits[0], weight_bits=bits[1], kept=kept)
        program, packed = compiled(build, sample, bands=1 + seed, groups=1 + seed % 2)
        outcome = Functional(build).run(program, packed)
        assert np.array_equal(read_map(program, outcome, kind), sample.layer(sample.inputs)), (seed, bits)
        assert outcome.events == events(program)


def numbers(rng, channels=12, height=7, width=5):
    return [rng.integers(-128, 128, (channels, height, width)) for _ in range(2)]


def summed(build, maps, factors=(97, 64), bands=1):
    """A compiled sum of two maps."""
    compiler, channels = Compiler(build), len(maps[0])
    ones, none = np.ones(channels, dtype=np.int64), np.zeros((channels, 0), dtype=np.int64)
    rule = Line(9001 * ones, ((128 << 20) + (1 << 19)) * ones, 20 * ones, 0 * ones, 255 * ones, none, none)
    asked = addition("sum", channels, factors, Coded(rule, 8, True, 128))
    sides = maps[0].shape
    first = compiler.input(*sides, 8, signed=True)
    second = compiler.program.new_map("second", *sides, 8, signed=True)
    compiler.layer(asked, first, second, bands=bands)
    words = np.zeros(compiler.program.map_words, dtype=np.uint64)
    for place, values in zip((first, second), maps, strict=True):
        words[place.address : place.address + place.words] = place.pack(values)
    return asked, compiler.program, words


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("name", ["dense", "narrow", "sparse"])
def test_two_maps_are_added(rng, name, bands):
    build, maps = parameters(unit(name)), numbers(rng)
    asked, program, words = summed(build, maps, bands=bands)
    outcome = Functional(build).run(program, words)
    exact = np.floor((97 * maps[0] + 64 * maps[1]) * 9001 / 2**20 + 0.5)
    assert np.array_equal(asked(*maps), np.clip(exact, -128, 127))
    assert np.array_equal(read_map(program, outcome, "sum"), asked(*maps))


def test_maps_that_do_not_fit_a_half_are_added_band_by_band(rng):
    build = parameters(unit("dense", input_kb=1))
    maps = numbers(rng, 16, 14, 9)
    asked, program, words = summed(build, maps)
    assert program.count("maps") > 2
    assert np.array_equal(read_map(program, Functional(build).run(program, words), "sum"), asked(*maps))


def test_maps_that_differ_are_not_added(build):
    compiler = Compiler(build(ports="separate"))
    first, second = (compiler.program.new_map(str(bits), 4, 3, 3, bits, signed=True) for bits in (8, 4))
    rule = code(np.arange(36).reshape(4, 3, 3), 8, np.random.default_rng(0))
    with pytest.raises(SpecError, match="maps that differ"):
        compiler.layer(addition("sum", 4, (1, 1), rule), first, second)


@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (5, 7)])
def test_windows_are_summed(build, random_map, rng, kernel):
    inputs = random_map(rng, 10, 5, 7)
    plain = window_sums("windows", 10, kernel, stride=kernel[0])
    asked = window_sums("windows", 10, kernel, stride=kernel[0], coded=code(plain.sums(inputs), 8, rng))
    compiler = Compiler(build(ports="separate"))
    compiler.layer(asked, compiler.input(10, 5, 7, 8, signed=True))
    (found,) = check(Functional(build(ports="separate")), compiler, [asked], inputs)
    assert found.differing == 0


def test_the_hardware_leaves_the_same_words(build):
    pytest.importorskip("amaranth", reason="needs nasplug-npu[rtl]")
    from nasplug_npu.machine.simulators import simulator

    maps = [np.random.default_rng(1).integers(-128, 128, (8, 3, 3)) for _ in range(2)]
    made = build(ports="separate")
    _, program, words = summed(made, maps, bands=2)
    model, hardware = Functional(made).run(program, words), simulator(made, "amaranth").run(program, words)
    assert np.array_equal(model.maps, hardware.maps)
    assert model.events == hardware.events


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_whole_layers_are_those_of_the_compiled_hardware(kind):
    pytest.importorskip("amaranth", reason="needs nasplug-npu[rtl]")
    from nasplug_npu.machine.simulators import available, simulator

    name = next((name for name in available() if name != "amaranth"), None)
    if name is None:
        pytest.skip("neither Verilator nor Icarus is installed")
    build = parameters(unit("dense"))
    sample = draw(kind, np.random.default_rng(3))
    program, packed = compiled(build, sample, bands=2)
    model, hardware = Functional(build).run(program, packed), simulator(build, name).run(program, packed)
    assert np.array_equal(model.maps, hardware.maps[: len(model.maps)])
    assert model.events == hardware.events


def test_limits(build, layer, random_map, rng):
    inputs = random_map(rng, 8, 4, 4)
    asked, compiler = layer(rng, inputs), Compiler(build(ports="separate"))
    compiler.layer(asked, compiler.input(8, 4, 4, 8, signed=True))
    packed = compiler.program.maps["input"].pack(inputs)
    with pytest.raises(NasplugError, match="clocks"):
        Functional(build(ports="separate")).run(compiler.program, packed, limit=10)

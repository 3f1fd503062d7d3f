"""The functional model: its clocks are those of the hardware, instruction by instruction."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_npu.machine.compiler import Compiler
from nasplug_npu.machine.planning import plan
from nasplug_npu.machine.samples import draw
from nasplug_npu.machine.steps import steps_of
from nasplug_npu.machine.timing import events, layer_clocks

from nasplug.contract.errors import SpecError

KINDS = ("pointwise", "depthwise", "linear", "maxpool")


@pytest.mark.parametrize(("shape", "kind"), [("4x2x1", kind) for kind in KINDS] + [("1x1x4", "maxpool")])
def test_clocks_are_those_of_the_hardware(shape, kind, build):
    pytest.importorskip("amaranth", reason="needs nasplug-npu[rtl]")
    from nasplug_npu.machine.simulators import simulator

    machine = build(shape, ports="separate")
    sample = draw(kind, np.random.default_rng(KINDS.index(kind) if kind in KINDS else 9), most=6)
    compiler = Compiler(machine)
    source = compiler.input(*sample.inputs.shape, 8, signed=sample.signed)
    compiler.layer(sample.layer, source, bands=2, groups=2)
    outcome = simulator(machine, "amaranth").run(compiler.program, source.pack(sample.inputs))
    assert outcome.events == events(compiler.program)
    assert np.array_equal(
        compiler.program.maps[kind].unpack(
            outcome.maps[compiler.program.maps[kind].address :][: compiler.program.maps[kind].words]
        ),
        sample.layer(sample.inputs),
    )


def test_a_chain_of_layers_is_timed_layer_by_layer(build):
    machine = build(ports="separate")
    sample = draw("conv", np.random.default_rng(1))
    compiler = Compiler(machine)
    source = compiler.input(*sample.inputs.shape, 8, signed=sample.signed)
    first = compiler.layer(sample.layer, source)
    alone = layer_clocks(compiler.program)
    pool = draw("maxpool", np.random.default_rng(2)).layer
    compiler.layer(pool, first)
    both = layer_clocks(compiler.program)
    assert both[0] == alone[0]
    assert [name for name, _ in both] == ["conv", "maxpool"]
    assert both[1][1] > 0


def test_steps_pass_zeros_in_windows():
    assert steps_of([True] * 5, 4) == 5
    assert steps_of([False, False, True, True], 4) == 2
    assert steps_of([True, False, False, False, False, False, True], 4) == 3
    assert steps_of([False] * 9, 4) == 3
    assert steps_of([True, False, False], 4) == 1


def test_a_shared_port_is_left_to_the_hardware(build):
    sample = draw("conv", np.random.default_rng(1))
    compiler = Compiler(build(ports="act_shared"))
    compiler.layer(sample.layer, compiler.input(*sample.inputs.shape, 8, signed=sample.signed))
    with pytest.raises(SpecError, match="share a port"):
        events(compiler.program)


def test_the_best_cut_is_no_slower_than_one_tile(build):
    machine = build(ports="separate")
    sample = draw("conv", np.random.default_rng(3), scale=2)
    compiler = Compiler(machine)
    source = compiler.input(*sample.inputs.shape, 8, signed=sample.signed)
    compiler.layer(sample.layer, source)
    found = plan(machine, sample.layer, source)
    assert found.clocks < layer_clocks(compiler.program)[0][1]
    assert found.bands * found.groups > 1

"""The layers that the spaces know are those of the networks that they build."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from nasplug_emonas.cells import OPERATIONS
from nasplug_emonas.macro import MacroSpace
from nasplug_emonas.micro import MicroSpace

from nasplug.contract.errors import SpecError
from nasplug.cost.candidate import Candidate
from nasplug.testing import Shapes
from nasplug.workloads.extract import extract

SPACES = {
    "macro": MacroSpace(channels=4),
    "macro of one width": MacroSpace(nodes=[3, 5, 2, 4], channels=[3, 6, 6, 8]),
    "macro preact": MacroSpace(nodes=5, channels=4, decoder="preact"),
    "macro dense": MacroSpace(nodes=3, channels=[4, 4, 6], decoder="dense", growth=3),
    "micro": MicroSpace(channels=3, layers=3),
    "micro that grows": MicroSpace(channels=1, layers=4, increment=1),
}
SHAPES = ((3, 32, 32), (1, 8, 8), (2, 15, 11), (4, 3, 9))


def differences(space, architecture, shape):
    task = Shapes(shape, 7)
    with torch.device("meta"):
        network = space.build(architecture, task)
    return space.workload(architecture, task).differences(extract(network, shape))


def check(space, count, seed):
    rng = np.random.default_rng(seed)
    for number in range(count):
        architecture, shape = space.sample(rng), SHAPES[number % len(SHAPES)]
        assert differences(space, architecture, shape) == [], (architecture.genotype, shape)


@pytest.mark.parametrize("name", SPACES)
def test_random_architectures(name):
    check(SPACES[name], 2 if name.startswith("micro") else 4, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_many_random_architectures(name):
    check(SPACES[name], 100, seed=1)


@pytest.mark.parametrize("decoder", ["residual", "preact", "dense"])
@pytest.mark.parametrize("bits", [(0,) * 21, (0,) * 6 + (1,) + (0,) * 14, (1,) * 21, (1, *(0,) * 5, 1) * 3])
def test_macro_networks_at_the_ends_of_the_space(decoder, bits):
    space = MacroSpace(channels=2, decoder=decoder, growth=2)
    for shape in ((2, 12, 12), (3, 1, 2)):  # as many channels as the first phase, and sides that no pool fits
        assert differences(space, space.architecture(bits), shape) == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_at_both_strides(name):
    space = MicroSpace(channels=2, layers=3)
    cell = [(name, source) for source in (0, 1, 0, 2, 1, 2, 3, 4, 0, 0)]
    assert differences(space, space.parse(cell, cell), (3, 9, 12)) == []


@pytest.mark.parametrize("name", ["macro", "micro"])
def test_candidates_are_priced_without_their_network(name):
    def build():
        raise AssertionError("the network was built")

    space, task = SPACES[name], Shapes((3, 16, 16), 10)
    architecture = space.sample(np.random.default_rng(3))
    candidate = Candidate(build, task.input_shape, architecture=architecture, space=space, task=task)
    assert candidate.workload == space.workload(architecture, task)
    with pytest.raises(SpecError, match="expected an image"):
        space.workload(architecture, Shapes((12,), 10))


def test_no_torch_is_needed():
    code = """
import sys
import numpy as np
from nasplug.testing import Shapes
from nasplug_emonas.macro import MacroSpace
from nasplug_emonas.micro import MicroSpace
for space in (MacroSpace(), MicroSpace()):
    assert space.workload(space.sample(np.random.default_rng(0)), Shapes((3, 32, 32), 10)).macs.sum() > 0
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

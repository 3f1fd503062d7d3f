"""What both spaces have in common: networks, supernets, costs and rankings."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from nasplug_darts_lp.spaces.cell.space import CellSpace
from nasplug_darts_lp.spaces.layers.space import LayersSpace
from nasplug_darts_lp.supernet.capability import HasSupernet
from nasplug_darts_lp.supernet.mixing import Mixing
from nasplug_darts_lp.supernet.options import SupernetOptions
from nasplug_darts_lp.supernet.settings import SupernetSettings

from nasplug.contract.errors import SpecError, UnknownNameError
from nasplug.testing import Shapes
from nasplug.workloads.extract import extract

SHAPE = (3, 16, 16)
TASK = Shapes(SHAPE, 5)


FLOAT_LAYERS = {"width": 0.25, "blocks": 2, "weight_bits": (), "activation_bits": ()}
LOW_LAYERS = {"width": 0.25, "blocks": 1, "weight_bits": (1, 4), "activation_bits": (2, 8)}


SPACES = {
    "layers": lambda: LayersSpace(**FLOAT_LAYERS),
    "layers_bits": lambda: LayersSpace(**LOW_LAYERS),
    "cell": lambda: CellSpace(channels=4, layers=3, nodes=3),
    "cell_bits": lambda: CellSpace(channels=4, layers=3, nodes=2, weight_bits=(1, 4), activation_bits=(2, 8)),
}


def samples(space, count=4):
    return [space.sample(np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize("name", SPACES)
def test_spaces_have_supernets(name):
    space = SPACES[name]()
    assert isinstance(space, HasSupernet)
    torch.manual_seed(0)
    supernet = space.supernet(SHAPE, 5, SupernetOptions())
    y = supernet.train()(torch.randn(4, *SHAPE))
    assert y.shape == (4, 5)
    loss = y.square().mean() + supernet.cost(supernet.mixing_weights)
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in supernet.logits.parameters())
    assert 0 < float(supernet.cost(supernet.mixing_weights).detach()) < 40  # 32 bits are 16 times 8 x 8
    own = {id(p) for p in supernet.logits.parameters()}
    assert len(supernet.network_parameters()) + len(own) == len(list(supernet.parameters()))


@pytest.mark.parametrize("name", ["layers_bits", "cell_bits"])
def test_networks_have_the_bits_of_their_genotype(name):
    space = SPACES[name]()
    for architecture in samples(space):
        workload = extract(space.build(architecture, TASK), SHAPE)
        rows = workload.mask("conv", "fc")
        pairs = set(zip(workload.weight_bits[rows].tolist(), workload.input_bits[rows].tolist(), strict=True))
        chosen = (
            {
                (b.weight_bits, b.activation_bits)
                for b in space.settings.blocks(architecture.genotype)
                if b.operation == "conv"
            }
            if isinstance(space, LayersSpace)
            else {
                (e.weight_bits, e.activation_bits)
                for cell in ("normal", "reduction")
                for pair in space.settings.cell(architecture.genotype, cell)
                for e in pair
                if "conv" in e.operation
            }
        )
        assert pairs == chosen | {(8, 8)}


@pytest.mark.parametrize("name", ["layers_bits", "cell_bits"])
def test_cost_of_a_path_is_the_bit_operations_of_its_network(name):
    space = SPACES[name]()
    supernet = space.supernet(SHAPE, 5, SupernetOptions())
    ratios = []
    for architecture in samples(space, 6):
        workload = extract(space.build(architecture, TASK), SHAPE)
        operations = (workload.macs * workload.weight_bits * workload.input_bits).sum()
        ratios.append(float(supernet.cost(supernet.weights_of(architecture))) / operations)
    assert ratios == pytest.approx([ratios[0]] * 6, rel=1e-5)


@pytest.mark.parametrize("name", SPACES)
def test_the_most_probable_networks_come_first(name):
    space = SPACES[name]()
    torch.manual_seed(0)
    supernet = space.supernet(SHAPE, 5, SupernetOptions())
    wanted = samples(space, 1)[0]
    for choice, weights in supernet.weights_of(wanted).items():
        if hasattr(supernet.logits, choice):
            getattr(supernet.logits, choice).data.copy_(4 * weights)
    ranked = list(itertools.islice(supernet.ranked(), 20))
    assert ranked[0][0] == wanted
    probabilities = [chance for _, chance in ranked]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len({architecture.key for architecture, _ in ranked}) == 20


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("scaling", ["none", "gradient", "normalise", "importance"])
def test_separate_weights(name, scaling):
    space = SPACES[name]()
    torch.manual_seed(0)
    supernet = space.supernet(SHAPE, 5, SupernetOptions(settings=SupernetSettings(shared=False, scaling=scaling)))
    shared = space.supernet(SHAPE, 5, SupernetOptions())
    y = supernet(torch.randn(2, *SHAPE))
    y.square().mean().backward()
    assert y.shape == (2, 5)
    assert sum(p.numel() for p in supernet.parameters()) > sum(p.numel() for p in shared.parameters())


@pytest.mark.parametrize("name", ["layers_bits", "cell"])
def test_importance_divides_by_the_probabilities_and_not_by_the_samples(name):
    """Of two supernets that draw the same, gradients of the drawn candidates differ by 1 / probability."""
    gradients = []
    for scaling in ("none", "importance"):
        torch.manual_seed(0)
        options = SupernetOptions(Mixing("gumbel_hard"), SupernetSettings(shared=False, scaling=scaling))
        supernet = SPACES[name]().supernet(SHAPE, 5, options).train()
        torch.manual_seed(1)
        supernet(torch.randn(4, *SHAPE)).square().mean().backward()
        part = "blocks.2.branch." if name == "layers_bits" else "cells.2.edges.3-4."
        found = {n: p.grad for n, p in supernet.named_parameters() if n.startswith(part) and p.dim() == 4}
        gradients.append({n: float(g.norm()) for n, g in found.items() if g is not None and float(g.norm()) > 1e-7})
    ratios = [gradients[1][key] / value for key, value in gradients[0].items()]
    assert ratios
    # Two kernels, two and two widths; or seven operations and none.
    assert ratios == pytest.approx([8.0] * len(ratios), rel=0.05)


def test_the_size_of_spaces():
    assert LayersSpace().size() == 2**7 * (2 * 4 * 4) ** 9  # two of nine blocks change the shape
    assert CellSpace().size() == (1 * 3 * 6 * 10 * 7**8) ** 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LayersSpace("cifra"), "did you mean 'cifar'"),
        (lambda: LayersSpace(width=0.0), "width"),
        (lambda: LayersSpace(operations=("skip",)), "operations"),
        (lambda: LayersSpace(kernels=(2, 4)), "odd"),
        (lambda: LayersSpace(weight_bits=(0, 4)), "1 to 8"),
        (lambda: LayersSpace(weight_bits=(9,)), "1 to 8"),
        (lambda: LayersSpace(activation_bits=()), "give both"),
        (lambda: CellSpace(layers=2), "3 layers"),
        (lambda: CellSpace(operations=("sep_conv_3x3", "sep_conv_7x7")), "did you mean"),
        (lambda: CellSpace(weight_bits=(True,), activation_bits=(2,)), "1 to 8"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises((SpecError, UnknownNameError), match=message):
        make()


def test_inputs_that_are_no_images():
    for make in SPACES.values():
        space = make()
        with pytest.raises(SpecError, match="expected an image"):
            space.build(samples(space)[0], Shapes((12,), 3))

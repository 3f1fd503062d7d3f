"""Spaces, their networks, and supernets that hold them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from nasplug_darts_lp.spaces.cell.space import CellSpace
from nasplug_darts_lp.spaces.layers.layouts import block_shapes, layout
from nasplug_darts_lp.spaces.layers.space import LayersSpace
from nasplug_darts_lp.supernet.base import HasSupernet, SupernetOptions, most_probable
from nasplug_darts_lp.supernet.cost import BitOperations
from nasplug_darts_lp.supernet.mixing import Mixing
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


def test_the_path_of_a_layer_wise_network_is_that_network():
    """The same names, the centres of the same weights, and the same outputs."""
    space = LayersSpace(**FLOAT_LAYERS)
    torch.manual_seed(0)
    supernet = space.supernet(SHAPE, 5, SupernetOptions()).eval()
    x = torch.randn(4, *SHAPE)
    for architecture in samples(space, 6):
        network = space.build(architecture, TASK).eval()
        inside = dict(supernet.named_parameters())
        with torch.no_grad():
            for name, value in network.named_parameters():
                if name not in inside:  # scale and shift of a normalisation inside a block, 1 and 0
                    assert ".branch.norm." in name
                    continue
                cut = (inside[name].shape[-1] - value.shape[-1]) // 2 if value.dim() == 4 else 0
                size = value.shape[-1]
                found = inside[name][:, :, cut : cut + size, cut : cut + size] if cut else inside[name]
                assert found.shape == value.shape
                value.copy_(found)
        assert torch.allclose(network(x), supernet.run(x, supernet.weights_of(architecture)), atol=1e-5)


def test_the_path_of_a_cell_network_is_that_network():
    space = CellSpace(channels=4, layers=3, nodes=3)
    torch.manual_seed(0)
    supernet = space.supernet(SHAPE, 5, SupernetOptions()).eval()
    x = torch.randn(2, *SHAPE)
    for architecture in samples(space, 6):
        network = space.build(architecture, TASK).eval()
        outside = {name: module for name, module in network.named_children() if name != "cells"}
        for name, module in outside.items():
            module.load_state_dict(supernet.get_submodule(name).state_dict())
        for cell, mixed_cell in zip(network.cells, supernet.cells, strict=True):
            cell.prepare.load_state_dict(mixed_cell.prepare.state_dict())
            edges = [e for pair in space.settings.cell(architecture.genotype, mixed_cell.name) for e in pair]
            for edge, (name, module) in zip(edges, cell.edges.items(), strict=True):
                take_over(module, edge.operation, mixed_cell.edges[name])
        assert torch.allclose(network(x), supernet.run(x, supernet.weights_of(architecture)), atol=1e-5)


def take_over(module, operation, mixed_op):
    """Copies the weights of one candidate out of an open edge; structures must agree for it to work."""
    names = ("max", "avg", "skip", "sep", "dil")
    branch = mixed_op.branches[names.index(operation.split("_")[0])]
    if "conv" not in operation:
        module.load_state_dict({**module.state_dict(), **branch[0].state_dict()})
        return
    assert len(module) == len(branch)
    kernel = int(operation[-1])
    cut = (5 - kernel) // 2
    with torch.no_grad():
        for one, shared in zip(module, branch, strict=True):
            assert one.depthwise.weight.shape[-1] == kernel
            one.depthwise.weight.copy_(shared.depthwise.weight[:, :, cut : cut + kernel, cut : cut + kernel])
            one.pointwise.weight.copy_(shared.pointwise.weight)


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


# -- cost --------------------------------------------------------------------------------------------------------------


def test_expected_cost_is_the_mean_over_all_networks():
    space = LayersSpace(width=0.25, blocks=1, kernels=(3, 5), weight_bits=(1, 4), activation_bits=(2,))
    torch.manual_seed(0)
    supernet = space.supernet(SHAPE, 5, SupernetOptions(cost=BitOperations(0.1, 0.2)))
    for logits in supernet.logits.parameters():
        logits.data.normal_()
    weights = supernet.logits.probabilities()
    total = chance = 0.0
    for architecture in space:
        probability = 1.0
        for choice, place in zip(space.choices, space.vector(architecture), strict=True):
            probability *= float(weights[choice.name][place])
        total += probability * float(supernet.cost(supernet.weights_of(architecture)))
        chance += probability
    assert chance == pytest.approx(1.0, abs=1e-5)
    assert float(supernet.cost(weights)) == pytest.approx(total, rel=1e-5)


def test_expected_cost_of_cells_is_the_mean_over_all_networks():
    operations = ("skip_connect", "sep_conv_3x3", "dil_conv_5x5")
    space = CellSpace(channels=2, layers=3, nodes=1, operations=operations, weight_bits=(1, 4), activation_bits=(2, 8))
    torch.manual_seed(0)
    supernet = space.supernet(SHAPE, 5, SupernetOptions())
    weights = supernet.logits.probabilities()
    for name, values in weights.items():  # every network has two operations, and `none` is none of them
        weights[name] = (
            values.new_zeros(4).index_fill_(0, torch.tensor([1, 2, 3]), 1 / 3)
            if name.endswith("op")
            else (torch.full_like(values, 1 / len(values)))
        )
    costs = [float(supernet.cost(supernet.weights_of(architecture))) for architecture in space]
    assert float(supernet.cost(weights)) == pytest.approx(sum(costs) / len(costs), rel=1e-4)


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


# -- ranking -----------------------------------------------------------------------------------------------------------


def test_combinations_come_in_the_order_of_their_probability():
    factors = [[0.2, 0.5, 0.3], [0.9, 0.1], [0.25, 0.35, 0.4]]
    found = list(most_probable(factors))
    wanted = sorted(
        (-np.prod([f[i] for f, i in zip(factors, places_, strict=True)]), places_)
        for places_ in itertools.product(range(3), range(2), range(3))
    )
    assert len(found) == 18
    assert [chance for _, chance in found] == pytest.approx([-chance for chance, _ in wanted])
    assert {indices for indices, _ in found} == {indices for _, indices in wanted}
    assert found[0][0] == (1, 0, 2)


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


def test_a_ranking_of_a_large_space_takes_no_time():
    """A block that is left out hides its kernel and bits: without care, millions of genotypes are one network."""
    space = LayersSpace(width=0.125)
    supernet = space.supernet((3, 8, 8), 2, SupernetOptions())
    for name, logits in supernet.logits.named_parameters():
        if name.endswith("_op"):
            logits.data[1] = 9.0
    assert len({architecture.key for architecture, _ in itertools.islice(supernet.ranked(), 50)}) == 50


# -- partial channels, separate weights --------------------------------------------------------------------------------


def test_partial_channels():
    space = CellSpace(channels=8, layers=3, nodes=2)
    torch.manual_seed(0)
    full = space.supernet(SHAPE, 5, SupernetOptions())
    part = space.supernet(SHAPE, 5, SupernetOptions(settings=SupernetSettings(partial=4)))
    assert part(torch.randn(2, *SHAPE)).shape == (2, 5)
    assert part.mixing_weights["normal_3_edges"].tolist() == pytest.approx([1 / 3] * 3, abs=0.01)
    assert sum(p.numel() for p in part.network_parameters()) < 0.6 * sum(p.numel() for p in full.network_parameters())
    assert not hasattr(full.logits, "normal_3_edges")
    with pytest.raises(SpecError, match="divisor"):
        space.supernet(SHAPE, 5, SupernetOptions(settings=SupernetSettings(partial=3)))


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


# -- the spaces themselves ---------------------------------------------------------------------------------------------


def test_the_size_of_spaces():
    assert LayersSpace().size() == 2**7 * (2 * 4 * 4) ** 9  # two of nine blocks change the shape
    assert CellSpace().size() == (1 * 3 * 6 * 10 * 7**8) ** 2


def test_what_a_block_left_out_would_have_been_makes_no_difference():
    space = LayersSpace(width=0.25, blocks=1)
    first = space.architecture(("skip", 3, 1, 1, "conv", 3, 1, 1, "conv", 3, 1, 1))
    other = space.architecture(("skip", 5, 8, 2, "conv", 3, 1, 1, "conv", 3, 1, 1))
    assert first == other
    assert first != space.architecture(("conv", 3, 1, 1, "conv", 3, 1, 1, "conv", 3, 1, 1))


def test_cells_in_both_notations():
    space = SPACES["cell_bits"]()
    for architecture in samples(space):
        cells = {name: space.settings.cell(architecture.genotype, name) for name in ("normal", "reduction")}
        assert space.architecture(space.settings.genotype(cells)) == architecture


def test_layouts():
    assert [shape.outputs for shape in block_shapes(layout("cifar"))] == [16] * 3 + [32] * 3 + [64] * 3
    assert sum(shape.stride == 2 for shape in block_shapes(layout("imagenet"))) == 3
    assert layout("tiny_imagenet", 0.5).channels == (16, 32, 64, 128)
    network = LayersSpace("imagenet", 0.0625, 1, weight_bits=(), activation_bits=())
    assert network.build(samples(network)[0], Shapes((3, 64, 64), 7))(torch.randn(2, 3, 64, 64)).shape == (2, 7)


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

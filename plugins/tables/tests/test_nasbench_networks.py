"""The networks of NAS-Bench-101 and NAS-Bench-201: sizes as published, sums and channels as described."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_tables.spaces.nasbench101.cells import Cell, edge_bit
from nasplug_tables.spaces.nasbench101.network import BatchNorm, CellNetwork
from nasplug_tables.spaces.nasbench101.network import build_network as build101
from nasplug_tables.spaces.nasbench201.network import CellNetwork as CellNetwork201
from nasplug_tables.spaces.nasbench201.network import build_network as build201
from nasplug_tables.spaces.nasbench201.space import EDGES, OPERATIONS

from nasplug.contract.errors import SpaceError
from nasplug.cost.counts import count


def cell_of(edges, operations=()):
    return Cell(sum(1 << edge_bit(x, y) for x, y in edges), tuple(operations))


def size(build, *arguments, **options):
    """Parameters of a full-size network, built without its numbers."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(*arguments, **options).parameters())


#: The first cell of the benchmark's files.
FIRST = Cell(1_205_349, (0, 2, 0, 0, 1))
#: Input and output joined directly: one projection of every cell and nothing else.
LINE = cell_of([(0, 1)])
#: Three vertices share the output's channels, one feeds a wider and a narrower vertex, and the input goes everywhere.
BRANCHES = cell_of([(0, 1), (1, 2), (1, 3), (0, 3), (1, 4), (2, 4), (3, 4), (0, 4)], (0, 1, 2))


def test_nasbench101_parameters():
    # The published size of the row with hash 00005c142e6f48ac74fdcf73e3439874, and the line's by hand.
    assert size(build101, FIRST, 3, 10) == 8_555_530
    projections = 3 * (128**2 + 256) + (128 * 256 + 512) + 2 * (256**2 + 512) + (256 * 512 + 1024) + 2 * (512**2 + 1024)
    assert size(build101, LINE, 3, 10) == 27 * 128 + 256 + projections + 513 * 10
    assert size(build101, LINE, 1, 3) == 9 * 128 + 256 + projections + 513 * 3


def test_nasbench101_channels_of_vertices():
    module = CellNetwork(BRANCHES, 6, 10)
    # 10 channels for vertices 1, 2, 3: the first takes the one left over.
    assert module.channels == [6, 4, 3, 3, 10]
    assert sorted(module.projections) == ["1", "3", "4"]
    x = torch.randn(2, 6, 5, 5)
    first = module.operations[0](module.projections["1"](x))
    second = module.operations[1](first[:, :3])
    third = module.operations[2](first[:, :3] + module.projections["3"](x))
    expected = torch.cat([first, second, third], dim=1) + module.projections["4"](x)
    torch.testing.assert_close(module(x), expected)


def test_nasbench101_batch_norm_and_initial_weights():
    network = build101(LINE, 3, 10)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.003, 1e-5)}
    weight = network.features[1].projections["1"][0].weight
    assert weight.std().item() == pytest.approx(128**-0.5, rel=0.05)
    assert weight.abs().max().item() <= 2 * 128**-0.5 / 0.8796


def test_nasbench101_running_statistics():
    norm, generator = BatchNorm(2), torch.Generator().manual_seed(0)
    batches = [torch.randn(4, 2, 3, 3, generator=generator) + step for step in range(400)]
    for step, batch in enumerate(batches, start=1):
        norm(batch)
        if step == 50:  # the mean over all batches so far, without the initial zeros
            torch.testing.assert_close(norm.running_mean, torch.stack(batches[:50]).mean(dim=(0, 1, 3, 4)))
            state, again = norm.state_dict(), BatchNorm(2)
            again.load_state_dict(state)
            again(batches[50])  # a training that goes on does not start anew
            torch.testing.assert_close(again.running_mean, torch.stack(batches[:51]).mean(dim=(0, 1, 3, 4)))
    before = norm.running_mean.clone()
    norm(batches[0])
    torch.testing.assert_close(norm.running_mean, 0.997 * before + 0.003 * batches[0].mean(dim=(0, 2, 3)))
    norm.eval()(batches[0])
    assert norm.num_batches_tracked == 401


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (2, 7, 5), (1, 1, 1)])
def test_networks_take_images_of_any_shape_and_train(shape):
    torch.manual_seed(0)
    images, labels = torch.randn(3, *shape), torch.tensor([0, 1, 2])
    networks = [
        build101(BRANCHES, shape[0], 4, channels=6, stacks=3, cells=1),
        build101(LINE, shape[0], 4, channels=1, stacks=1, cells=1),
        build201(("nor_conv_3x3", "avg_pool_3x3", "nor_conv_1x1", "skip_connect", "none", "nor_conv_3x3"),
                 shape[0], 4, channels=4, cells=1),
    ]  # fmt: skip
    for network in networks:
        logits = network(images)
        assert logits.shape == (3, 4)
        torch.nn.functional.cross_entropy(logits, labels).backward()
        assert all(parameter.grad is not None for parameter in network.parameters())
        assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


def test_resolution_halves_between_stacks_and_stages():
    images = torch.randn(1, 3, 32, 32)
    features = build101(LINE, 3, 10, channels=4).features(images)
    assert features.shape == (1, 16, 8, 8)
    assert build201(("skip_connect",) * 6, 3, 10, channels=4, cells=1).features(images).shape == (1, 16, 8, 8)


def test_nasbench101_full_size_work():
    # 32 x 32 x 128 x 27 for the stem; every projection of a line counts once: see the sizes of the stacks.
    expected = 1024 * 128 * 27 + 1024 * 3 * 128**2 + 256 * (128 * 256 + 2 * 256**2) + 64 * (256 * 512 + 2 * 512**2)
    with torch.device("meta"):
        network = build101(LINE, 3, 10)
    assert count(network, (3, 32, 32)).macs == expected + 5120


@pytest.mark.parametrize(
    ("cell", "options", "says"),
    [
        (LINE, {"cells": 0}, "cells is 0"),
        (BRANCHES, {"channels": 2}, "among 3 vertices"),
        (cell_of([(0, 1), (0, 2)], (0,)), {}, "on no path from input to output"),
    ],
)
def test_nasbench101_bad_networks(cell, options, says):
    with pytest.raises(SpaceError, match=says):
        build101(cell, 3, 10, **options)


@pytest.mark.parametrize(
    ("operations", "options", "says"),
    [
        (("none",) * 5, {}, "6 operations, got 5"),
        (("nor_conv_5x5",) * 6, {}, "did you mean 'nor_conv_"),
        (("none",) * 6, {"channels": 0}, "channels is 0"),
    ],
)
def test_nasbench201_bad_networks(operations, options, says):
    with pytest.raises(SpaceError, match=says):
        build201(operations, 3, 10, **options)


@pytest.mark.parametrize("outputs", [10, 100])
def test_nasbench201_closed_form(outputs):
    rng = np.random.default_rng(outputs)
    cells = rng.integers(5, size=(12, 6))
    cells[:2] = [[2] * 6, [3] * 6]
    for digits in cells:
        operations = tuple(OPERATIONS[digit] for digit in digits)
        expected = 72_656 + 65 * outputs + 28_000 * (digits == 2).sum() + 243_040 * (digits == 3).sum()
        assert size(build201, operations, 3, outputs) == expected


def test_nasbench201_nodes_are_sums():
    operations = ("nor_conv_3x3", "skip_connect", "avg_pool_3x3", "none", "nor_conv_1x1", "skip_connect")
    module = CellNetwork201(operations, 3)
    x = torch.randn(2, 3, 4, 4)
    one = module.operations["0->1"](x)
    two = x + torch.nn.functional.avg_pool2d(one, 3, 1, 1, count_include_pad=False)
    torch.testing.assert_close(module(x), module.operations["1->3"](one) + two)
    assert list(module.operations) == [f"{x}->{y}" for (x, y), name in zip(EDGES, operations, strict=True)
                                       if name != "none"]  # fmt: skip


def test_nasbench201_without_a_way_the_cell_is_zero():
    module = CellNetwork201(("nor_conv_3x3", "none", "nor_conv_3x3", "none", "none", "none"), 3)
    assert not module(torch.randn(1, 3, 4, 4)).any()
    network = build201(("none",) * 6, 1, 5, channels=2, cells=1)
    assert torch.isfinite(network(torch.randn(2, 1, 8, 8))).all()


@pytest.mark.data
def test_nasbench101_parameters_of_the_table(real_data):
    from pyarrow import parquet

    table = parquet.read_table(real_data / "nasbench101" / "nasbench101.parquet")
    bits, ops, params = (table[name].to_pylist() for name in ("adj_bits", "ops", "params"))
    assert params[0] == 8_555_530
    rows = [0, 4789, *np.random.default_rng(0).choice(len(bits), 30, replace=False).tolist()]
    rows += [next(row for row in range(len(ops)) if len(ops[row]) == inner) for inner in range(5)]
    for row in rows:
        assert size(build101, Cell(bits[row], tuple(map(int, ops[row]))), 3, 10) == params[row]


@pytest.mark.data
@pytest.mark.parametrize(("dataset", "outputs"), [("cifar10", 10), ("cifar100", 100)])
def test_nasbench201_parameters_of_the_table(real_data, dataset, outputs):
    from pyarrow import parquet

    table = parquet.read_table(real_data / "nasbench201" / f"{dataset}.parquet")
    ops, params = table["ops"].to_pylist(), np.asarray(table["params"])
    counts = np.array([[text.count("2"), text.count("3")] for text in ops])
    assert (params == 72_656 + 65 * outputs + counts @ [28_000, 243_040]).all()
    for row in np.random.default_rng(0).choice(len(ops), 12, replace=False):
        assert size(build201, [OPERATIONS[int(digit)] for digit in ops[row]], 3, outputs) == params[row]

"""Networks on the page and in the terminal: nothing overlaps, nothing is lost, everything fits."""

from __future__ import annotations

import itertools
import random

import pytest
from rich.cells import cell_len

import nasplug as nas
from nasplug.report.families import family
from nasplug.report.layout import Layout, chain_layout, is_chain, layered_layout, layers
from nasplug.report.text import draw_text

CELL = nas.Graph(
    ("input", "conv3x3", "conv1x1", "maxpool3x3", "conv3x3", "conv3x3", "output"),
    ((0, 1), (0, 2), (0, 3), (0, 6), (1, 4), (2, 4), (3, 5), (4, 6), (5, 6)),
)


def random_graph(seed, nodes=14):
    rng = random.Random(seed)
    edges = {(rng.randrange(target), target) for target in range(1, nodes)}
    edges |= {tuple(sorted(rng.sample(range(nodes), 2))) for _ in range(nodes)}
    return nas.Graph(tuple(f"op{i}" for i in range(nodes)), tuple(sorted(edges)))


def test_chains_are_recognised():
    assert is_chain(nas.Graph.chain(("a", "b")))
    assert is_chain(nas.Graph(("only",), ()))
    assert not is_chain(CELL)
    assert not is_chain(nas.Graph(("a", "b"), ()))


def test_a_chain_wraps_in_reading_order():
    layout = chain_layout(nas.Graph.chain(("a", "b", "c")), columns=2)
    assert layout.nodes == ((0, 0), (1, 0), (0, 1), (1, 1), (0, 2))
    assert [bool(route) for route in layout.routes] == [False, True, False, True]


@pytest.mark.parametrize("length", [1, 6, 10, 17, 30, 200])
def test_rows_of_a_chain_are_as_long_as_the_page_is_wide(length):
    from nasplug.report.drawing import _GAP, _MARGIN, _ROOM, _plan

    plan = _plan(nas.Graph.chain(["x" * length] * 60), ["x" * length] * 62)
    left, right = min(x for x, _ in plan.boxes), max(x for x, _ in plan.boxes)
    room = _ROOM - 2 * _MARGIN
    columns = len({round(x, 6) for x, _ in plan.boxes})
    assert columns == 1 or right - left + plan.width + _GAP <= room + 1e-9
    assert (columns + 1) * (plan.width + _GAP) > room, "another box fits"


def test_layers_are_longest_paths():
    assert layers(CELL) == [0, 1, 1, 1, 2, 2, 3]


@pytest.mark.parametrize("seed", range(25))
def test_boxes_and_passing_edges_keep_apart(seed):
    graph = random_graph(seed)
    layout = layered_layout(graph)
    depth = layers(graph)
    assert [along for along, _ in layout.nodes] == depth
    assert min(across for _, across in layout.nodes) > -1e-9
    passing = [point for route in layout.routes for point in route]
    for a, b in itertools.combinations(layout.nodes, 2):
        assert a[0] != b[0] or abs(a[1] - b[1]) > 1 - 1e-9
    for (along, across), box in itertools.product(passing, layout.nodes):
        assert along != box[0] or abs(across - box[1]) > 0.7
    for (source, target), route in zip(graph.edges, layout.routes, strict=True):
        assert [along for along, _ in route] == list(range(depth[source] + 1, depth[target]))


def test_avoidable_crossings_are_avoided():
    # Two parallel branches whose nodes are numbered crosswise.
    graph = nas.Graph(("input", "a", "b", "b2", "a2", "output"), ((0, 1), (0, 2), (1, 4), (2, 3), (3, 5), (4, 5)))
    across = [y for _, y in layered_layout(graph).nodes]
    assert (across[1] - across[2]) * (across[4] - across[3]) > 0


def test_a_chain_in_the_terminal():
    graph = nas.Graph.chain(("conv_3_1_64", "max_pool_2_2", "conv_5_1_128"))
    assert draw_text(graph) == "input → conv_3_1_64 → max_pool_2_2 → conv_5_1_128 → output"
    assert draw_text(graph, width=32, unicode=False) == (
        "input -> conv_3_1_64\n  -> max_pool_2_2 -> conv_5_1_128\n  -> output"
    ).replace("  -> max_pool_2_2 -> conv_5_1_128\n  -> output", "  -> max_pool_2_2\n  -> conv_5_1_128 -> output")


def test_a_graph_in_the_terminal():
    assert draw_text(CELL).splitlines() == [
        "0  input",
        "1  conv3x3     ← 0",
        "2  conv1x1     ← 0",
        "3  maxpool3x3  ← 0",
        "4  conv3x3     ← 1, 2",
        "5  conv3x3     ← 3",
        "6  output      ← 0, 4, 5",
    ]


@pytest.mark.parametrize("width", [20, 37, 80])
@pytest.mark.parametrize("unicode", [True, False])
def test_the_terminal_drawing_fits(width, unicode):
    wide = nas.Graph(
        ("input", *["x" * 60] * 30, "卷积" * 30, "output"), tuple([(i, 32) for i in range(32)] + [(0, 31)])
    )
    for graph in (random_graph(3), wide, nas.Graph.chain(("y" * 200, "é→x", "c"))):
        drawn = draw_text(graph, width=width, unicode=unicode)
        assert all(cell_len(line) <= width for line in drawn.splitlines())
        assert unicode or drawn.isascii()


def test_labels_cannot_reach_the_terminal():
    assert "\x1b" not in draw_text(nas.Graph.chain(("\x1b[2J",)))


def test_an_empty_graph():
    assert draw_text(nas.Graph((), ())) == "(empty)"


def test_drawing_text_needs_no_extra():
    import subprocess
    import sys

    code = (
        "import sys, nasplug.report.text as t; assert not {'matplotlib', 'jinja2', 'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("input", "input and output"),
        ("no_op", "identity"),
        ("skip_connect", "identity"),
        ("max_pool_2_2", "pooling"),
        ("maxpool3x3", "pooling"),
        ("conv_3_1_64", "convolution"),
        ("conv3x3-bn-relu", "convolution"),
        ("nor_conv_3x3", "convolution"),
        ("bv1p_3_1_256", "residual block"),
        ("mbconv6_5x5", "residual block"),
        ("self_attention", "attention"),
        ("linear", "dense"),
        ("batchnorm", "norm and activation"),
        ("add", "merge"),
        ("mystery", "other"),
    ],
)
def test_families(label, expected):
    assert family(label) == expected


@pytest.mark.parametrize(
    "graph", [CELL, nas.Graph.chain(("conv_3_1_64",) * 20), nas.Graph(("a",), ()), random_graph(1)]
)
def test_every_node_is_drawn_inside_the_picture(graph):
    pytest.importorskip("matplotlib")
    from nasplug.report.drawing import draw_graph
    from nasplug.report.figures import style

    with style():
        picture = draw_graph(graph, "net", "Network")
        axes = picture.figure.axes[0]
        assert [text.get_text() for text in axes.texts] == list(graph.labels)
        frame = picture.figure.bbox
        renderer = picture.figure.canvas.get_renderer() if hasattr(picture.figure.canvas, "get_renderer") else None
        for patch in axes.patches:
            box = patch.get_window_extent(renderer)
            assert box.x0 >= frame.x0 - 1
            assert box.x1 <= frame.x1 + 1
            assert box.y0 >= frame.y0 - 1
            assert box.y1 <= frame.y1 + 1
    assert str(len(graph.labels)) in picture.alt


def test_large_graphs_are_described_instead():
    pytest.importorskip("matplotlib")
    from nasplug.report.drawing import drawable, summary

    large = nas.Graph.chain(("conv_3_1_64",) * 300)
    assert not drawable(large)
    assert summary(large) == "302 nodes and 301 edges: 300 × convolution, 2 × input and output"


def test_a_drawing_of_nothing_has_no_size():
    empty = Layout((), ())
    assert (empty.length, empty.breadth) == (0.0, 0.0)
    assert (Layout(((2.0, 1.0),), ()).length, Layout(((2.0, 1.0),), ()).breadth) == (2.0, 1.0)
    assert Layout(((0.0, 0.0),), (((3.0, 5.0),),)).length == 3.0, "edges count as well"


@pytest.mark.parametrize("labels", [["a", "b", "c"], ["conv3x3", "pool"] * 6, ["a long name of an operation"] * 5])
def test_boxes_of_a_chain_do_not_overlap(labels):
    from nasplug.report.drawing import _HEIGHT, _ROOM, _plan

    chain = nas.Graph.chain(tuple(labels))
    plan = _plan(chain, chain.labels)
    for (x, y), (u, v) in itertools.combinations(plan.boxes, 2):
        assert abs(x - u) >= plan.width or abs(y - v) >= _HEIGHT
    assert max(x for x, _ in plan.boxes) - min(x for x, _ in plan.boxes) + plan.width <= _ROOM

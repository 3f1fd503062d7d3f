from __future__ import annotations

import pytest

from nasplug.contract.errors import SpecError
from nasplug.contract.io import Inputs
from nasplug.spaces.cells import Frame, cells_graph, frames
from nasplug.spaces.images import ClassifiesImages


def test_channels_double_at_one_and_two_thirds_of_the_depth():
    assert frames(4, 3, (2, 2)) == [
        Frame(12, 12, 4, False, False),
        Frame(12, 8, 8, True, False),
        Frame(8, 16, 16, True, True),
    ]
    assert [frame.cell for frame in frames(16, 8, (4, 4))].index("reduction") == 2
    assert [index for index, frame in enumerate(frames(16, 20, (4, 4))) if frame.reduction] == [6, 13]


def test_cells_may_widen_by_an_increment_and_end_in_different_numbers_of_nodes():
    found = frames(3, 4, (1, 3), increment=2)
    assert [frame.channels for frame in found] == [3, 5, 7, 9]
    assert [frame.last for frame in found] == [9, 3, 15, 21]
    assert [frame.before_last for frame in found] == [9, 9, 3, 15]


def test_the_graph_of_two_cells():
    normal = ([[(0, "skip"), (1, "conv")]], [2])
    reduction = ([[(1, "pool"), (1, "conv")], [(2, "skip"), (1, "skip")]], [3])
    graph = cells_graph([normal, reduction])
    assert graph.labels == (
        *("input", "cell_input_before_last", "cell_input_last", "skip", "conv", "add", "concat"),
        *("cell_input_last", "pool", "conv", "add", "skip", "skip", "add", "concat", "output"),
    )
    assert set(graph.edges) == {
        *[(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5), (5, 6)],
        *[(6, 7), (7, 8), (7, 9), (8, 10), (9, 10), (10, 11), (7, 12), (11, 13), (12, 13), (13, 14), (14, 15)],
    }


def test_spaces_of_image_classifiers_refuse_everything_else():
    space = ClassifiesImages()
    assert space.produces == ("vector",)
    space.check_inputs(Inputs.of((3, 8, 8)))
    for inputs in ((12,), {"shape": [3, 8, 8], "dtype": "int64", "high": 3}, [(3, 8, 8), (3, 8, 8)]):
        with pytest.raises(SpecError, match="expected one image"):
            space.check_inputs(Inputs.of(inputs))

"""What models are told of architectures, and of results."""

from __future__ import annotations

import numpy as np
import pytest

import nasplug as nas
from nasplug.builtin.features import Table, normal_scores, traits
from nasplug.contract.errors import SpecError
from nasplug.spaces.graph import Graph
from nasplug.testing import SyntheticSpace, run_search


class Drawn:
    """A space of graphs alone."""

    name = "drawn"

    def __init__(self, graph):
        self._graph = graph

    def graph(self, architecture):
        return self._graph


def test_paths_are_counted_and_none_passes_nothing_on():
    # input -> conv -> output, input -> pool -> conv -> output, and input -> none -> output
    graph = Graph(
        ("input", "conv", "pool", "conv", "none", "output"), ((0, 1), (1, 5), (0, 2), (2, 3), (3, 5), (0, 4), (4, 5))
    )
    assert traits(Drawn(graph), None) == {">conv": 1.0, ">pool>conv": 1.0}
    twice = Graph(("input", "conv", "conv", "output"), ((0, 1), (0, 2), (1, 3), (2, 3), (0, 3)))
    assert traits(Drawn(twice), None) == {"": 1.0, ">conv": 2.0}


def test_of_many_paths_the_shortest_are_kept():
    # Ten places, each reached from all before it: 2^8 paths.
    graph = Graph(("input", *"abcdefgh", "output"), tuple((i, j) for j in range(10) for i in range(j)))
    found = traits(Drawn(graph), None, paths=9)
    assert set(found) >= {"", ">a", ">h"}
    assert max(map(len, found)) <= len(">a>b")
    assert len(traits(Drawn(graph), None)) == 256


def test_decisions_are_indicators_and_numbers_between_zero_and_one():
    space = Choices()
    found = traits(space, space.architecture({"op": "b", "width": 48, "rate": 0.25}))
    assert found == {"op=1": 1.0, "width": pytest.approx(0.625), "rate": pytest.approx(0.5)}
    without = traits(space, space.architecture({"op": "a", "width": 16}))
    assert "rate" not in without


class Choices(nas.ChoiceSpace):
    def __init__(self):
        super().__init__(
            "choices",
            [
                nas.Choice("op", ("a", "b")),
                nas.Choice("width", nas.IntRange(16, 64, step=16)),
                nas.Choice("rate", nas.FloatRange(0.0, 0.5), when={"op": "b"}),
            ],
        )

    def build(self, architecture, task):
        raise NotImplementedError


def test_a_table_leaves_out_what_was_never_seen():
    table = Table([{"a": 1.0}, {"b": 2.0}])
    assert table.rows([{"b": 3.0, "c": 4.0}, {}]).tolist() == [[0.0, 3.0], [0.0, 0.0]]


def test_scores_follow_the_rank_and_are_symmetric():
    study = run_search("random", trials=9)
    scores = normal_scores(study, study.trials)
    values = np.array([study.score(trial) for trial in study.trials])
    assert np.array_equal(np.argsort(scores, kind="stable")[::-1][:3], np.argsort(-values, kind="stable")[:3])
    assert scores.sum() == pytest.approx(0.0, abs=1e-9)
    assert scores.max() == pytest.approx(1.5932, abs=1e-3)  # the quantile of 17/18


def test_refuses_a_space_without_anything_to_describe():
    class Bare:
        name = "bare"

    with pytest.raises(SpecError, match="neither"):
        traits(Bare(), SyntheticSpace().sample(np.random.default_rng(0)))

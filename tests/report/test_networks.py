"""The drawings of all networks on a page, as data."""

from __future__ import annotations

import pytest

import nasplug as nas
from nasplug.report import networks
from nasplug.report.networks import drawings


def of(study, ordered=None):
    shown = list(study.trials)
    return drawings(study, shown, shown if ordered is None else ordered)


def labels(data, place):
    return [data["labels"][each][0] for each in data["nets"][place][1]]


def test_every_trial_has_its_own_network(study):
    data = of(study)
    for trial, place in zip(study.trials, data["of"], strict=True):
        graph = study.space.graph(trial.architecture)
        assert labels(data, place) == list(graph.labels)
        assert data["plans"][data["nets"][place][0]] == len(graph.labels)  # a chain needs no coordinates
    assert data["cut"] is False
    assert len(data["nets"]) == len({trial.architecture.key for trial in study.trials})


def test_colours_are_those_of_the_families(study):
    colours = dict(of(study)["labels"])
    assert colours["conv_3_1_32"] == "c1"
    assert colours["max_pool_2_2"] == "c2"
    assert colours["input"] == "muted"


def test_one_wiring_is_laid_out_once(make):
    study = make(space="CellSpace", trials=30)
    data = of(study)
    assert len(data["plans"]) == 1
    nodes, edges, routes = data["plans"][0]
    graph = study.space.graph(study.trials[0].architecture)
    assert edges == [list(edge) for edge in graph.edges]
    assert len(nodes) == 7
    assert [point[0] for point in nodes] == [0, 1, 1, 1, 2, 2, 3]  # layers by the longest path
    assert [len(route) for route in routes] == [0, 0, 0, 2, 0, 0, 0, 0, 0]  # input to output passes two layers


def test_a_space_without_graphs_has_none(small):
    assert of(small) is None


def test_the_first_in_order_are_drawn_while_there_is_room(study, monkeypatch):
    first = study.trials[5]
    size = 2 * len(study.space.graph(first.architecture).labels) - 1
    monkeypatch.setattr(networks, "NUMBERS", size)
    data = of(study, [first, *study.trials])
    assert data["cut"] is True
    assert [i for i, place in enumerate(data["of"]) if place is not None] == [5]
    monkeypatch.setattr(networks, "NUMBERS", size - 1)
    shorter = of(study, [first])
    assert shorter is None


def test_layouts_have_a_bound_of_their_own_and_chains_do_not_count(make, study, monkeypatch):
    monkeypatch.setattr(networks, "LAYOUTS", 15)  # the cell has 7 nodes and 9 edges
    assert of(make(space="CellSpace", trials=5)) is None
    assert of(study)["cut"] is False


class Deep(nas.ChoiceSpace):
    """Graphs that are too large, or that cannot be made."""

    def __init__(self) -> None:
        super().__init__("deep", [nas.Choice("nodes", (3, 200, "none"))])

    def build(self, architecture, task):
        raise AssertionError

    def graph(self, architecture):
        (nodes,) = architecture.genotype
        if nodes == "none":
            raise ValueError("not to be drawn")
        return nas.Graph.chain(("conv3x3",) * nodes)


class Score:
    objectives = {"score": "max"}  # noqa: RUF012

    @nas.hookimpl
    def evaluate(self, run):
        return nas.Evaluation({"score": 1.0})


def test_large_ones_are_told_in_words_and_a_broken_space_is_passed_over():
    study = nas.search(space=Deep(), evaluator=Score(), strategy="random", trials=20, progress=False)
    data = of(study)
    for trial, place in zip(study.trials, data["of"], strict=True):
        nodes = trial.architecture.genotype[0]
        if nodes == "none":
            assert place is None
        elif nodes == 200:
            assert data["nets"][place].startswith("Too large to draw: 202 nodes and 201 edges: 200 × convolution")
        else:
            assert labels(data, place) == ["input", "conv3x3", "conv3x3", "conv3x3", "output"]


@pytest.mark.parametrize("title", ["<b>", "__proto__"])
def test_the_payload_has_it(study, title):
    from nasplug.report import series
    from nasplug.report.payload import payload

    data = payload(study, title, series.ranking(study))
    assert len(data["networks"]["of"]) == len(study.trials)

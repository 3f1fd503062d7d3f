"""Decisions as graphs."""

from __future__ import annotations

import nasplug as nas
from nasplug.spaces.decisions import chain_of, decision_graph, decisions_of
from nasplug.spaces.graph import Graph


class Space(nas.ChoiceSpace):
    def __init__(self):
        super().__init__(
            "space",
            [
                nas.Choice("op", ("a", "b")),
                nas.Choice("rate", nas.FloatRange(0.0, 1.0), when={"op": "b"}),
            ],
        )

    def build(self, architecture, task):
        raise NotImplementedError


def test_every_decision_is_a_path_of_its_own():
    space = Space()
    architecture = space.architecture({"op": "b", "rate": 0.2})
    assert dict(decisions_of(space, architecture)) == {"op": "b", "rate": 0.2}
    assert decision_graph(space, architecture) == Graph(
        ("input", "op=b", "rate>=0/8", "rate>=1/8", "output"), ((0, 1), (0, 2), (1, 4), (2, 3), (3, 4))
    )


def test_decisions_that_are_not_made_are_not_drawn():
    space = Space()
    assert decision_graph(space, space.architecture({"op": "a"})) == Graph.chain(("op=a",))


def test_near_numbers_share_nodes():
    domain = nas.FloatRange(0.0, 1.0)
    assert chain_of(domain, "x", 0.0) == ["x>=0/8"]
    assert chain_of(domain, "x", 1.0) == [f"x>={step}/8" for step in range(8)]
    assert chain_of(domain, "x", 0.49)[:3] == chain_of(domain, "x", 0.3)

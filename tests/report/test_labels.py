"""Networks have names on the page, whatever the space can say."""

from __future__ import annotations

import nasplug as nas
from nasplug.ledger.ledger import Ledger
from nasplug.report.labels import heading, label

ARCHITECTURE = nas.Architecture("s", ("conv", 3, None), '["conv",3,null]')


class Bare:
    """A space without capabilities."""

    name = "bare"

    def architecture(self, genotype): ...
    def validate(self, architecture): ...
    def sample(self, rng): ...
    def build(self, architecture, task): ...


class Conditional(Bare):
    def active(self, architecture):
        return {"op": "conv", "kernel": 3}


class Listed(Bare):
    choices = (nas.Choice("depth", (2, 4)), nas.Choice("norm", (True, False)))

    def vector(self, architecture):
        return (1, 0)

    def from_vector(self, indices): ...


class Named(Conditional):
    def label(self, architecture):
        return "resnet\n10t\x1b"


class Raising(Bare):
    def label(self, architecture):
        raise RuntimeError("no")


def named(space, architecture=ARCHITECTURE, limit=99):
    ledger = Ledger.of(space, {"a": "max"})
    trial = nas.Trial(7, nas.Proposal(architecture), "complete", metrics={"a": 1.0})
    return label(ledger.result(), trial, limit)


def test_the_label_of_the_space_is_cleaned():
    assert named(Named()) == "resnet 10t�"


def test_without_a_label_the_choices_are_named():
    assert named(Conditional()) == "op=conv kernel=3"
    assert named(Listed()) == "depth=4 norm=true"


def test_without_anything_a_flat_genotype_is_plain_and_a_nested_one_json():
    assert named(Bare()) == named(None) == named(Raising()) == "conv 3 null"
    assert named(None, nas.Architecture("s", ((1, 2), 3), "x")) == "[[1, 2], 3]"


def test_a_heading_has_the_number_and_is_short():
    ledger = Ledger.of(Named(), {"a": "max"})
    assert heading(ledger.result(), nas.Trial(7, nas.Proposal(ARCHITECTURE))) == "resnet 10t�, trial 7"
    assert len(named(None, nas.Architecture("s", ("x" * 900,), "x"), limit=40)) == 40

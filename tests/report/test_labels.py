"""Networks have names on the page, safe to print and as long as there is room."""

from __future__ import annotations

import nasplug as nas
from nasplug.ledger.ledger import Ledger
from nasplug.report.labels import heading, label, space_of

ARCHITECTURE = nas.Architecture("s", ("conv_3", 3, None), "key")


class Named:
    """A space that names its architectures."""

    name = "named"

    def label(self, architecture):
        return "resnet\n10t\x1b"

    def architecture(self, genotype): ...
    def validate(self, architecture): ...
    def sample(self, rng): ...
    def build(self, architecture, task): ...


def study_of(space):
    return Ledger.of(space, {"a": "max"}).result()


TRIAL = nas.Trial(7, nas.Proposal(ARCHITECTURE), "complete", metrics={"a": 1.0})


def test_the_label_of_the_space_is_cleaned():
    assert label(study_of(Named()), TRIAL) == "resnet 10t�"
    assert heading(study_of(Named()), TRIAL) == "resnet 10t�, trial 7"


def test_without_a_space_the_values_are_the_name():
    assert label(study_of(None), TRIAL) == "conv_3 3 -"
    assert space_of(study_of(None)) is None


def test_a_long_one_ends_behind_a_word():
    long = TRIAL.with_(proposal=nas.Proposal(nas.Architecture("s", ("conv_3_1_64",) * 9, "key")))
    assert label(study_of(None), long, 40) == "conv_3_1_64 conv_3_1_64 conv_3_1_64 … +6"

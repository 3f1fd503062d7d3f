import pickle

import numpy as np
import pytest

import nasplug as nas
from nasplug.contract.errors import SpaceError, SpecError
from nasplug.contract.protocols import CAPABILITIES
from nasplug.spaces.hyperparameters import HyperparameterSpace
from nasplug.testing import SpaceConformance, SyntheticSpace

CONTINUOUS = {
    "lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "optimizer": ["adam", "sgd"],
    "momentum": {"low": 0.0, "high": 0.99, "when": {"optimizer": "sgd"}},
    "epochs": 3,
}
FINITE = {"batch": [16, 32, 64], "nesterov": [True, False], "width": {"low": 1, "high": 4}}


class TestContinuous(SpaceConformance):
    builds = 1

    def make_space(self):
        return HyperparameterSpace(SyntheticSpace(length=3), CONTINUOUS)


class TestFinite(SpaceConformance):
    builds = 1

    def make_space(self):
        return HyperparameterSpace(SyntheticSpace(length=2), FINITE)


class Bare:
    """The least that a space can be."""

    name = "bare"

    def architecture(self, genotype):
        if genotype not in ("a", "b"):
            raise SpaceError(f"{genotype!r} is not in the space")
        return nas.Architecture("bare", genotype, genotype)

    def validate(self, architecture):
        self.architecture(architecture.genotype)

    def sample(self, rng):
        return self.architecture("ab"[int(rng.integers(2))])

    def build(self, architecture, task):
        raise NotImplementedError


def test_it_has_the_capabilities_of_the_space_inside():
    def capabilities(space):
        return {name for name, protocol in CAPABILITIES.items() if isinstance(space, protocol)}

    whole = capabilities(HyperparameterSpace(SyntheticSpace(), FINITE))
    assert whole == (capabilities(SyntheticSpace()) | {"HasHyperparameters"}) - {"Tabulates", "ReadsGraph"}
    assert capabilities(HyperparameterSpace(SyntheticSpace(), CONTINUOUS)) == whole - {"Enumerates"}
    bare = HyperparameterSpace(Bare(), FINITE)
    assert capabilities(bare) == {"HasHyperparameters", "HasLabels"}
    assert bare.label(bare.sample(np.random.default_rng(0))).startswith(("a batch=", "b batch="))


def test_an_architecture_says_its_hyperparameters():
    space = HyperparameterSpace(SyntheticSpace(length=1), CONTINUOUS)
    assert space.hyperparameter_names == ("lr", "optimizer", "momentum", "epochs")
    sgd = space.architecture([["wide"], {"lr": 0.01, "optimizer": "sgd", "momentum": 0.5}])
    assert space.hyperparameters(sgd) == {"epochs": 3, "lr": 0.01, "optimizer": "sgd", "momentum": 0.5}
    assert space.inner_architecture(sgd) == SyntheticSpace(length=1).architecture(["wide"])
    assert sgd.key == '["wide"] {"lr":0.01,"optimizer":"sgd","momentum":0.5}'
    assert space.label(sgd) == "position0=wide lr=0.01 optimizer=sgd momentum=0.5"
    adam = space.architecture([["wide"], [0.01, "adam", None]])
    assert space.hyperparameters(adam) == {"epochs": 3, "lr": 0.01, "optimizer": "adam"}
    assert adam == space.architecture([["wide"], [0.01, "adam", 0.7]])


def test_mutations_change_every_decision_equally_often():
    space, rng = HyperparameterSpace(SyntheticSpace(length=4), {"lr": [1e-3, 1e-1, "log"]}), np.random.default_rng(0)
    start = space.sample(rng)
    trained = sum(space.hyperparameters(space.mutate(start, rng)) != space.hyperparameters(start) for _ in range(2000))
    assert trained / 2000 == pytest.approx(1 / 5, abs=0.03)


def test_sizes_multiply():
    space = HyperparameterSpace(SyntheticSpace(length=2), FINITE)
    assert space.size() == 16 * 3 * 2 * 4
    conditional = HyperparameterSpace(
        SyntheticSpace(length=1), {"o": ["adam", "sgd"], "m": {"choices": [0.5, 0.9], "when": {"o": "sgd"}}}
    )
    assert conditional.size() == 4 * 3
    with pytest.raises(SpaceError, match="'lr' is continuous"):
        HyperparameterSpace(SyntheticSpace(), CONTINUOUS).size()


def test_a_name_that_the_space_has_already_is_told_apart():
    space = HyperparameterSpace(
        SyntheticSpace(length=1), {"position0": [1, 2], "x": {"choices": [3, 4], "when": {"position0": 1}}}
    )
    assert [choice.name for choice in space.choices] == ["position0", "position0 (training)", "x"]
    assert space.choices[2].when == {"position0 (training)": (1,)}
    architecture = space.from_vector((3, 0, 1))
    assert space.hyperparameters(architecture) == {"position0": 1, "x": 4}
    assert space.active(architecture) == {"position0": "wide", "position0 (training)": 1, "x": 4}


def test_graphs_of_near_numbers_share_most_nodes():
    space = HyperparameterSpace(SyntheticSpace(length=1), CONTINUOUS)

    def labels(rate):
        return set(space.graph(space.architecture([["wide"], {"lr": rate, "optimizer": "adam"}])).labels)

    assert labels(1e-4) == {"input", "wide", "lr>=0/8", "optimizer=adam", "output"}
    assert len(labels(1e-3) ^ labels(1.2e-3)) <= 1
    assert len(labels(1e-4) ^ labels(1e-1)) == 7


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": 0.1}, "no hyperparameter is searched"),
        ({}, "no hyperparameter is searched"),
        ({"lr": [0.1]}, r"hyperparameters\.lr: cannot read"),
        ({"m": {"low": 0, "high": 1, "when": "sgd"}}, r"hyperparameters\.m\.when"),
        ({"m": {"low": 0, "high": 1, "when": {"o": "sgd"}}}, "'o', which is not an earlier choice"),
    ],
)
def test_bad_hyperparameters_are_named(given, message):
    with pytest.raises((SpecError, SpaceError), match=message):
        HyperparameterSpace(SyntheticSpace(), given)


def test_it_survives_the_way_to_another_process():
    space = HyperparameterSpace(SyntheticSpace(), CONTINUOUS)
    copy = pickle.loads(pickle.dumps(space))
    assert copy.sample(np.random.default_rng(3)) == space.sample(np.random.default_rng(3))
    assert not isinstance(copy, nas.Enumerates)

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import nasplug as nas
from nasplug.contract.errors import NasplugError
from nasplug.evaluate.settling import settled
from nasplug.tasks import LightningTask
from tests.evaluate.test_inside import DATA, Keeps

TASK = LightningTask(Keeps, DATA, (4,), 2)


class Lazy(nas.ChoiceSpace):
    """Sizes of its layers are known when data come."""

    def __init__(self):
        super().__init__("lazy", [nas.Choice("width", (3, 5))])

    def build(self, architecture, task):
        (width,) = architecture.genotype
        return nn.Sequential(nn.LazyLinear(width), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(task.outputs))


def test_lazy_layers_get_their_sizes_and_the_network_trains_on():
    network = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d(), nn.Dropout().eval())
    assert settled(network, TASK) is network
    assert network[0].weight.shape == (3, 4)
    assert network[1].weight.shape == (3,)
    assert [module.training for module in network] == [True, True, False]


def test_what_the_example_does_not_fit_and_what_is_not_lazy_stay_as_they_are():
    network = nn.Sequential(nn.LazyConv2d(3, 1))
    assert nn.parameter.is_lazy(settled(network, TASK)[0].weight)
    assert settled(network, None) is network
    plain = nn.Linear(9, 2)  # is never called: it does not fit either
    assert settled(plain, TASK) is plain


def test_costs_and_kept_weights_of_a_search_are_those_of_the_whole_network():
    made = LightningTask(Keeps, DATA, (4,), 2)
    study = nas.search(made, space=Lazy(), trials=3, epochs=1, costs=["params", "macs"], progress=False)
    for trial in study.trials:
        (width,) = trial.architecture.genotype
        assert trial.costs["params"] == 5 * width + 2 * width + 2 * width + 2
        assert trial.costs["macs"] == 4 * width + 2 * width
        assert study.network(trial)(torch.rand(2, 4)).shape == (2, 2)


class Batch(nn.Module):
    """Takes a whole batch as one mapping."""

    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, width), nn.Linear(width, 2))

    def forward(self, batch):
        return self.layers(batch["x"])


class Mappings(Lazy):
    def build(self, architecture, task):
        return Batch(*architecture.genotype)


class ByMapping(Keeps):
    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self(batch), batch["label"])

    def validation_step(self, batch, _):
        self.log("val_acc", (self(batch).argmax(1) == batch["label"]).float().mean())


def test_a_network_that_takes_a_whole_mapping_is_refused_with_the_way_to_go():
    rows = [{"x": torch.rand(4), "label": i % 2} for i in range(16)]
    made = LightningTask(ByMapping, (DataLoader(rows, 8), DataLoader(rows, 8)), (4,), 2)
    study = nas.search(made, space=Mappings(), trials=1, epochs=1, costs=["params"], progress=False)
    assert study.trials[0].state == "complete"
    with pytest.raises(NasplugError, match=r"called with a dict, which is not a tensor[\s\S]*network\(\*\*batch\)"):
        nas.search(made, space=Mappings(), trials=1, epochs=1, costs=["macs"], progress=False)

"""Tests of `nasplug_darts_lp.layers.quantise`."""

from __future__ import annotations

import copy

import pytest
import torch
from nasplug_darts_lp.layers.callback import QuantisationSchedule
from nasplug_darts_lp.layers.quantise import Quantise, calibrate, freeze, measure_densities, quantise, quantised_layers
from nasplug_darts_lp.layers.quantised import QuantConv2d, QuantLinear
from nasplug_darts_lp.quantisers import Static
from torch import nn

import nasplug as nas
from nasplug.contract.errors import NasplugError, SpecError, SurgeryError, TaskError
from nasplug.surgery import Surgery
from nasplug.testing import WrapperConformance
from nasplug.testing.networks import assert_trains
from nasplug.testing.synthetic import SyntheticSpace
from nasplug.workloads.extract import extract
from nasplug.workloads.workload import OPERATIONS


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_layers_are_exchanged_and_the_original_is_left_alone(network, groups):
    plain = network(groups)
    before = copy.deepcopy(plain.state_dict())
    quantised = quantise(plain, weight_bits=2, activation_bits=3, squeeze="sample")
    assert list(quantised_layers(quantised)) == ["0.0", "1.conv1", "1.conv2", "2.conv1", "2.conv2", "5"]
    assert [layer.weight_bits for layer in quantised_layers(quantised).values()] == [8, 2, 2, 2, 2, 8]
    assert [layer.input_bits for layer in quantised_layers(quantised).values()] == [8, 3, 3, 3, 3, 8]
    assert quantised[1].conv1.groups == groups
    assert quantised[1].conv1.input_quantiser.squeeze == "sample"
    assert type(plain[1].conv1) is nn.Conv2d
    assert_trains(quantised, (3, 12, 12), 4)
    assert all(torch.equal(value, before[name]) for name, value in plain.state_dict().items())
    quantised.load_state_dict(before, strict=False)


def test_many_bits_change_little(batch, network):
    plain = network().eval()
    quantised = quantise(plain, weight_bits=8, activation_bits=8)
    calibrate(quantised, [batch()])
    quantised.eval()
    with torch.no_grad():
        expected, found = plain(batch(1)), quantised(batch(1))
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()


def test_ends_layers_and_exceptions(network):
    plain = network()
    quantised = quantise(plain, first_last_bits=None, layers={"1.conv2": {"weight_bits": 1, "activation_bits": 5}})
    assert type(quantised[0][0]) is nn.Conv2d
    assert type(quantised[5]) is nn.Linear
    assert (quantised[1].conv2.weight_bits, quantised[1].conv2.input_bits) == (1, 5)
    assert (quantised[1].conv1.weight_bits, quantised[1].conv1.input_bits) == (4, 4)
    skipped = quantise(plain, skip=["1", "*.conv2", "absent.*"])
    assert list(quantised_layers(skipped)) == ["0.0", "2.conv1", "5"]
    activations = quantise(plain, weight_bits=None, activation_bits=2)
    assert activations[1].conv1.weight_bits is None
    assert_trains(activations, (3, 12, 12), 4)


@pytest.mark.parametrize("attached", [nn.Conv1d(3, 3, 1), nn.ConvTranspose2d(3, 3, 1), nn.MultiheadAttention(4, 2)])
def test_unsupported_modules_are_named(network, attached):
    found = network()
    found[1].tail = nn.Sequential(attached)
    with pytest.raises(TaskError, match=rf"1\.tail\.0 \({type(attached).__name__}\)"):
        quantise(found)
    assert quantise(found, skip=["1.tail"])


def test_other_things_that_cannot_be_quantised():
    class Standardised(nn.Conv2d):
        def forward(self, x):
            return nn.functional.conv2d(x, self.weight - self.weight.mean())

    for layer, why in (
        (Standardised(3, 3, 1), "something else"),
        (nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"), "reflect"),
        (nn.LazyConv2d(3, 3), "shape is not known"),
        (nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 1)), "parametrisation"),
        (QuantConv2d(3, 3, 1), "quantised already"),
    ):
        with pytest.raises(TaskError, match=why):
            quantise(nn.Sequential(nn.Conv2d(3, 3, 1), layer))
    with pytest.raises(TaskError, match="does not have a convolutional or linear layer"):
        quantise(nn.Sequential(nn.ReLU()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight_bits": 9}, "1 to 8"),
        ({"activation_bits": 0}, "1 to 8"),
        ({"first_last_bits": 16}, "1 to 8"),
        ({"activations": "lsp"}, "did you mean 'lsq'"),
        ({"skip": ["1.conv3"]}, "did you mean '1.conv"),
        ({"layers": {"1.conv9": {}}}, "1.conv9"),
        ({"momentun": 0.1}, "did you mean 'momentum'"),
    ],
)
def test_mistakes_are_named(network, settings, message):
    with pytest.raises(NasplugError, match=message):
        quantise(network(), **settings)


def test_shared_layers_stay_shared_and_a_single_layer_is_a_network():
    layer = nn.Conv2d(3, 3, 1)
    quantised = quantise(nn.Sequential(layer, nn.ReLU(), layer))
    assert quantised[0] is quantised[2]
    assert isinstance(quantise(nn.Linear(4, 2)), QuantLinear)


def test_calibration_changes_ranges_alone(batch, network):
    quantised = quantise(network())
    before = {name: value.clone() for name, value in quantised.state_dict().items()}
    calibrate(quantised, [batch(), batch(1)])
    changed = {name for name, value in quantised.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all("input_quantiser" in name for name in changed)
    assert quantised.training


def test_freezing_drops_the_perceptrons_and_nothing_else(batch, network):
    quantised = quantise(network())
    for seed in range(3):
        quantised(batch(seed))
    frozen = freeze(quantised)
    assert torch.equal(frozen(batch(7)), quantised.eval()(batch(7)))
    count = sum(parameter.numel() for parameter in network().parameters())
    assert sum(parameter.numel() for parameter in frozen.parameters()) == count
    assert sum(isinstance(module, Static) for module in frozen.modules()) == 6


def test_costs_see_bits_and_measured_densities(batch, network):
    quantised = quantise(network(), weight_bits=2, activation_bits=2)
    workload = extract(quantised, (3, 12, 12))
    plain = extract(network(), (3, 12, 12))
    assert workload.operation.tolist() == plain.operation.tolist(), "quantisers are not layers"
    products = [OPERATIONS[code] in ("conv", "fc") for code in workload.operation]
    bits = [int(bits) for bits, product in zip(workload.weight_bits, products, strict=True) if product]
    assert bits == [8, 2, 2, 2, 2, 8]
    quantised(batch())
    measure_densities(quantised, batch())
    layer = quantised[1].conv1
    numbers = layer.weight_quantiser.integers(layer.weight)[0]
    assert layer.weight_density == float((numbers != 0).float().mean()) < 1
    assert 0 < layer.input_density < 1
    assert quantised.training
    assert extract(quantised, (3, 12, 12)).weight_density.min() < 1


def test_narrow_networks_are_cheaper_on_a_unit(network):
    npu = pytest.importorskip("nasplug_npu")
    costs = {}
    for bits in (2, 4, 8):
        workload = extract(quantise(network(), weight_bits=bits, activation_bits=bits), (3, 12, 12))
        costs[bits] = npu.NPU("wu32").totals(workload)
    for key in ("energy_j", "flash_bytes"):
        assert costs[2][key] < costs[4][key] < costs[8][key]


@pytest.mark.parametrize(
    "name",
    [
        "resnet10t",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("resnet18", "mobilenetv2_100", "efficientnet_b0", "mobilenetv3_small_050", "regnetx_002")
        ),
    ],
)
def test_networks_of_timm(name):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    plain = timm.create_model(name, num_classes=4)
    quantised = quantise(plain)
    wanted = sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in plain.modules())
    assert len(quantised_layers(quantised)) == wanted
    assert set(plain.state_dict()) <= set(quantised.state_dict())
    assert_trains(quantised, (3, 32, 32), 4)
    workload = extract(quantised, (3, 32, 32))
    assert workload.operation.tolist() == extract(plain, (3, 32, 32)).operation.tolist()


class TestWrapper(WrapperConformance):
    def make_wrapper(self):
        return Quantise(weight_bits=2, activation_bits=2)


class TestWrapperOfBinary(WrapperConformance):
    def make_wrapper(self):
        return Quantise(1, 1, activations="single_st", options={"squeeze": "sample"})


def test_quantising_without_perceptrons_draws_no_random_numbers(network):
    base = network()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    quantise(base, activations="lsq")
    Quantise(2, 2)
    assert torch.equal(torch.rand(1), expected)


def test_the_wrapper_refuses_before_anything_trains():
    with pytest.raises(SpecError, match="1 to 8"):
        Quantise(weight_bits=12)
    with pytest.raises(SpecError, match="squeez"):
        Quantise(options={"squeez": "batch"})


def test_in_a_search():
    """Wrapped, warmed up in floating point, trained and priced."""
    study = nas.search(
        nas.ImageClassification(limit=120, training=nas.Training(lr=5e-3)),
        space=nas.component("nasbench201", channels=4, cells=1),
        enqueue=[["nor_conv_3x3"] * 6, ["skip_connect"] * 6],
        build=[Quantise(2, 2, activations="fixed")],
        callbacks=[QuantisationSchedule(1)],
        costs=["npu"],
        target="npu:wu32",
        objectives={"val_acc": "max", "npu/energy_j": "min"},
        trials=2,
        epochs=2,
        progress=False,
    )
    assert [trial.state for trial in study.trials] == ["complete", "complete"]
    assert study.trials[0].values["npu/energy_j"] > study.trials[1].values["npu/energy_j"] > 0


def test_a_candidate_that_cannot_be_quantised_is_a_failed_trial():
    study = nas.search(
        nas.ImageClassification(limit=60),
        space=SyntheticSpace(),
        build=[Quantise(skip=["nowhere"])],
        strategy="random",
        trials=2,
        epochs=1,
        progress=False,
    )
    assert [trial.state for trial in study.trials] == ["failed", "failed"]
    assert "nowhere" in study.trials[0].failure.message


@pytest.mark.parametrize(("activations", "weights"), [("double_st", "uniform"), ("lsq", "lsq"), ("fixed", "gaussian")])
def test_channels_of_quantised_layers_are_refused_by_surgery(network, activations, weights):
    quantised = quantise(network(1), activations=activations, weights=weights)
    surgery = Surgery(quantised, (3, 16, 16))
    assert surgery.sizes == {}
    assert all(
        "_quantiser', which does not run" in why for name, why in surgery.channels.refused.items() if name != "5"
    )
    with pytest.raises(SurgeryError, match=r"1\.conv1 \(a QuantConv2d\) holds"):
        surgery.remove({"1.conv1": [0]})

"""Searches with operators and resolutions: costs, inheritance, files and exports follow."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from nasplug_reduction import ReductionSpace, load, shrink
from nasplug_reduction.breeding import breed
from nasplug_reduction.example import images
from nasplug_reduction.planning import uniform, ways
from nasplug_reduction.pricing import Pricer
from nasplug_reduction.stepping import shares
from nasplug_reduction.strategies.evolution import Evolution, Supernet
from nasplug_reduction.strategies.greedy import Greedy
from nasplug_reduction.strategies.policy import Policy
from nasplug_reduction.strategies.sensitivity import Sensitivity
from nasplug_reduction.strategies.snare import Snare
from nasplug_reduction.supernet import Part, put, unfactored
from nasplug_reduction.written import write

import nasplug as nas
from nasplug.cli import main
from nasplug.evaluate.weights import save_weights

SETTINGS = {"operators": ("kernel", "separable"), "resolutions": (0.5,)}


@pytest.fixture
def space():
    return ReductionSpace("nasplug_reduction.example:small_resnet", "random", inputs=(3, 16, 16), **SETTINGS)


class Run:
    """What work needs of its run."""

    target = None

    def __init__(self, space):
        self.space = space

    def progress(self, share):
        pass

    def rng(self, role):
        return np.random.default_rng(0)


def named(space, architecture):
    return dict(zip([choice.name for choice in space.choices], architecture.genotype, strict=True))


def test_uniform_narrows_channels_alone(space):
    found = space.decided(uniform(Pricer(space, None, ["macs"]), {"macs": 0.5 * 10**6}))
    assert (found.kernels, found.separable, found.resolution, found.dropped) == ({}, (), 1.0, ())


def test_the_ways_to_a_smaller_network_include_operators_and_resolution(space):
    full = [int(index) for index in space.vector(space.full)]
    macs = Pricer(space, None, ["macs"]).price(space.full)["macs"]
    found = ways(Run(space), full, {"macs": 0.9 * macs}, most=100)
    changed = {
        choice.name
        for vector in found["vectors"]
        for choice, now, before in zip(space.choices, vector, full, strict=True)
        if now != before
    }
    assert {"kernel:3.conv1", "operator:4.conv2", "resolution", "width:3.conv1", "block:4"} <= changed
    gone = [0 if choice.name == "block:4" else index for choice, index in zip(space.choices, full, strict=True)]
    later = ways(Run(space), gone, {"macs": 0.4 * macs}, most=100)["vectors"]
    assert later
    for vector in later:  # inside of the block there is nothing left to change
        inner = [choice.name for choice, a, b in zip(space.choices, vector, gone, strict=True) if a != b]
        assert not any("4.conv" in name for name in inner)
    assert not any("4.conv" in name for name in shares(Run(space), gone, {"macs": 0.4 * macs}))


def test_children_are_of_the_space_and_use_operators(space):
    limits = {"params": 0.5 * space.params(space.full)}
    first = breed(Run(space), [], limits, 12, [])
    later = breed(Run(space), first[:3], limits, 6, [])
    for vector in (*first, *later):
        assert space.params(space.from_vector(vector)) <= limits["params"]
    found = [space.decided(space.from_vector(vector)) for vector in first]
    assert any(each.kernels for each in found)
    assert any(each.separable for each in found)
    assert {each.resolution for each in found} == {0.5, 1.0}


@pytest.mark.parametrize(
    "strategy",
    [
        Sensitivity(0.4, final_epochs=0, probes=1, batches=1, tune_epochs=0, compare=False),
        Greedy(0.6, final_epochs=1, steps=2, candidates=3, compare=False),
        Evolution(0.4, final_epochs=1, generations=2, children=3, candidate_epochs=1, compare=False),
        Supernet(0.4, final_epochs=0, generations=1, children=4, supernet_epochs=1, compare=False),
        Snare(0.5, final_epochs=0, generations=3, candidate_epochs=0, threshold=1.0, compare=False),
        Policy(0.5, final_epochs=0, removal_episodes=1, episodes=1, rollouts=3, compare=False),
    ],
    ids=lambda strategy: type(strategy).__name__,
)
def test_every_search_takes_them(space, strategy):
    study = nas.search(
        images(), space=space, strategy=strategy, objectives={"val_acc": "max"}, trials=30, rehearse=False
    )
    assert {trial.state for trial in study.trials} == {"complete"}, [trial.failure for trial in study.trials]
    last = study.trials[-1]
    assert space.params(last.architecture) <= max([*strategy.keep.values()]) * space.params(space.full)
    study.network(last)


def test_a_part_of_shared_weights_with_a_smaller_kernel_is_what_is_cut_out(space):
    whole, x = space.build(space.full), torch.randn(4, 3, 16, 16)
    for seed in range(4):
        architecture = unfactored(space, space.sample(np.random.default_rng(seed)))
        cut = space.build(architecture).train()
        assert torch.allclose(Part(space, architecture)(whole, x), cut(x), atol=1e-5)


def test_a_pair_is_made_of_shared_weights(space, tmp_path):
    trained = space.build(space.full)
    with torch.no_grad():
        for weight in trained.parameters():
            weight.add_(0.1)
    save_weights(trained, tmp_path / "weights.safetensors")
    every = {choice.name: choice.options[-1] for choice in space.choices}
    architecture = space.architecture({**every, "operator:3.conv1": "separable"})
    network = space.build(architecture)
    put(network, space, architecture, tmp_path)
    from nasplug_reduction.substitution import factors

    assert torch.allclose(network[3].conv1.depthwise.weight, factors(trained[3].conv1.weight)[0])


def test_a_folder_brings_the_network_back(space, tmp_path):
    for seed in range(3):
        architecture = space.sample(np.random.default_rng(seed))
        network = space.build(architecture).eval()
        folder = write(network, space.model, space.records(architecture), tmp_path / str(seed))
        x = torch.randn(2, 3, 16, 16)
        assert torch.equal(load(folder)(x), network(x))


class Cheapest:
    """Proposes a network with everything exchanged."""

    @nas.hookimpl
    def propose(self, study, count):
        every = {choice.name: choice.options[-1] for choice in study.space.choices}
        cheap = {"kernel:3.conv1": 1, "operator:4.conv1": "separable", "resolution": 0.5}
        return [] if study.proposed else [study.proposal(study.space.architecture({**every, **cheap}))]


def test_exports_and_predictions_follow(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    from PIL import Image

    model = {"model": "nasplug_reduction.example:grey_resnet", "weights": "random", "inputs": [1, 8, 8]}
    study = nas.search(
        nas.component("reduction", data="digits", **model),
        space=nas.component("reduction", **model, operators=["kernel", "separable"], resolutions=[0.5]),
        strategy=Cheapest(),
        objectives={"val_acc": "max"},
        costs=["macs"],
        trials=1,
        epochs=1,
        storage=tmp_path / "study.sqlite",
        rehearse=False,
    )
    assert study.trials[0].state == "complete", study.trials[0].failure
    # The stem is 12 x 9; two convolutions of a block are whole: on 4 x 4 places instead of 8 x 8, and the head.
    block = 12 * 12 + 2 * 12 * 12 * 9 + (12 * 9 + 12 * 12)
    assert study.trials[0].costs["macs"] == 16 * (12 * 9 + block) + 120
    study.export(tmp_path / "out", formats=("bundle", "onnx"))
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8), np.uint8)).save(tmp_path / "a.png")
    capsys.readouterr()
    answers = []
    for name in ("", "network.onnx"):
        path = tmp_path / "out" / name
        assert main(["predict", str(path), str(tmp_path / "a.png"), "--trust", "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out)[0]["scores"])
    assert answers[1] == pytest.approx(answers[0], abs=1e-6)


def test_the_command_takes_them(project, tmp_path, capsys):
    words = ["shrink", "own_project:Lit", "--weights", str(project / "w.ckpt"), "--data", "own_project.Data"]
    words += ["--macs", "0.3", "--epochs", "0", "--out", str(tmp_path / "out"), "--json"]
    assert main([*words, "--operators", "kernel", "--resolutions", "0.5", "0.75"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["rows"][-1]["macs"] <= 0.3 * result["rows"][0]["macs"]
    assert {"kernels", "separable", "resolution"} <= set(result)
    load(tmp_path / "out")(torch.randn(2, 3, 8, 8))


def test_settings_are_checked_before_anything_trains(project, tmp_path, capsys):
    words = ["shrink", "own_project:Lit", "--weights", str(project / "w.ckpt"), "--data", "own_project.Data"]
    words += ["--keep", "0.3", "--out", str(tmp_path / "out")]
    assert main([*words, "--operators", "kernels"]) == 2
    assert "did you mean 'kernel'" in capsys.readouterr().err
    assert main([*words, "--resolutions", "0.3"]) == 2
    assert "0.3 of 8x8 is not a whole number of pixels" in capsys.readouterr().err


def test_in_python(project):
    reduced = shrink(
        "own_project:Lit",
        project / "w.ckpt",
        "own_project.Data",
        keep={"macs": 0.3},
        epochs=1,
        space={"operators": ["kernel"], "resolutions": [0.5]},
        strategy=nas.component("reduction.evolution", generations=1, children=4, compare=False),
    )
    assert reduced.found.metrics["val_acc"] > 0.5
    assert reduced.found.costs["macs"] <= 0.3 * reduced.original.costs["macs"]

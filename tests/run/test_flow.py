"""Inputs and outputs of every kind: which spaces may be composed with which tasks, and whole searches."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

import nasplug as nas
from nasplug.contract.errors import SpecError
from nasplug.contract.io import Inputs, OutputSpec, inputs_of
from nasplug.cost.counts import count
from nasplug.export.bundle import read_bundle, write_bundle
from nasplug.plugins.catalog import Catalog
from nasplug.plugins.component import instantiate
from nasplug.plugins.discovery import discover
from nasplug.run.assemble import compose
from nasplug.run.spec import RunSpec

KINDS = ("classes", "pixels", "voxels", "signal", "values", "tags", "masked", "pair")
CLASSIFIERS = {
    "timm": {"models": ["resnet10t"]},
    "qnas.conv": {"nodes": 2},
    "qnas.residual": {"nodes": 2},
    "emonas.macro": {"channels": 2},
    "emonas.micro": {"channels": 2},
    "cgap.resnet": {"widths": [2]},
    "cgap.blocks": {"depth": 1, "widths": [2]},
    "darts_lp.cell": {"channels": 2},
    "darts_lp.layers": {"width": 0.25},
    "nasbench101": {"channels": 8},
    "nasbench201": {"channels": 4},
}


@pytest.fixture
def project(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "support"))
    return importlib.import_module("flow_project")


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return discover().catalog


def composed(space, task, catalog):
    spec = RunSpec.parse({"space": space, "task": "mine", "strategy": "random", "budget": {"trials": 1}})
    return compose(spec, catalog, {"task": task})


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_image_classifiers_take_images_and_nothing_else(name, project, catalog):
    if not catalog.has("space", name):
        pytest.skip(f"{name} is not installed")
    pytest.importorskip("timm")
    space = {name: CLASSIFIERS[name]}
    assert composed(space, project.task("classes"), catalog)
    for kind in KINDS[1:]:
        with pytest.raises(SpecError) as caught:
            composed(space, project.task(kind), catalog)
        message = str(caught.value)
        wanted = {"pixels": "a map", "voxels": "a volume", "tags": "a sequence"}.get(kind, "expected one image")
        for part in (repr(name), "'mine'", wanted, "Do: "):
            assert part in message, message


@pytest.mark.parametrize("kind", ["pixels", "masked"])
def test_hyperparameters_beside_a_space_refuse_what_it_refuses(kind, project, catalog):
    inner = instantiate("space", nas.component("nasbench201"), catalog, where="space")
    space = nas.HyperparameterSpace(inner, {"lr": [0.1, 0.2]})
    spec = RunSpec.parse({"space": "both", "task": "mine", "strategy": "random", "budget": {"trials": 1}})
    with pytest.raises(SpecError, match="'both'"):
        compose(spec, catalog, {"space": space, "task": project.task(kind)})


def test_a_space_of_ones_own_is_believed(project, catalog):
    spec = RunSpec.parse({"space": "own", "task": "mine", "strategy": "random", "budget": {"trials": 1}})
    for kind in KINDS:
        assert compose(spec, catalog, {"space": project.Signals(), "task": project.task(kind)})


@pytest.mark.parametrize("kind", KINDS[1:])
def test_whole_searches(kind, project, tmp_path):
    task = project.task(kind)
    study = nas.search(
        task,
        space=project.SPACES[kind](),
        strategy="random",
        trials=2,
        epochs=2,
        costs=["params", "macs"],
        target="cpu:repeats=3",
        objectives={"val_loss": "min", "cpu/latency_s": "min"},
        executor="inline",
        progress=False,
    )
    for trial in study.trials:
        assert trial.state == "complete", trial.failure
        network = study.network(trial)
        counts = count(network, inputs_of(task))
        assert (trial.costs["params"], trial.costs["macs"]) == (counts.params, counts.macs)
        assert trial.costs["cpu/latency_s"] > 0
        args, kwargs = task.inputs.example(2)
        answer = network(*args, **kwargs)
        channels = 1 if task.output.kind in ("vector", "map", "volume") else 2
        assert answer.shape[channels] == 2
        assert answer.dim() == {"vector": 2, "map": 4, "volume": 5, "sequence": 3}[task.output.kind]


@pytest.mark.parametrize(
    ("kind", "width", "params", "macs"),
    [
        # 3x3 convolution on 8x8, 3x3 of stride 2, transposed 2x2, 1x1 over twice the width.
        ("pixels", 2, 20 + 38 + 18 + 10, 64 * 9 * 2 + 16 * 9 * 4 + 16 * 4 * 4 + 64 * 4 * 2),
        ("voxels", 2, 56 + 6, 96 * 27 * 2 + 96 * 4),
        ("signal", 2, 14 + 42, 10 * 2 * 3 * 2 + 40),
        ("values", 4, 100 + 10, 96 + 8),
        # An embedding multiplies nothing; an LSTM has four gates on input and state.
        ("tags", 4, 80 + 4 * 4 * (4 + 4 + 2) + 10, 10 * 4 * 4 * (4 + 4) + 10 * 8),
        # Four projections, scores and their use, two layers of twice the width.
        ("masked", 2, 40 + 24 + 22 + 8 + 6, 10 * 4 * 4 + 2 * 100 * 2 + 2 * 10 * 8 + 4),
        ("pair", 2, 130 + 50 + 6, 128 + 48 + 4),
    ],
)
def test_costs_by_hand(kind, width, params, macs, project):
    task = project.task(kind)
    network = project.SPACES[kind]().network(width, task)
    found = count(network, task.inputs)
    assert (found.params, found.macs) == (params, macs)


def test_a_cost_that_cannot_follow_fails_the_trial_and_names_the_plugin(project):
    wrong = nas.LightningTask(
        project.Lit,
        project.Batches("tags"),
        input_shape=(10,),
        outputs=2,
        output="sequence",
        objectives={"val_loss": "min"},
    )  # floats, where the network looks words up
    space = project.Own()
    space.network = lambda width, task: project._Tagger(20, width, task.outputs)
    study = nas.search(
        wrong,
        space=space,
        strategy="random",
        trials=1,
        epochs=1,
        costs=["macs"],
        executor="inline",
        rehearse=False,
        progress=False,
    )
    (trial,) = study.trials
    assert trial.state == "failed"
    assert "cannot run on an input of shape (10,), float32" in trial.failure.message
    assert "cost 'macs', count: " in trial.failure.message


@pytest.mark.parametrize("kind", ["tags", "masked", "pair", "pixels"])
def test_bundle_and_onnx_keep_inputs_and_output(kind, project, tmp_path):
    pytest.importorskip("onnxruntime")
    from nasplug.export.onnx import write_onnx

    task = project.task(kind)
    study = nas.search(
        task,
        space=project.SPACES[kind](),
        strategy="random",
        trials=1,
        epochs=1,
        executor="inline",
        progress=False,
    )
    assert write_onnx(study.network(study.trials[0]), task.inputs, tmp_path / "net.onnx") < 1e-3
    write_bundle(study, study.trials[0], study.network(study.trials[0]), tmp_path)
    data = json.loads((tmp_path / "architecture.json").read_text())
    assert Inputs.of(data["inputs"]) == task.inputs
    assert OutputSpec.of(data["output"]) == task.output
    args, kwargs = task.inputs.example(2)
    network = study.network(study.trials[0]).eval()
    assert (read_bundle(tmp_path, trust=True)(*args, **kwargs) - network(*args, **kwargs)).abs().max() < 1e-6


YAML = """
task:
  lightning:
    module: flow_project.Lit
    data: {class_path: flow_project.Batches, init_args: {kind: masked}}
    inputs: {tokens: {shape: [10], dtype: int64, high: 20}, mask: {shape: [10], dtype: bool}}
    outputs: 2
    output: vector
    module_args: {names: [tokens, mask]}
    objectives: {val_loss: min}
space: flow_project.Reader
build: [{fraction: {fraction: 0.5}}]
strategy: random
costs: [params, macs]
budget: {trials: 1, epochs: 1}
run: {executor: inline}
"""


def test_a_specification_states_inputs(project, tmp_path):
    path = tmp_path / "text.yaml"
    path.write_text(YAML.replace("space: flow_project.Reader", "space: {class_path: flow_project.Reader}"))
    study = nas.run_spec(nas.read_spec(path))
    (trial,) = study.trials
    assert trial.state == "complete", trial.failure
    assert trial.costs["macs"] > 0

from __future__ import annotations

import numpy as np
import pytest
import torch

import nasplug as nas
from nasplug.contract.errors import SpaceError, TrialError
from nasplug.spaces.timm import TimmSpace, create, find_models

pytest.importorskip("timm")

SMALL = ["resnet10t", "test_resnet", "test_vit"]


class FakeTask:
    input_shape, outputs, objectives = (1, 32, 32), 7, {"val_acc": "max"}


def test_wildcards_and_order():
    assert find_models(["resnet18", "mobilenetv3_small_*", "resnet18"])[:2] == ["resnet18", "mobilenetv3_small_050"]
    assert all("small" in name for name in find_models(["mobilenetv3_small_*"]))


@pytest.mark.parametrize(
    ("names", "says"),
    [(["resnet81"], "did you mean 'resnet"), (["resnetty*"], "no model 'resnetty"), ([], "no models are given")],
)
def test_unknown_models(names, says):
    with pytest.raises(SpaceError, match=says):
        TimmSpace(names)


def test_networks_take_the_tasks_images_and_give_its_classes():
    space = TimmSpace(["test_resnet", "resnet10t"], kwargs={"drop_rate": [0.0, 0.5]})
    for architecture in space:
        network = space.build(architecture, FakeTask).eval()
        assert network(torch.zeros(2, 1, 32, 32)).shape == (2, 7)
        assert network.drop_rate == architecture.genotype[1]


def test_arguments_of_other_models_make_no_difference():
    space = TimmSpace(
        SMALL, kwargs={"drop_rate": [0.0, 0.1], "test_v*": {"img_size": [32, 64], "drop_rate": [0.2, 0.3]}}
    )
    assert [choice.name for choice in space.choices] == ["model", "drop_rate", "test_v*.img_size", "test_v*.drop_rate"]
    assert space.size() == 3 * 2 * 2 * 2
    resnets = {a.key for a in space if a.genotype[0] == "resnet10t"}
    vits = {a.key for a in space if a.genotype[0] == "test_vit"}
    assert len(resnets) == 2
    assert len(vits) == 4  # its own drop_rate goes before that of all models
    vit = space.architecture(["test_vit", 0.1, 32, 0.3])
    assert space.arguments(vit) == {"drop_rate": 0.3, "img_size": 32}
    assert space.build(vit, FakeTask).eval()(torch.zeros(1, 1, 32, 32)).shape == (1, 7)


def test_capabilities_and_round_trip():
    space = TimmSpace(SMALL, kwargs={"drop_rate": [0.0, 0.1, 0.2]})
    assert isinstance(space, (nas.Mutates, nas.Crosses, nas.Enumerates, nas.HasVector))
    rng = np.random.default_rng(0)
    for _ in range(50):
        architecture = space.sample(rng)
        space.validate(nas.Architecture.from_json(architecture.to_json()))
        assert space.from_vector(space.vector(architecture)) == architecture
        assert space.mutate(architecture, rng) != architecture


def test_labels_are_names_of_models():
    space = TimmSpace(["test_resnet", "test_vit"], kwargs={"test_resnet": {"drop_rate": [0.25]}})
    assert [space.label(architecture) for architecture in space] == ["test_resnet drop_rate=0.25", "test_vit"]


@pytest.mark.parametrize(
    ("kwargs", "says"),
    [
        ({"num_classes": [3]}, "decided by the task"),
        ({"drop_rate": 0.1}, "write a list"),
        ({"drop_rate": [[0.1]]}, "numbers, texts"),
        ({"vgg*": {"drop_rate": [0.1]}}, "belong to no model"),
    ],
)
def test_bad_arguments(kwargs, says):
    with pytest.raises(SpaceError, match=says):
        TimmSpace(["resnet18"], kwargs=kwargs)


def test_bare_networks():
    network = create("test_resnet", (3, 64, 64), 5)
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 5)
    with pytest.raises(SpaceError, match="did you mean"):
        create("resnett18", (3, 64, 64), 5)
    with pytest.raises(TrialError, match="timm cannot build 'test_resnet' with"):
        create("test_resnet", (3, 64, 64), 5, no_such_argument=1)


def test_a_search_over_timm_models_with_failures_that_say_why():
    """On 8 x 8 digits a residual network trains, and a transformer for larger images fails as a trial."""
    study = nas.search(
        nas.ImageClassification(limit=128, batch_size=32),
        space=nas.component("timm", models=["test_resnet", "test_vit"], kwargs={"no_such": [1], "test_r*": {}}),
        enqueue=[["test_vit", 1]],
        trials=1,
        progress=False,
    )
    assert study.trials[0].failure.kind == "build"
    assert "no_such" in study.trials[0].failure.message
    study = nas.search(
        nas.ImageClassification(limit=128, batch_size=32),
        space=nas.component("timm", models=["test_resnet", "test_vit"]),
        enqueue=[["test_resnet"], ["test_vit"]],
        trials=2,
        progress=False,
    )
    good, bad = study.trials
    assert good.state == "complete"
    assert bad.state == "failed"
    assert "Input height (8)" in bad.failure.message
    assert study.network(good)(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


def test_models_of_fixed_size_are_built_for_the_images():
    assert create("test_vit", (3, 64, 64), 5)(torch.zeros(2, 3, 64, 64)).shape == (2, 5)
    assert create("test_vit", (3, 160, 160), 5).built_by_timm == ("test_vit", {"num_classes": 5, "in_chans": 3})

"""Widths and bits in one search: the space around the network, the quantiser as a plugin with searched arguments."""

from __future__ import annotations

import pytest
import torch
from nasplug_reduction.space import ReductionSpace

import nasplug as nas
from nasplug.spaces.hyperparameters import HyperparameterSpace, part_of

pytest.importorskip("nasplug_darts_lp")


def test_widths_bits_and_energy(project):
    component = nas.component("reduction", model="own_project:Lit", weights=str(project / "w.ckpt"), inputs=[3, 8, 8])
    task = nas.component("reduction", model="own_project:Lit", weights=str(project / "w.ckpt"), data="own_project.Data")
    study = nas.search(
        task,
        space=component,
        hyperparameters={"darts_lp.quantise/weight_bits": [2, 4, 8]},
        build=["darts_lp.quantise"],
        target="npu:wu32",
        objectives={"val_acc": "max", "npu/energy_j": "min"},
        trials=3,
        epochs=0,
        seed=2,
        progress=False,
    )

    assert [trial.state for trial in study.trials] == ["complete"] * 3
    for trial in study.trials:
        from nasplug_darts_lp.layers.quantise import quantised_layers

        layers = list(quantised_layers(study.build(trial)).values())
        assert {layer.weight_bits for layer in layers[1:-1]} == {trial.hyperparameters["darts_lp.quantise/weight_bits"]}
    assert len({trial.values["npu/energy_j"] for trial in study.trials}) == 3


def test_a_space_finds_its_part_of_an_architecture(project):
    space = ReductionSpace("own_project:Lit", str(project / "w.ckpt"), (3, 8, 8))
    whole = HyperparameterSpace(space, {"lr": {"choices": [0.1, 0.2]}})
    pair = whole.architecture([list(space.smallest.genotype), {"lr": 0.1}])

    assert part_of(space, whole, pair) == space.smallest
    assert part_of(space, space, space.full) == space.full
    assert part_of(object(), whole, pair) is None


def test_statistics_are_measured_anew_with_hyperparameters_around(project):
    component = nas.component("reduction", model="own_project:Lit", weights=str(project / "w.ckpt"), inputs=[3, 8, 8])
    task = nas.component("reduction", model="own_project:Lit", weights=str(project / "w.ckpt"), data="own_project.Data")
    common = {"trials": 1, "epochs": 0, "seed": 5, "progress": False}
    around = nas.search(task, space=component, hyperparameters={"lr": {"choices": [0.01, 0.02]}}, **common)
    genotype = around.trials[0].architecture.genotype[0]
    alone = nas.search(task, space=component, enqueue=[list(genotype)], **common)

    assert around.trials[0].metrics["val_acc"] == alone.trials[0].metrics["val_acc"]
    ours, theirs = (study.network(study.trials[0]).state_dict() for study in (around, alone))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)

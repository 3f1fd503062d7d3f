"""A search gives what it gave before its settings came in groups: derived networks, losses and logits of small ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

import nasplug as nas

#: Computed with commit 296d88c, which had flat arguments: see `was` for the same specification in its form.
GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())
BITS = {"weight_bits": [1, 4], "activation_bits": [2, 8]}
LAYERS = nas.component("darts_lp.layers", width=0.125, blocks=1, **BITS)
CELLS = nas.component("darts_lp.cell", channels=4, layers=3, nodes=2, **BITS)
CASES = {
    # was: power_weight=0.5, power_loss="hinge", power_target=0.3, logits_lr=0.1
    "layers": (LAYERS, {"cost": {"weight": 0.5, "loss": "hinge", "target": 0.3}, "logits": {"lr": 0.1}}),
    # was: mixing="gumbel_hard", optimisation="joint", optimizer="adam", lr=0.01, shared=False, scaling="importance",
    #      logits_lr=0.1, logits_schedule="constant"
    "layers_separate": (
        LAYERS,
        {
            "mixing": {"kind": "gumbel_hard"},
            "training": {"optimisation": "joint", "optimizer": "adam", "lr": 0.01},
            "supernet": {"shared": False, "scaling": "importance"},
            "logits": {"lr": 0.1, "schedule": "constant"},
        },
    ),
    # was: mixing="softmax", temperature=[2.0, 0.5], annealing="exponential", order=2, partial=2, power_weight=0.2,
    #      logits_lr=0.1
    "cells": (
        CELLS,
        {
            "mixing": {"kind": "softmax", "temperature": [2.0, 0.5], "annealing": "exponential"},
            "training": {"order": 2},
            "supernet": {"partial": 2},
            "cost": {"weight": 0.2},
            "logits": {"lr": 0.1},
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_same_specification_gives_the_same_search(name, tmp_path):
    space, groups = CASES[name]
    # was: warmup=0.0
    groups = groups | {"logits": groups["logits"] | {"warmup": 0.0}}
    study = nas.search(
        nas.component("image_classification", limit=60, batch_size=16),
        space=space,
        strategy=nas.component("darts_lp.search", rounds=2, epochs=1, derive=2, **groups),
        storage=tmp_path / "study.sqlite",
        objectives={"val_acc": "max"},
        epochs=0,
        trials=4,
        batch=2,
        progress=False,
        seed=3,
    )
    golden = GOLDEN[name]
    facts = [trial.proposal.info for trial in study.trials]
    losses, known = [info["losses"][0] for info in facts], [losses[0] for losses in golden["losses"]]
    (path,) = tmp_path.glob("**/jobs/*/round-001.safetensors")
    logits = {
        key.removeprefix("supernet.logits."): value.tolist()
        for key, value in load_file(path).items()
        if key.startswith("supernet.logits.")
    }
    assert losses == pytest.approx(known, abs=5e-3)
    assert logits.keys() == golden["logits"].keys()
    if losses != known:  # another kind of processor, which rounds sums otherwise and may sample other options
        return
    assert [list(trial.architecture.genotype) for trial in study.trials] == golden["genotypes"]
    for key in ("probability", "cost"):
        assert [info[key] for info in facts] == pytest.approx(golden[key], abs=1e-4)
    for key, values in golden["logits"].items():
        assert logits[key] == pytest.approx(values, abs=1e-4), key

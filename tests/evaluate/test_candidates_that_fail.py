"""Networks that cannot be built, do not fit their data or diverge: one failed trial each, through real trainings."""

from __future__ import annotations

import torch

import nasplug as nas


class Scale(torch.nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


class Troubled(nas.ChoiceSpace):
    """One choice, which decides what is wrong with the network."""

    def __init__(self) -> None:
        super().__init__("troubled", [nas.Choice("trouble", ("none", "build", "shape", "nan", "memory"))])

    def build(self, architecture, task):
        (trouble,) = architecture.genotype
        if trouble == "build":
            raise RuntimeError("this layer cannot have 0 filters")
        if trouble == "memory":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 32.00 GiB")
        pixels = 65 if trouble == "shape" else 64
        factor = float("nan") if trouble == "nan" else 1.0
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(pixels, task.outputs), Scale(factor))


def test_each_costs_one_trial_with_its_reason():
    genotypes = [[trouble] for trouble in ("build", "shape", "none", "nan", "memory")]
    study = nas.search(
        nas.component("image_classification", limit=200),
        space=Troubled(),
        enqueue=genotypes,
        trials=len(genotypes),
        epochs=1,
        progress=False,
    )
    found = {trial.architecture.genotype[0]: trial for trial in study.trials}
    assert {name: trial.failure.kind for name, trial in found.items() if trial.failure} == {
        "build": "error",
        "shape": "shape",
        "nan": "nan",
        "memory": "oom",
    }
    assert "this layer cannot have 0 filters" in found["build"].failure.message
    assert "mat1 and mat2 shapes cannot be multiplied" in found["shape"].failure.message
    assert "not finite" in found["nan"].failure.message
    assert "Traceback" in found["build"].failure.traceback
    assert study.best is found["none"]


def test_a_broken_network_is_failed_while_it_is_priced():
    study = nas.search(
        nas.component("image_classification", limit=200),
        space=Troubled(),
        enqueue=[["build"], ["shape"], ["none"]],
        costs=["params"],
        constraints=["macs <= 1e6"],
        trials=3,
        epochs=1,
        progress=False,
    )
    assert [trial.state for trial in study.trials] == ["failed", "failed", "complete"]
    assert study.best.costs == {"params": 650.0, "macs": 640.0}

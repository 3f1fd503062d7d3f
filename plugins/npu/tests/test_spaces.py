"""Hardware as a space: every strategy searches it, alone and together with networks."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from nasplug_npu import NPU, area, preset
from nasplug_npu.evaluator import UnitEvaluator
from nasplug_npu.networks import NETWORKS
from nasplug_npu.spaces import UnitSpace, WithUnitSpace, searched_unit
from nasplug_npu.target import NPUCost, NPUHardware

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import SpaceError, SpecError, TrialError
from nasplug.cost.candidate import Candidate
from nasplug.spaces.mlp import Mlp
from nasplug.testing import EvaluatorConformance, Shapes, SpaceConformance

AXES = {"macs": [16, 32, 64], "weight_kb": [8, 16], "sparsity": ["none", "weight_skip"]}


class TestUnits(SpaceConformance):
    input_shapes = ()

    def make_space(self):
        return UnitSpace("wu32", AXES)


class TestRanges(SpaceConformance):
    input_shapes = ()

    def make_space(self):
        return UnitSpace(
            "wu32_dense", {"freq_hz": {"low": 1e8, "high": 4e8}, "window": {"low": 1, "high": 8, "step": 1}}
        )


def test_a_point_is_a_unit_with_its_fields():
    space = UnitSpace("wu32,unsupported=zero", AXES)
    unit = space.unit(space.architecture({"macs": 64, "weight_kb": 8, "sparsity": "none"}))
    wanted = preset("wu32").replace(macs=64, weight_kb=8, sparsity="none")
    assert unit.config.replace(name="wu32") == wanted
    assert unit.unsupported == "zero"
    assert space.size() == 12
    with pytest.raises(SpaceError, match="not a network"):
        space.build(space.sample(np.random.default_rng(0)), Shapes())


def test_near_numbers_share_nodes_of_the_graph():
    space = UnitSpace("wu32", AXES)
    graphs = [space.graph(space.architecture([macs, 8, "none"])) for macs in (16, 32, 64)]
    shared = [len(set(graphs[0].labels) & set(graph.labels)) for graph in graphs]
    assert graphs[1].labels == ("input", "macs>=16", "macs>=32", "weight_kb>=8", "sparsity=none", "output")
    assert len(graphs[2].labels) - shared[2] > len(graphs[1].labels) - shared[1] > 0


@pytest.mark.parametrize(
    ("base", "axes", "said"),
    [
        ("cortex_m7", AXES, "no parts"),
        ("wu32", {"mac": [1]}, "did you mean 'macs'"),
        ("wu32", {"name": ["a", "b"]}, "no field 'name'"),
        ("wu33", AXES, "did you mean 'wu32'"),
    ],
)
def test_what_cannot_be_varied(base, axes, said):
    with pytest.raises(SpecError, match=said):
        UnitSpace(base, axes)


class TestEvaluator(EvaluatorConformance):
    def make_evaluator(self):
        return UnitEvaluator(["resnet8", "ds_cnn"], changes={"weight_density": 0.6})

    def make_space(self):
        return UnitSpace("wu32", AXES)

    def make_task(self):
        return Shapes()


@pytest.mark.parametrize("combine", ["sum", "worst"])
def test_metrics_are_what_the_model_says(combine):
    names = ["resnet8", "ds_cnn"]
    evaluator = UnitEvaluator(names, combine=combine, changes={"weight_density": 0.6})
    study = nas.search(space=UnitSpace("wu32", AXES), evaluator=evaluator, trials=5, seed=1)
    for trial in study.trials:
        unit = UnitSpace("wu32", AXES).unit(trial.architecture)
        each = [unit.totals(NETWORKS[name]().replace(weight_density=0.6)) for name in names]
        added = sum if combine == "sum" else max
        assert trial.metrics["latency_s"] == pytest.approx(added(costs["latency_s"] for costs in each))
        assert trial.metrics["energy_j"] == pytest.approx(added(costs["energy_j"] for costs in each))
        assert trial.metrics["area_mm2"] == pytest.approx(area(unit.config).total_mm2)
    assert [objective.name for objective in study.objectives] == ["latency_s"]  # the first, unless several are named


def test_parts_that_make_no_unit_are_failed_trials():
    space = UnitSpace("wu32", {"macs": [16, 24]})
    study = nas.search(space=space, evaluator=UnitEvaluator("ds_cnn"), strategy="random", trials=4, seed=0)
    for trial in study.trials:
        assert (trial.state == "failed") == (trial.architecture.genotype == (24,))
        assert trial.failure is None or "power of two" in trial.failure.message
    assert {trial.state for trial in study.trials} == {"complete", "failed"}


@pytest.mark.parametrize("strategy", ["random", "local_search", "regularized_evolution"])
def test_strategies_search_units(strategy):
    study = nas.search(
        space=UnitSpace("wu32", AXES),
        evaluator=UnitEvaluator("ds_cnn"),
        strategy=strategy,
        objectives={"latency_s": "min"},
        constraints=["area_mm2 <= 0.4"],
        trials=8,
    )
    assert study.best.metrics["area_mm2"] <= 0.4


@pytest.mark.parametrize(("strategy", "package"), [("emonas", "emonas"), ("bogk", "bogk"), ("optuna", "optuna")])
def test_strategies_of_other_packages_search_units(strategy, package):
    pytest.importorskip(f"nasplug_{package}")
    one = {"objectives": {"energy_j": "min"}} if strategy == "bogk" else {}
    study = nas.search(
        space=UnitSpace("wu32", AXES), evaluator=UnitEvaluator("ds_cnn"), strategy=strategy, trials=12, **one
    )
    assert sum(trial.state == "complete" for trial in study.trials) == 12


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"networks": []}, "no network"),
        ({"networks": "resnet9"}, "did you mean 'resnet8'"),
        ({"networks": "study.sqlite#1"}, "store its workload"),
        ({"networks": "ds_cnn", "combine": "mean"}, "cannot combine"),
        ({"networks": "ds_cnn", "changes": {"weights": 1}}, "cannot change 'weights'"),
    ],
)
def test_mistakes_of_the_evaluator(arguments, said):
    with pytest.raises(nas.errors.NasplugError, match=said):
        UnitEvaluator(**arguments)


def test_other_spaces_have_no_units():
    with pytest.raises(SpecError, match="has no units"):
        nas.search(space=Mlp(), evaluator=UnitEvaluator("ds_cnn"), task=Shapes(), trials=1)


# -- networks and units together -------------------------------------------------------------------------------------


def test_network_and_unit_in_one_specification(tmp_path, capsys):
    pytest.importorskip("nasplug_qnas")
    file, storage = tmp_path / "joint.yaml", tmp_path / "study.sqlite"
    spec = {
        "task": {"image_classification": {"data": "digits"}},
        "space": {
            "npu.with_unit": {"space": {"qnas.conv": {"nodes": 4, "width": 0.125}}, "base": "wu32", "axes": AXES}
        },
        "strategy": "random",
        "costs": ["npu"],
        "objectives": {"val_acc": "max", "npu/latency_s": "min", "npu/area_mm2": "min"},
        "budget": {"trials": 4, "epochs": 1},
        "run": {"storage": str(storage), "executor": "inline"},
    }
    file.write_text(yaml.safe_dump(spec))
    assert main(["run", str(file)]) == 0, capsys.readouterr().err
    study = nas.load_study(storage)
    units = set()
    for trial in study.trials:
        genotype, fields = trial.architecture.genotype
        names = [choice.name for choice in study.space.units.choices]
        config = preset("wu32").replace(**dict(zip(names, fields, strict=True)))
        units.add(fields)
        workload = study.space.inner.workload(study.space.inner.architecture(genotype), study.task)
        wanted = NPU(config).totals(workload)
        assert trial.costs["npu/latency_s"] == pytest.approx(wanted["latency_s"])
        assert trial.costs["npu/area_mm2"] == pytest.approx(area(config).total_mm2)
        assert trial.proposal.hyperparameters == {}
    assert len(units) > 1


def test_the_unit_of_the_space_is_asked_before_any_target():
    space = WithUnitSpace(Mlp(), "wu32", AXES)
    architecture = space.sample(np.random.default_rng(0))
    candidate = Candidate(
        lambda: space.build(architecture, Shapes()),
        Shapes().input_shape,
        architecture=architecture,
        space=space,
        task=Shapes(),
    )
    unit = searched_unit(candidate)
    assert unit is not None
    wanted = unit.totals(candidate.workload)["latency_s"]
    target = NPUHardware().hardware_target("npu:ethos_u55_32")
    assert target.estimate(candidate)["latency_s"] == wanted
    assert NPUCost().cost(candidate, None)["npu/latency_s"] == wanted
    assert NPUCost("ethos_u55_32").cost(candidate, target)["npu/latency_s"] == wanted
    beside = nas.HyperparameterSpace(space, {"lr": {"low": 0.01, "high": 0.1}})
    outer = beside.sample(np.random.default_rng(1))
    again = Candidate(lambda: None, Shapes().input_shape, architecture=outer, space=beside, task=Shapes())
    assert searched_unit(again).config == space.unit(beside.inner_architecture(outer)).config
    assert searched_unit(Candidate(lambda: None, Shapes().input_shape)) is None


def test_fields_that_make_no_unit_fail_the_trial_by_name():
    space = WithUnitSpace(Mlp(), "wu32", {"macs": [24, 48]})
    with pytest.raises(TrialError, match="power of two"):
        space.unit(space.sample(np.random.default_rng(0)))

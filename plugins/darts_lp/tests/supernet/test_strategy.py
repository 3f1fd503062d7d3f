"""Tests of `nasplug_darts_lp.supernet.strategy`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.supernet.strategy import DifferentiableSearch
from pytorch_lightning import LightningDataModule, LightningModule
from torch.utils.data import DataLoader, TensorDataset

import nasplug as nas
from nasplug.cli.app import main
from nasplug.contract.errors import SpecError
from nasplug.testing import outcome

TASK = nas.component("image_classification", limit=80, batch_size=16)
SPACE = nas.component(
    "darts_lp.layers", width=0.125, blocks=1, weight_bits=[1, 4], activation_bits=[2, 8], first_last_bits=None
)


STRATEGY = {"rounds": 2, "epochs": 1, "derive": 2, "logits": {"warmup": 0.0}}


def search(storage=None, strategy=None, task=TASK, space=SPACE, **more):
    options = {"objectives": {"val_acc": "max"}, "epochs": 1, "batch": 2, "progress": False, "trials": 20} | more
    strategy = nas.component("darts_lp.search", **{**STRATEGY, **(strategy or {})})
    return nas.search(task, space=space, strategy=strategy, storage=storage, **options)


def test_a_search_on_digits_tells_where_its_networks_come_from():
    study = search()
    assert [trial.state for trial in study.trials] == ["complete"] * 4  # it ends after the last round
    facts = [trial.proposal.info for trial in study.trials]
    assert [(info["round"], info["rank"]) for info in facts] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert facts[0]["probability"] >= facts[1]["probability"] > 0
    assert all(0 < info["cost"] < 20 for info in facts)
    assert sum(facts[0]["probabilities"]["block00_weight_bits"]) == pytest.approx(1.0, abs=1e-3)
    assert len({trial.architecture.key for trial in study.trials}) == 4


@pytest.mark.parametrize(
    "strategy",
    [
        {"mixing": {"kind": "softmax"}, "training": {"order": 2}},
        {
            "mixing": {"kind": "gumbel_hard"},
            "training": {"optimisation": "joint"},
            "supernet": {"shared": False, "scaling": "importance"},
        },
        {
            "supernet": {"activations": "fixed"},
            "cost": {"model": {"w1a2": 0.1, "w1a8": 0.3, "w4a2": 0.2, "w4a8": 0.6, "w8a8": 1.0, "w32a32": 9.0}},
        },
    ],
)
def test_every_kind_of_search_runs(strategy):
    assert [trial.state for trial in search(strategy={"rounds": 1, "derive": 1} | strategy).trials] == ["complete"]


def test_networks_can_be_derived_within_a_budget():
    free = search(strategy={"rounds": 1, "derive": 3})
    limit = sorted(trial.proposal.info["cost"] for trial in free.trials)[0]
    kept = search(strategy={"rounds": 1, "derive": 3, "cost": {"range": [0.0, limit]}})
    assert all(trial.proposal.info["cost"] <= limit for trial in kept.trials)
    assert len(kept.trials) == 3
    assert len(search(strategy={"rounds": 1, "derive": 3, "cost": {"range": [0.0, 0.0]}}).trials) == 0


@pytest.mark.parametrize("partial", [1, 2])
def test_cells_in_floating_point(partial):
    """DARTS and PC-DARTS for those who want nothing else."""
    space = nas.component("darts_lp.cell", channels=4, layers=3, nodes=2)
    study = search(space=space, strategy={"supernet": {"partial": partial}, "rounds": 1})
    assert [trial.state for trial in study.trials] == ["complete"] * 2


def test_costs_from_a_target():
    study = search(
        strategy={"cost": {"model": "target:latency_s", "weight": 0.1}, "rounds": 1, "derive": 1},
        target="cpu",
        costs=["params"],
        space=nas.component(
            "darts_lp.layers", width=0.125, blocks=1, weight_bits=[1], activation_bits=[2], first_last_bits=None
        ),
    )
    assert study.trials[0].proposal.info["cost"] > 0


class Regression(LightningModule):
    """A module of a user: another loss, and logging in every step."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def training_step(self, batch, index):
        loss = (self.network(batch[0]) - batch[1]).square().mean()
        self.log("train_loss", loss)
        self.log_dict({"share": self.current_epoch / self.trainer.max_epochs})
        return {"loss": loss}

    def validation_step(self, batch, index):
        self.log("val_loss", (self.network(batch[0]) - batch[1]).square().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-3)


class Numbers(LightningDataModule):
    """Data sets of torch, which are only there after `setup`."""

    def setup(self, stage):
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(40, 3, 8, 8, generator=generator)
        self.data = TensorDataset(images, images.mean(dim=(2, 3))[:, :2])

    def train_dataloader(self):
        return DataLoader(self.data, batch_size=10, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.data, batch_size=10)


def test_a_task_of_ones_own():
    task = nas.LightningTask(Regression, Numbers(), (3, 8, 8), 2, {"val_loss": "min"})
    study = search(task=task, objectives={"val_loss": "min"}, strategy={"rounds": 1, "derive": 1})
    assert [trial.state for trial in study.trials] == ["complete"]
    assert study.trials[0].proposal.info["losses"][0] > 0


def test_a_supernet_that_diverges_is_a_failed_trial_and_the_next_round_starts_afresh(monkeypatch):
    from nasplug_darts_lp.supernet import module

    original, calls = module.SupernetModule.loss, []

    def loss(self, batch, index):
        calls.append(self.done)
        value = original(self, batch, index)
        if len(calls) == 3:
            value = value * float("nan")
            raise module.TrialError("nan", f"the loss of the supernet is {float(value.detach())}")
        return value

    monkeypatch.setattr(module.SupernetModule, "loss", loss)
    study = search(strategy={"rounds": 2, "derive": 1})
    first, second = study.trials
    assert first.state == "failed"
    assert first.failure.kind == "nan"
    assert "the supernet of round 0 diverged" in first.failure.message
    assert "loss of the supernet is nan" in first.failure.message
    assert second.state == "complete"
    assert "diverged" not in second.proposal.info


def test_a_search_whose_supernets_all_diverge_ends():
    study = search(strategy={"training": {"lr": 1e12, "gradient_clip": 1e30, "optimisation": "joint"}, "derive": 2})
    assert [trial.state for trial in study.trials] == ["failed"] * 2
    assert all("not finite" in t.failure.message or "loss" in t.failure.message for t in study.trials)


def test_a_space_without_a_supernet_is_refused():
    with pytest.raises(SpecError, match="HasSupernet"):
        search(space=nas.component("nasbench201"))


def test_a_run_without_a_task_is_refused():
    from nasplug_darts_lp.spaces.layers.space import LayersSpace

    from nasplug.testing import run_search

    with pytest.raises(SpecError, match="trained on a task"):
        run_search(DifferentiableSearch(rounds=1), space=LayersSpace(width=0.125, blocks=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rounds": 0}, "rounds must be >= 1, got 0"),
        ({"mixing": {"kind": "gumbl"}}, "takes one of .*'gumbel'.* was given 'gumbl'"),
        ({"supernet": {"scaling": "normalize"}}, "takes one of .*'normalise'.* was given 'normalize'"),
        ({"training": {"lr": -1.0}}, "lr must be > 0"),
        ({"cost": {"model": "bts"}}, "did you mean 'bits'"),
        ({"cost": {"model": "target"}}, "set target"),
        ({"supernet": {"partial": 3}}, "divi"),
    ],
)
def test_bad_arguments(arguments, message):
    space = nas.component("darts_lp.cell", channels=4, layers=3) if "supernet" in arguments else SPACE
    with pytest.raises(SpecError, match=message):
        search(strategy=arguments, space=space)


@pytest.mark.parametrize(
    ("old", "group"),
    [
        ({"lr": 0.1}, "training: {lr: ...} or logits: {lr: ...}"),
        ({"optimisation": "joint"}, "training: {optimisation: ...}"),
        ({"logits_lr": 0.1}, "logits: {lr: ...}"),
        ({"logits_fraction": 0.4}, "logits: {fraction: ...}"),
        ({"warmup": 0.0}, "logits: {warmup: ...}"),
        ({"shared": False}, "supernet: {shared: ...}"),
        ({"partial": 2}, "supernet: {partial: ...}"),
        ({"temperature": [2.0, 1.0]}, "mixing: {temperature: ...}"),
        ({"power": "bits"}, "cost: {model: ...}"),
        ({"power_weight": 0.1}, "cost: {weight: ...}"),
        ({"power_range": [0.0, 1.0]}, "cost: {range: ...}"),
        ({"mixing": "softmax"}, "write mixing: {kind: ...}"),
    ],
)
def test_an_argument_of_before_names_its_group(old, group):
    with pytest.raises(SpecError) as caught:
        search(strategy=old)
    assert group in str(caught.value)


def test_settings_come_in_groups():
    study = search(strategy={"training": {"lr": 0.5}, "rounds": 1, "derive": 1})
    assert [trial.state for trial in study.trials] == ["complete"]
    with pytest.raises(SpecError, match="unknown setting 'lrr' in 'training'"):
        search(strategy={"training": {"lrr": 0.5}})


def test_the_command_line(tmp_path, capsys):
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        f"""
task: {{image_classification: {{limit: 80, batch_size: 16}}}}
space: {{darts_lp.layers: {{width: 0.125, blocks: 1, weight_bits: [1, 4], activation_bits: [2, 8]}}}}
strategy: {{darts_lp.search: {{rounds: 1, epochs: 1, derive: 2, mixing: {{temperature: [2.0, 0.5]}}}}}}
objectives: {{val_acc: max}}
budget: {{trials: 2, epochs: 1}}
run: {{storage: {tmp_path / "study.sqlite"}}}
"""
    )
    assert main(["run", str(spec)]) == 0
    study = nas.load_study(tmp_path / "study.sqlite")
    assert [trial.state for trial in study.trials] == ["complete"] * 2
    capsys.readouterr()
    assert main(["list", "strategy", "darts_lp.search"]) == 0
    assert "HasSupernet" in capsys.readouterr().out


@pytest.mark.slow
def test_worker_processes_give_the_same_trials():
    assert outcome(search(workers=2)) == outcome(search())


def test_the_small_problem_of_the_suite_has_binary_weights_and_both_kernels():
    from nasplug_darts_lp.supernet.strategy import _small_space

    options = {choice.name.partition("_")[2]: choice.options for choice in _small_space().choices}
    assert options["weight_bits"] == (1, 4)
    assert options["activation_bits"] == (2, 8)
    assert options["kernel"] == (1, 3)

"""Whole studies: trials, resuming, what is refused before anything trains, the report, the command."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import pytest
import pytorch_lightning as pl
import torch
from nasplug_ablation import AblationStudy
from nasplug_ablation.planted import Planted, PlantedData
from torch import nn

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import NasplugError, SpecError

ENTRIES = [{"module": "net.needed"}, {"module": "useless"}, {"feature": "needed"}, {"feature": "useless"}]


def study(**options):
    options = {"seeds": 2, "epochs": 2, "components": ENTRIES, **options}
    return AblationStudy(Planted, PlantedData, **options)


@pytest.fixture(scope="module")
def report():
    return study(seeds=3, epochs=4).loss("penalty").run()


def test_the_planted_truth_is_found(report):
    verdicts = {effect.name: effect.verdict for effect in report.effects}
    assert verdicts == {
        "net.needed": "helps",
        "feature needed": "helps",
        "net.useless": "within noise",
        "feature useless": "within noise",
        "loss penalty": "within noise",
    }
    assert report.effect("net.needed").params == -(2 * 8 + 8 + 8 * 8 + 8)


def by_hand(seed, *, without=None, fill=None):
    torch.manual_seed(seed)
    module, data = Planted(), PlantedData()
    if without:

        class Zero(nn.Module):
            def forward(self, x):
                return torch.zeros(len(x), 8)

        setattr(module.net, without, Zero())
    if fill is not None:
        for part in (data.train_set, data.val_set):
            x, y = part.tensors
            part.tensors = (x.index_fill(1, torch.tensor([fill]), 0.0), y)
    trainer = pl.Trainer(
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        accelerator="cpu",
    )
    torch.manual_seed(seed)
    trainer.fit(module, datamodule=data)
    return float(trainer.callback_metrics["val_acc"])


def test_trials_are_what_a_script_by_hand_trains():
    found = study().run().results
    for seed in (0, 1):
        assert found.values(())[seed] == by_hand(seed)
        assert found.values(("net.needed",))[seed] == by_hand(seed, without="needed")
        assert found.values(("net.useless",))[seed] == by_hand(seed, without="useless")
        assert found.values(("feature useless",))[seed] == by_hand(seed, fill=1)


def test_names_of_trials_are_stable():
    first, again = study().plan(), study(components=ENTRIES[::-1]).plan()
    ids = {trial.without: trial.ids for trial in first.trials}
    assert {trial.without: trial.ids for trial in again.trials} == ids
    assert len({one for each in ids.values() for one in each}) == 10


def test_nothing_is_trained_before_everything_can_be_made(tmp_path):
    bad = study().module("net.head").module("net")
    with pytest.raises(SpecError, match=r"(?s)2 components cannot be taken away.*net\.head: .*; net: "):
        bad.run(storage=str(tmp_path / "a.sqlite"))
    assert not (tmp_path / "a.sqlite").exists()
    assert set(bad.plan().problems) == {"without net.head", "without net"}


def test_a_metric_that_nobody_logs_is_one_message():
    with pytest.raises(NasplugError, match=r"(?s)val_accuracy.*val_acc"):
        study(metric="val_accuracy").run()


def test_features_need_the_wrapper():
    spec, objects = study().specification()
    with pytest.raises(NasplugError, match="nobody takes 'feature needed' away"):
        nas.run_spec(spec.replace(build=(), budget=dataclasses.replace(spec.budget, trials=10)), objects=objects)


def test_a_study_goes_on_where_it_was_stopped(tmp_path):
    path = str(tmp_path / "a.sqlite")
    whole = study().run()

    class Stop(nas.Tracker):
        def observed(self, trial):
            if trial.number == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study().run(storage=path, trackers=[Stop()])
    seen = []

    class Watch(nas.Tracker):
        def submitted(self, trial):
            seen.append(trial.number)

    resumed = study().run(storage=path, trackers=[Watch()])
    assert min(seen) > 0
    assert len(seen) < 10
    assert resumed.json()["effects"] == whole.json()["effects"]


def test_more_workers_change_nothing(tmp_path, report):
    again = study(seeds=3, epochs=4).loss("penalty").run(workers=2, storage=str(tmp_path / "a.sqlite"))
    assert again.json() == report.json()


class Ema(pl.Callback):
    """Counts the trainings that it sees."""

    def on_train_end(self, trainer, pl_module):
        pl_module.net.head.bias.data += 100.0


def test_a_callback_leaves_alone(tmp_path):
    with_callback = AblationStudy(
        Planted, PlantedData, setup={"callbacks": {"ema": Ema()}}, seeds=1, components=[{"callback": "ema"}]
    )
    found = with_callback.run()
    assert found.effects[0].name == "callback ema"
    assert with_callback.plan().trials[1].kinds == ("callback",)


class Own(Planted):
    """A module with loaders of its own."""

    def __init__(self):
        super().__init__()
        self.data = PlantedData()

    def train_dataloader(self):
        return self.data.train_dataloader()

    def val_dataloader(self):
        return self.data.val_dataloader()


def test_features_leave_the_loaders_of_a_module_too():
    own = AblationStudy(
        Own, seeds=1, epochs=2, features={"names": ["needed", "useless"]}, components=[{"feature": "needed"}]
    )
    found = own.run().results
    assert found.values(())[0] > 0.9
    assert found.values(("feature needed",))[0] < 0.7


def test_hyperparameters_of_data_change_the_data():
    found = study(seeds=1, components=[{"hyperparameter": {"data.samples": 64}}]).run()
    assert found.effects[0].name == "data.samples=64"
    assert found.effects[0].values != found.base


def test_a_group_of_a_module_and_a_feature_goes_together():
    found = study(seeds=1, components=[{"group": ["net.useless", {"feature": "useless"}], "name": "junk"}]).run()
    assert found.effects[0].policies == {"net.useless": "zero"}


def test_a_failing_variant_has_its_reason_and_the_others_their_verdicts():
    found = study(seeds=1, components=[{"module": "net.useless"}]).custom(Breaking(), name="broken").run()
    failed = found.effect("broken")
    assert failed.verdict == "failed"
    assert "broken on purpose" in failed.problem
    assert found.effect("net.useless").paired is not None


class Breaking:
    """Makes the training fail, not the step that is looked at."""

    __name__ = "breaking"

    def __call__(self, module):
        module.net.head.register_forward_hook(lambda part, args, out: out * 2)

        def fail():
            raise RuntimeError("broken on purpose")

        module.configure_optimizers = fail


def test_the_report_has_all_forms(report, tmp_path):
    paths = report.write(*[tmp_path / f"a{ending}" for ending in (".md", ".csv", ".json", ".tex", ".png", ".svg")])
    assert all(path.stat().st_size > 200 for path in paths)
    rows = list(csv.DictReader(io.StringIO(report.csv())))
    assert [row["name"] for row in rows] == [effect.name for effect in report.effects]
    assert json.loads((tmp_path / "a.json").read_text())["base"] == {
        "0": report.base[0],
        "1": report.base[1],
        "2": report.base[2],
    }
    assert report.markdown().count("\n| ") == len(rows) + 2
    assert r"\bottomrule" in report.latex()
    with pytest.raises(SpecError, match="ending"):
        report.write(tmp_path / "a.doc")


def test_the_html_report_has_a_section(tmp_path):
    path = tmp_path / "a.sqlite"
    study(seeds=2).run(storage=str(path))
    page = nas.load_study(path, trust=True).report(tmp_path / "a.html").read_text()
    assert "Ablation" in page
    assert "net.needed" in page


SPEC = """
module: nasplug_ablation.planted:Planted
data: nasplug_ablation.planted:PlantedData
components:
  - module: net.needed
  - features: all
seeds: 2
epochs: 1
"""


def test_the_command_plans_trains_reports_and_resumes(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    assert main(["ablate", "a.yaml", "--plan", "--json"]) == 0
    assert [trial["without"] for trial in json.loads(capsys.readouterr().out)["trials"]] == [
        [],
        ["net.needed"],
        ["feature needed"],
        ["feature useless"],
    ]
    assert not (tmp_path / "runs").exists()
    assert main(["ablate", "a.yaml", "--out", "out/a.md"]) == 0
    assert "net.needed" in capsys.readouterr().out
    assert (tmp_path / "out" / "a.md").is_file()
    assert main(["ablate", "runs/a.sqlite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["effects"][0]["name"] == "net.needed"
    assert main(["ablate", "a.yaml", "--fresh"]) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("modul: x", "there is no key 'modul'"),
        ("study: x.sqlite", "there are both `module` and `study`"),
        ("strategy: greedy", "greedy"),
        ("features: {nams: [a]}", "features have no 'nams'"),
    ],
)
def test_mistakes_in_a_specification_are_one_message(tmp_path, monkeypatch, capsys, change, message):
    (tmp_path / "a.yaml").write_text(SPEC + change + "\n")
    monkeypatch.chdir(tmp_path)
    assert main(["ablate", "a.yaml", "--plan"]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_the_winner_of_a_search_is_ablated_in_one_line(tmp_path):
    path = tmp_path / "search.sqlite"
    nas.search(
        nas.ImageClassification(limit=120),
        space=nas.component("qnas.conv", nodes=3, width=0.1),
        trials=2,
        storage=str(path),
        progress=False,
    )
    own = AblationStudy.of(path, seeds=1)
    found = own.run()
    best = nas.load_study(path).best
    assert found.metric == "val_acc"
    assert len(found.effects) == len(own.components) >= 1
    assert own.plan().trials[0].params == sum(
        weight.numel() for weight in nas.load_study(path).network(best).parameters()
    )

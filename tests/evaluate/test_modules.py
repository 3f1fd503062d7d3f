"""Modules as people write them run unchanged, with the line that the page names, or are refused before they train."""

from __future__ import annotations

import re

import pytest
import torch

import nasplug as nas
from nasplug.contract.errors import TaskError
from tests.docs.pages import ROOT
from tests.support.modules.cases import REFUSED, RUNS

PAGE = ROOT / "docs" / "own_data.md"


def search(case, task, **more):
    direction = "min" if re.search("loss|mae|rmse|distance", case.objective) else "max"
    return nas.search(
        task,
        space=case.space,
        objectives={case.objective: direction},
        costs=["params", "macs"],
        progress=False,
        **{"trials": 2, "epochs": 2, **more},
    )


@pytest.mark.parametrize("case", RUNS, ids=lambda case: case.module)
def test_it_runs_and_trains_the_candidate(case, tmp_path):
    study = search(case, case.task(), storage=tmp_path / "s.sqlite")
    for trial in study.trials:
        assert trial.state == "complete", trial.failure
        assert case.objective in trial.metrics
        trained, fresh = study.network(trial).state_dict(), study.build(trial)
        assert sum(parameter.numel() for parameter in fresh.parameters()) == trial.costs["params"]
        assert not all(torch.equal(trained[name], value) for name, value in fresh.state_dict().items())
        assert trial.costs["macs"] > 0


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.module)
def test_it_is_refused_before_a_trial_and_says_what_to_do(case, tmp_path):
    with pytest.raises(TaskError, match=case.message) as caught:
        search(case, case.task(), storage=tmp_path / "s.sqlite")
    assert "\nDo: " in str(caught.value)
    path = tmp_path / "s.sqlite"
    assert not path.exists() or not list(nas.load_study(path).trials)


def test_the_page_names_the_lines_that_run():
    rows = re.findall(r"^\| [^|]+ \| `(\w+)` \| `LightningTask\((.*)\)` \|$", PAGE.read_text(encoding="utf-8"), re.M)
    assert rows == [(case.module, case.line) for case in RUNS]

"""`nasplug run`: a search from a file, resumed, refused, interrupted, without a result."""

from __future__ import annotations

from pathlib import Path

import pytest

TINY = Path(__file__).parent / "tiny_plugin.py"


def test_runs_and_tells_the_best(cli, spec, tmp_path):
    done = cli("run", spec())
    assert done.code == 0
    assert "12 trials (" in done.out
    assert "Best trial" in done.out
    assert "height" in done.out
    assert "nasplug trials runs/search.sqlite" in done.out
    assert "random in tiny: 12 trials of 2 epochs -> runs/search.sqlite" in done.err
    assert (tmp_path / "runs" / "search.sqlite").is_file()
    assert "\x1b" not in done.out + done.err


def test_the_baseline_stands_beside_the_trials(cli, spec):
    words = spec(baseline={"genotype": [5, 5]}, objectives={"height": "min"}, constraints=[], costs=["weight"])
    done = cli("run", words)
    assert done.err.count("the baseline x=5 y=5 is trained: height 20") == 1
    assert "Baseline x=5 y=5: height 20" in done.out
    best = cli("trials", "runs/search.sqlite", "--sort", "height", "--limit", "1", "--json").json
    height = best["trials"][0]["objectives"]["height"]
    assert f"The best against the baseline: height {height - 20:+.3g}" in done.out
    assert best["baseline"]["label"] == "x=5 y=5"
    assert best["trials"][0]["against_baseline"] == {
        "height": {"difference": height - 20, "interval": None, "seeds": 1}
    }
    for command in ("trials", "pareto"):
        lines = cli(command, "runs/search.sqlite").out.splitlines()
        assert lines[1].startswith("baseline  x=5 y=5")
        assert "against the baseline" in lines[0]
    again = cli("run", words)
    assert "is trained" not in again.err
    assert "Baseline x=5 y=5" in again.out


def test_result_as_json(cli, spec):
    done = cli("run", spec(), "--json")
    result = done.json
    assert list(result) == ["study", "trials", "complete", "pruned", "failed", "seconds", "best", "baseline"]
    assert result["trials"] == 12 == result["complete"] + result["pruned"] + result["failed"]
    assert result["best"]["state"] == "complete"
    assert result["best"]["metrics"]["odd"] is None  # NaN is not JSON


def test_a_second_run_goes_on_where_the_first_ended(cli, spec):
    path = spec()
    first = cli("run", path, "--set", "budget.trials=5", "--json").json
    second = cli("run", path, "--json")
    assert "resuming: 5 trials already done" in second.err
    assert second.err.count("  trial ") <= 7
    whole = cli("run", spec("whole.yaml"), "--json").json
    assert first["trials"] == 5
    assert second.json["best"] == {**whole["best"], "seconds": second.json["best"]["seconds"]}


def test_a_study_file_resumes_by_itself(cli, spec):
    cli("run", spec(), "--set", "budget.trials=5")
    done = cli("run", "--trust", "--resume", "runs/search.sqlite", "--set", "budget.trials=8", "--json")
    assert done.code == 0
    assert done.json["trials"] == 8
    assert cli("run", "runs/search.sqlite", "--trust", "--json").json["trials"] == 8


def test_fresh_refuses_to_resume_and_changes_nothing(cli, spec, tmp_path):
    cli("run", spec())
    before = cli("trials", "runs/search.sqlite", "--json").out
    done = cli("run", spec(), "--fresh")
    assert done.code == 3
    assert "already holds a study" in done.err
    assert cli("trials", "runs/search.sqlite", "--json").out == before


def test_resume_refuses_to_start(cli, spec):
    done = cli("run", spec(), "--resume")
    assert done.code == 3
    assert "nothing to resume" in done.err
    assert cli("run", "nowhere.sqlite").code == 3


def test_another_specification_is_refused(cli, spec):
    cli("run", spec())
    done = cli("run", spec(), "--set", "run.seed=4")
    assert done.code == 2
    assert "run.seed was 3 and is 4" in done.err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spaec": "tiny"}, "did you mean 'space'?"),
        ({"space": "tinny"}, "did you mean 'tiny'?"),
        ({"space": {"tiny": {"width": "wide"}}}, "wrong type"),
        ({"budget": {"trials": 0}}, "budget.trials: 0 is too small"),
        ({"objectives": {"hieght": "min"}}, "nothing answers 'hieght'"),
        ({"budget": {"epochs": 1}}, "no stopping criterion"),
    ],
)
def test_a_wrong_specification_is_one_message(cli, spec, tmp_path, changes, message):
    done = cli("run", spec(**changes))
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "runs" / "search.sqlite").exists()


def test_a_missing_file_and_a_wrong_override(cli, spec):
    assert "there is no file" in cli("run", "missing.yaml").err
    assert "cannot read the override" in cli("run", spec(), "--set", "workers").err


def test_no_result_is_exit_code_1(cli, spec):
    done = cli("run", spec(evaluator={"bowl": {"fail": True}}, budget={"trials": 2}))
    assert done.code == 1
    assert "No trial is complete and feasible" in done.out
    assert cli("run", spec(evaluator={"bowl": {"fail": True}}, budget={"trials": 2}), "--json").json["best"] is None


def test_an_interruption_tells_how_to_go_on(cli, spec, monkeypatch):
    monkeypatch.setenv("TINY_INTERRUPT", "4")
    done = cli("run", spec(), "--set", "run.batch=2")
    assert done.code == 130
    assert "every finished trial is in runs/search.sqlite" in done.err
    command = done.err.partition("Resume with: nasplug ")[2].split()
    monkeypatch.delenv("TINY_INTERRUPT")
    assert cli(*command, "--json").json["trials"] == 12


def test_suggestions_know_uv_run(cli, spec, monkeypatch):
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")  # after `cli` removed it
    assert "uv run nasplug trials runs/search.sqlite" in cli("run", spec()).out


def test_a_plugin_file_reaches_worker_processes_and_the_study(cli, spec):
    path = spec(plugins=[], run={"executor": "process", "workers": 2}, budget={"trials": 4})

    done = cli("--plugin", TINY, "run", path)
    assert done.code == 0, done.err
    assert cli("run", "runs/search.sqlite", "--plugin", TINY).code == 0

"""`nasplug trials`, `pareto` and `report`: looking at a study."""

from __future__ import annotations

import pytest

from nasplug.ledger.copying import copy_study
from nasplug.ledger.sqlite import SQLiteStorage

KEYS = [
    "number", "state", "architecture", "label", "hyperparameters", "epochs", "epochs_trained", "objectives", "metrics",
    "costs", "feasible", "against_baseline", "seconds", "seed", "parent", "copied_from", "reason", "failure",
    "artifacts", "info",
]  # fmt: skip


def test_the_table_has_values_or_reasons(cli, study):
    done = cli("trials", study)
    lines = done.out.splitlines()
    assert lines[0].split() == ["trial", "architecture", "state", "height", "weight", "epochs", "seconds", "note"]
    assert len(lines) == 37
    assert any("error: ValueError: no bowl here" in line for line in lines)
    assert any("pruned" in line and "constraint: weight <= 8" in line for line in lines)


def test_labels_name_the_architectures(cli, study):
    for command in ("trials", "pareto"):
        lines = [line for line in cli(command, study).out.splitlines() if "complete" in line]
        assert lines
        assert all("  x=" in line and " y=" in line for line in lines)
    named = cli("trials", study, "--limit", "1", "--json").json["trials"][0]
    x, y = named["architecture"]["genotype"]
    assert named["label"] == f"x={x} y={y}"


def unlabelled(study, target):
    """A study as it was written before labels were kept."""
    copy_study(study, target)
    storage = SQLiteStorage(target)
    storage.write([trial.with_(label="") for trial in storage.trials()])
    storage.close()
    return target


def test_labels_of_a_space_that_may_not_be_loaded_are_values(cli, study, tmp_path):
    old = unlabelled(study, tmp_path / "old.sqlite")
    assert "  x=" not in cli("trials", old).out
    assert "  x=" in cli("trials", old, "--labels", "--trust").out
    done = cli("trials", old, "--labels")  # its plugin is a single file, which nobody has allowed
    assert "the space of this study is not available" in done.err
    assert "--plugin" in done.err
    assert "  0 5  " in done.out
    assert "  x=" not in done.out
    assert "[" not in done.out


def test_states_order_and_limit(cli, study):
    failed = cli("trials", study, "--state", "failed", "--json").json["trials"]
    assert [trial["failure"]["kind"] for trial in failed] == ["error"] * len(failed)
    assert failed
    best = cli("trials", study, "--sort", "height", "--limit", "5", "--json").json["trials"]
    heights = [trial["objectives"]["height"] for trial in best]
    assert heights == sorted(heights)
    assert heights[0] == 0.0
    worst = cli("trials", study, "--sort", "height", "--reverse", "--json").json["trials"]
    values = [trial["objectives"]["height"] for trial in worst]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=True)
    assert values[: len(known)] == known  # trials without a value come last, whichever way
    assert cli("trials", study, "--state", "waiting").out == "no trials in state 'waiting'\n"


def test_json_is_complete_and_stable(cli, study):
    data = cli("trials", study, "--json").json
    assert list(data) == ["file", "objectives", "constraints", "created", "runs", "baseline", "trials"]
    assert data["runs"][0]["versions"]["nasplug"]
    for trial in data["trials"]:
        assert list(trial) == [*KEYS, "measurements"]
    complete = next(trial for trial in data["trials"] if trial["state"] == "complete")
    assert complete["epochs"] == complete["epochs_trained"] == len(complete["measurements"]) == 2
    assert [trial["number"] for trial in data["trials"]] == list(range(36))


def test_an_unknown_column(cli, study):
    done = cli("trials", study, "--sort", "hieght")
    assert done.code == 2
    assert "did you mean 'height'?" in done.err


def test_the_front_and_its_hypervolume(cli, study):
    done = cli("pareto", study, "--reference", "height=20", "weight=9", "--json")
    data = done.json
    points = [(trial["objectives"]["height"], trial["objectives"]["weight"]) for trial in data["front"]]
    assert points == sorted(points)
    assert [weight for _, weight in points] == sorted({weight for _, weight in points}, reverse=True)
    edges = [height for height, _ in points[1:]] + [20]
    area = sum((right - left) * (9 - weight) for (left, weight), right in zip(points, edges, strict=True))
    assert data["hypervolume"] == pytest.approx(area)
    assert data["reference"] == {"height": 20, "weight": 9}
    assert (
        f"hypervolume {area:g} against height 20, weight 9"
        in cli("pareto", study, "--reference", "height=20", "--reference", "weight=9").out
    )


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("hieght=1", "did you mean 'height'?"),
        ("height=1", "no value for 'weight'"),
        ("height=a", "expected a number for height"),
    ],
)
def test_a_wrong_reference(cli, study, reference, message):
    done = cli("pareto", study, "--reference", reference)
    assert done.code == 2
    assert message in done.err


def test_a_study_without_results(cli, spec):
    cli("run", spec(evaluator={"bowl": {"fail": True}}, budget={"trials": 2}))
    done = cli("pareto", "runs/search.sqlite")
    assert done.out == "2 finished trials, none of them complete and feasible\n"
    assert cli("pareto", "runs/search.sqlite", "--json").json["front"] == []


@pytest.mark.parametrize("name", ["trials", "pareto", "report", "export", "retrain"])
def test_files_that_are_no_study(cli, tmp_path, name):
    missing = cli(name, "missing.sqlite")
    assert missing.code == 3
    assert "missing.sqlite" in missing.err
    (tmp_path / "text.sqlite").write_text("hello, this is not a database")
    wrong = cli(name, "text.sqlite")
    assert wrong.code == 3
    assert "not a nasplug study file" in wrong.err
    assert (tmp_path / "text.sqlite").read_text() == "hello, this is not a database"


def test_looking_needs_no_plugin(cli, study, tmp_path):
    """Trials are shown even where the plugins of the search are not installed."""
    copy = tmp_path / "copy.sqlite"
    copy_study(study, copy)
    storage = SQLiteStorage(copy)
    storage.write_meta({"spec": {**storage.meta()["spec"], "space": "gone", "plugins": ["gone.py"]}})
    storage.close()
    assert cli("trials", copy).code == cli("pareto", copy).code == 0


def test_the_report_lies_beside_the_study(cli, spec, tmp_path):
    cli("run", spec())
    done = cli("report", "runs/search.sqlite")
    assert (done.code, done.out) == (0, "runs/search.html\n")
    assert "<html" in (tmp_path / "runs" / "search.html").read_text()
    assert cli("report", "runs/search.sqlite", "--out", "page.html").out == "page.html\n"

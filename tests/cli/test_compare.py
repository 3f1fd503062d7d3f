"""`nasplug compare`: studies side by side."""

from __future__ import annotations

import pytest

from nasplug.optional import available


@pytest.fixture
def two(cli, spec):
    for seed in (1, 2):
        trials = 6 * seed
        assert cli("run", spec(f"s{seed}.yaml", run={"seed": seed}, budget={"trials": trials, "epochs": 2})).code == 0
    return "runs/s1.sqlite", "runs/s2.sqlite"


def test_tables_and_json_agree_with_the_studies(cli, two):
    done = cli("compare", *two)
    assert done.code == 0
    for line in ("best trials", "effort and front", "height: the best after so many trials", "s1.sqlite  x="):
        assert line in done.out
    data = cli("compare", *two, "--json").json
    assert data["objectives"] == {"height": "min", "weight": "min"}
    first, second = data["studies"]
    assert (first["study"], first["trials"], second["trials"]) == ("s1.sqlite", 6, 12)
    for found, path in zip(data["studies"], two, strict=True):
        trials = cli("trials", path, "--json").json["trials"]
        good = [trial for trial in trials if trial["feasible"]]
        assert found["values"]["height"] == min(trial["objectives"]["height"] for trial in good)
        assert found["best_so_far"]["6"] == min(
            (trial["objectives"]["height"] for trial in good if trial["number"] < 6), default=None
        )
        assert list(found["best_so_far"]) == ["1", "2", "5", "6"]
        reference = [f"{name}={value}" for name, value in data["reference"].items()]
        own = cli("pareto", path, "--reference", *reference, "--json").json
        assert found["hypervolume"] == pytest.approx(own["hypervolume"])
        assert found["front"] == len(own["front"])
        assert found["label"].startswith("x=")


def test_a_given_reference(cli, two):
    data = cli("compare", *two, "--reference", "height=100", "weight=100", "--json").json
    assert data["reference"] == {"height": 100, "weight": 100}
    assert all(found["hypervolume"] > 4000 for found in data["studies"])
    assert cli("compare", *two, "--reference", "hieght=1").code == 2


def test_different_objectives_are_refused(cli, spec, two):
    cli("run", spec("other.yaml", objectives={"height": "max"}))
    done = cli("compare", two[0], "runs/other.sqlite")
    assert done.code != 0
    assert "different objectives" in done.err
    assert "height (min), weight (min) here, height (max) there" in done.err


def test_one_study_is_not_a_comparison(cli, two):
    assert cli("compare", two[0]).code == 2
    assert cli("compare", two[0], two[0]).code == 2


@pytest.mark.skipif(not available("matplotlib"), reason="needs the extra report")
@pytest.mark.parametrize("ending", ["png", "svg", "html"])
def test_pictures_and_pages(cli, two, tmp_path, ending):
    done = cli("compare", *two, "--out", f"out/compared.{ending}")
    assert done.code == 0
    data = (tmp_path / "out" / f"compared.{ending}").read_bytes()
    assert data.lower().startswith({"png": b"\x89png", "svg": b"<?xml", "html": b"<!doctype html>"}[ending])
    if ending == "html":
        page = data.decode()
        assert "s2" in page
    assert cli("compare", *two, "--out", "compared.docx").code == 2

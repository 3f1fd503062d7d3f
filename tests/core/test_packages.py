"""Names of packages that are not installed: who has them, and what the messages say."""

from __future__ import annotations

import json

import pytest

from nasplug.cli import main
from nasplug.contract.errors import SpecError, UnknownNameError
from nasplug.plugins import packages
from nasplug.plugins.catalog import Catalog
from nasplug.plugins.discovery import discover
from nasplug.run.assemble import compose
from tests.docs.pages import ROOT


def announced():
    """Everything that the packages of this repository announce, as (distribution, kind, name)."""
    folders = {f"nasplug-{path.parent.name.replace('_', '-')}" for path in ROOT.glob("plugins/*/pyproject.toml")}
    entries = [(entry.distribution.split()[0], entry.kind, entry.name) for entry in discover().catalog]
    return [entry for entry in entries if entry[0] in folders]


def test_the_directory_is_what_the_packages_announce():
    wrong = [entry for entry in announced() if packages.offering(entry[2], entry[1]) != entry[0]]
    assert wrong == []
    stated = {
        (distribution, kind, word)
        for distribution, package in packages.known().items()
        for kind, words in package.names.items()
        for word in words
    }
    real = {
        (distribution, kind, part) for distribution, kind, name in announced() for part in (name, name.split(".")[0])
    }
    assert stated - real == set()
    assert {distribution for distribution, _, _ in real} == {
        d for d, p in packages.known().items() if p.page.startswith("plugins/")
    }


@pytest.mark.parametrize(
    ("name", "kinds", "distribution"),
    [
        ("table:hw.parquet#chip", ("target",), "nasplug-tables"),
        ("boo/ones", ("cost", "target"), "nasplug-emonas"),
        ("optuna.sampler_of_tomorrow", ("strategy",), "nasplug-optuna"),
        ("table", ("strategy",), None),
        ("table", (), "nasplug-tables"),
        ("tables", (), None),
        ("random", (), None),
    ],
)
def test_who_has_a_name(name, kinds, distribution):
    assert packages.offering(name, *kinds) == distribution


@pytest.fixture
def absent(monkeypatch):
    """As if only the core were installed."""
    monkeypatch.setenv("NASPLUG_PLUGINS", "")
    monkeypatch.setattr(packages, "is_installed", lambda distribution: False)


def test_a_component_of_an_absent_package(absent):
    for kind, name in (("space", "nasbench101"), ("evaluator", "tabular"), ("target", "table"), ("cost", "column")):
        with pytest.raises(UnknownNameError) as caught:
            discover().catalog.get(kind, name)
        assert caught.value.what == f"there is no {kind} {name!r}"
        assert caught.value.why == "it comes with nasplug-tables, which is not installed"
        assert caught.value.fix == "pip install nasplug-tables"


@pytest.mark.parametrize(
    "words",
    ["bench nasbench201 --table t.parquet", "table info t.parquet", "list nasbench101", "list space nasbench101"],
)
def test_the_command_line_names_the_absent_package(absent, capsys, words):
    assert main(words.split()) == 2
    assert "pip install nasplug-tables" in capsys.readouterr().err


def test_an_objective_of_an_absent_package(absent, toy_spec, toy_path):
    with pytest.raises(SpecError, match="pip install nasplug-npu"):
        compose(toy_spec(objectives={"npu/energy_j": "min"}), discover([toy_path]).catalog)


def test_a_package_that_is_kept_out(monkeypatch):
    monkeypatch.setenv("NASPLUG_PLUGINS", "qnas")
    with pytest.raises(UnknownNameError, match="nasplug-tables, which is installed and left out"):
        discover().catalog.get("space", "nasbench201")


def test_a_package_that_is_loaded_is_no_excuse():
    with pytest.raises(UnknownNameError, match=r"did you mean 'qnas\.conv'") as caught:
        discover().catalog.get("space", "qnas.cnov")
    assert caught.value.why is None


def test_packages_of_others_need_no_entry():
    with pytest.raises(UnknownNameError, match="none are known"):
        Catalog().get("space", "of_a_stranger")


def test_the_doctor_lists_what_could_be_installed(monkeypatch, capsys):
    from nasplug.cli import doctor

    monkeypatch.setattr(doctor, "LIBRARIES", ())
    monkeypatch.setattr(doctor, "is_installed", lambda distribution: distribution != "nasplug-tables")
    assert main(["doctor"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "pip install nasplug" in line)
    assert line.split()[:3] == ["plugin", "tables", "absent"]


def test_test_plugin_names_the_package(absent, monkeypatch):
    from nasplug.testing import installed

    monkeypatch.setattr(installed, "is_installed", lambda distribution: False)
    with pytest.raises(UnknownNameError, match="pip install nasplug-tables"):
        installed.find_plugin("tables", discover())


def test_the_page_is_written_from_the_directory():
    from runpy import run_path

    made = run_path(str(ROOT / "docs" / "plugins_page.py"))
    assert made["PAGE"].read_text(encoding="utf-8") == made["page"](), "run `python docs/plugins_page.py`"


def test_entries_say_what_their_packages_say():
    import tomllib

    from nasplug.contract.hookspecs import CONTRACT_VERSION

    for name, facts in packages.known().items():
        assert facts.status in ("stable", "beta", "experimental"), name
        if not facts.page.startswith("plugins/"):
            continue
        project = tomllib.loads((ROOT / facts.page / "pyproject.toml").read_text())["project"]
        assert (project["name"], project["license"], facts.contract) == (name, facts.licence, CONTRACT_VERSION)


def test_known_packages_are_listed(absent, capsys):
    assert main(["plugins", "--known"]) == 0
    out = capsys.readouterr().out
    assert "nasplug-bogk" in out
    assert "pip install nasplug-ablation" in out
    assert main(["plugins", "--known", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [item["name"] for item in listed] == list(packages.known())
    assert not any(item["installed"] for item in listed)
    assert next(item for item in listed if item["name"] == "nasplug-optuna")["names"] == {
        "strategy": ["optuna"],
        "command": ["optuna"],
    }


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in ROOT.glob("plugins/[a-z]*/pyproject.toml")), ids=lambda path: path.name
)
def test_a_search_of_an_index_finds_every_package(folder):
    import tomllib

    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == f"nasplug-{folder.name.replace('_', '-')}"
    assert {"nasplug", "nasplug-plugin", "neural architecture search"} <= set(project["keywords"])
    assert "Typing :: Typed" in project["classifiers"]
    assert (folder / f"nasplug_{folder.name}" / "py.typed").is_file()
    assert (folder / "LICENSE").is_file()

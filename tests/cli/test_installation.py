"""`nasplug list`, `plugins` and `doctor`: what is there."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from nasplug.cli import doctor
from nasplug.plugins.discovery import forget

TINY = Path(__file__).parent / "tiny_plugin.py"


@pytest.fixture
def broken_plugin(monkeypatch):
    """An installed plugin whose module does not import."""
    real = metadata.entry_points

    def entry_points(**select):
        found = list(real(**select))
        if select.get("group") == "nasplug":
            found.append(metadata.EntryPoint("broken", "nothing_like_this.plugin", "nasplug"))
        return found

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    forget()
    yield "broken"
    forget()


def test_plugins_and_what_they_offer(cli):
    done = cli("plugins", "--json")
    builtin = next(plugin for plugin in done.json if plugin["name"] == "builtin")
    assert list(builtin) == ["name", "distribution", "version", "module", "offers", "error"]
    assert builtin["distribution"] == "nasplug"
    assert "random" in builtin["offers"]["strategy"]
    assert "random" in cli("plugins").out


def test_a_broken_plugin_is_listed_warned_about_and_left_out(cli, spec, broken_plugin):
    done = cli("plugins")
    assert done.code == 0
    assert "LEFT OUT: ModuleNotFoundError: No module named 'nothing_like_this'" in done.out
    item = next(plugin for plugin in cli("plugins", "--json").json if plugin["name"] == "broken")
    assert item["offers"] == {}
    assert "nothing_like_this" in item["error"]
    warned = cli("run", spec())
    assert warned.code == 0
    assert warned.err.count("plugin 'broken'") == 1
    assert "plugin 'broken'" in cli("list").err
    assert "broken" not in cli("trials", "runs/search.sqlite").err


def test_the_environment_restricts(cli, monkeypatch):
    monkeypatch.setenv("NASPLUG_PLUGINS", "")
    assert [plugin["name"] for plugin in cli("plugins", "--json").json] == ["builtin"]


@pytest.mark.parametrize("kind", ["strategy", "strategies"])
def test_lists_one_kind(cli, kind):
    entries = cli("list", kind, "--json").json
    assert {entry["kind"] for entry in entries} == {"strategy"}
    assert list(entries[0]) == ["kind", "name", "summary", "distribution", "location"]
    assert "random" in cli("list", kind).out


def test_lists_everything(cli):
    kinds = {entry["kind"] for entry in cli("--plugin", TINY, "list", "--json").json}
    assert {"strategy", "space", "evaluator", "cost", "command"} <= kinds


def test_explains_a_space(cli):
    done = cli("--plugin", TINY, "list", "space", "tiny", "--json").json
    assert done["description"] == "Two numbers."
    assert done["capabilities"] == [
        "Mutates",
        "Crosses",
        "Enumerates",
        "HasConditions",
        "HasLabels",
        "HasNeighbours",
        "HasVector",
        "Tabulates",
    ]
    assert done["parameters"] == [
        {
            "name": "width",
            "type": "int",
            "required": False,
            "default": 6,
            "description": "How many values each number may have.",
        }
    ]
    text = cli("--plugin", TINY, "list", "tiny").out  # its name alone is enough
    assert "Capabilities: Mutates, Crosses, Enumerates, HasConditions, HasLabels, HasNeighbours, HasVector" in text
    assert "How many values each number may have." in text


def test_types_say_what_may_be_written(cli):
    parameters = cli("list", "evaluator", "lightning", "--json").json["parameters"]
    types = {parameter["name"]: parameter["type"] for parameter in parameters}
    assert types["keep"] == "best | last | none"
    assert types["window"] == "int | None"
    assert types["trainer"] == "Mapping[str, Any] | None"


def test_explains_a_strategy_by_what_it_needs(cli):
    assert cli("list", "strategy", "regularized_evolution", "--json").json["requires"] == ["Mutates"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["startegy"], "did you mean 'strategy'?"),
        (["strategy", "randon"], "did you mean 'random'?"),
    ],
)
def test_unknown_words(cli, words, message):
    done = cli("list", *words)
    assert done.code == 2
    assert message in done.err


def test_the_settings_of_a_group_are_explained(cli):
    rows = {row["name"]: row for row in cli("list", "strategy", "darts_lp.search", "--json").json["parameters"]}
    assert rows["training"]["type"] == "group"
    assert rows["training.lr"] == {
        "name": "training.lr",
        "type": "float",
        "required": False,
        "default": 0.025,
        "description": "Largest learning rate.",
    }
    assert rows["logits.lr"]["default"] == 0.01


def test_every_announced_component_can_be_explained(cli):
    for entry in cli("list", "--json").json:
        explained = cli("list", entry["kind"], entry["name"], "--json")
        assert explained.code == 0, explained.err
        assert explained.json["description"], entry


def test_doctor_in_a_healthy_place(cli, monkeypatch, tmp_path):
    monkeypatch.setenv("NASPLUG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(doctor, "LIBRARIES", [item for item in doctor.LIBRARIES if item[0] in ("torch", "safetensors")])
    done = cli("doctor", "--json")
    assert list(done.json) == ["healthy", "checks"]
    checks = {check["name"]: check for check in done.json["checks"]}
    assert all(list(check) == ["name", "status", "detail", "fix"] for check in checks.values())
    assert {checks[name]["status"] for name in ("nasplug", "python", "torch", "safetensors", "cache")} == {"ok"}
    assert (done.code == 0) == done.json["healthy"]


@pytest.mark.slow
def test_doctor_imports_every_library(cli):
    names = {check["name"] for check in cli("doctor", "--json").json["checks"]}
    assert {distribution for _, distribution, _, _ in doctor.LIBRARIES} <= names


def test_doctor_finds_what_is_broken(cli, monkeypatch, broken_plugin):
    monkeypatch.setenv("NASPLUG_CACHE", "/proc/nasplug")
    monkeypatch.setattr(doctor, "LIBRARIES", ())
    done = cli("doctor")
    assert done.code == 3
    assert "set NASPLUG_CACHE to a folder that can be written" in done.out
    assert "2 problems found" in done.out


@pytest.mark.parametrize(
    ("source", "status", "hint"),
    [
        (
            "raise RuntimeError('operator torchvision::nms does not exist')",
            "broken",
            "--force-reinstall torch torchvision",
        ),
        ("import not_there_at_all", "broken", "not_there_at_all"),
        ("x = 1", "ok", ""),
    ],
)
def test_doctor_tells_how_imports_fail(monkeypatch, tmp_path, source, status, hint):
    name = f"library_{status}_{len(source)}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    check = doctor.check_import(name, name, "train", "test")
    assert check.status == status
    assert hint in (check.fix or "")


def test_doctor_names_the_extra_of_an_absent_library():
    check = doctor.check_import("surely_not_installed", "surely", "timm", "do things")
    assert check.status == "absent"
    assert "nasplug[timm]" in check.detail

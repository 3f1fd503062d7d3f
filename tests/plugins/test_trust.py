"""Files that come from strangers: nothing of theirs runs, unless the reader says so."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional, Union

import pytest
import yaml

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import NasplugError, PluginError, TrustError
from nasplug.ledger.sqlite import SQLiteStorage
from nasplug.plugins.component import Component, instantiate
from nasplug.plugins.discovery import discover
from nasplug.plugins.trust import asks_for_code, check_argument, check_kind, trusted, trusting, untrusted
from nasplug.run.api import run_spec
from nasplug.run.spec import RunSpec

#: What runs a command when it is called.
CALLABLES = ["subprocess.Popen", "subprocess.run", "os.system", "os.popen", "shutil.rmtree", "pathlib.Path"]


def touch(path):
    return {"args": [sys.executable, "-c", f"open({str(path)!r}, 'w').close()"]}


@pytest.mark.parametrize("key", ["space", "strategy", "task", "evaluator", "build", "costs", "stoppers", "callbacks"])
@pytest.mark.parametrize("path", CALLABLES)
def test_a_specification_makes_no_call_to_find_out_what_a_name_is(toy_spec, tmp_path, key, path):
    payload = {"class_path": path, "init_args": touch(tmp_path / "executed")}
    value = [payload] if key in ("build", "costs", "stoppers", "callbacks") else payload
    with pytest.raises(NasplugError):
        run_spec(RunSpec.parse({**toy_spec().to_plain(), key: value}))
    assert not (tmp_path / "executed").exists()


def test_a_function_is_called_if_it_says_what_it_returns():
    def silent():
        return None

    def speaking() -> nas.ChoiceSpace:
        raise AssertionError("nobody calls it here")

    check_kind(speaking, "space", "x.speaking", "space")
    for wrong in (silent, len, print):
        with pytest.raises(PluginError, match="calling it could do anything"):
            check_kind(wrong, "space", "x.y", "space")


@pytest.mark.parametrize("value", ["conv9", "folder/table.parquet", ["conv9", "pool"], {"a": 1}])
@pytest.mark.parametrize("hint", [str | list[str], Path | str, Optional[str], int | str | None], ids=str)  # noqa: UP045
def test_data_are_data_however_their_type_is_written(value, hint):
    with untrusted():
        check_argument(value, hint, "space: mine.set")


@pytest.mark.parametrize("hint", [str | Callable[..., Any], Union[str, Callable[..., Any]], str | type], ids=str)  # noqa: UP007
def test_text_for_something_to_call_is_refused_in_a_union(hint):
    with untrusted(), pytest.raises(TrustError, match="it names"):
        check_argument("os.system", hint, "space: mine.set")


@pytest.fixture
def doctored(toy_spec, tmp_path):
    """Doctors the specification inside a finished study file; returns the file and the file that a payload makes."""
    executed = tmp_path / "executed"
    evil = tmp_path / "evil_module.py"
    evil.write_text(
        f"open({str(executed)!r}, 'w').close()\nimport nasplug as nas\n\n@nas.hookimpl\ndef register(catalog): ...\n"
    )

    def make(change):
        path = tmp_path / "s.sqlite"
        run_spec(toy_spec(budget={"trials": 3}, run={"storage": str(path)}))
        storage = SQLiteStorage(path)  # with the right checksums, as an attacker would
        spec = storage.meta()["spec"]
        change(spec, executed, evil)
        storage.write_meta({"spec": spec})
        storage.close()
        return path, executed

    return make


def _call(spec, executed, evil):
    spec["plugins"] = []
    spec["space"] = {"class_path": "subprocess.Popen", "init_args": touch(executed)}


def _import(spec, executed, evil):
    spec["plugins"] = []
    spec["space"] = {"class_path": "evil_module.Space"}


def _task(spec, executed, evil):
    spec["plugins"] = []
    spec["space"] = {"class_path": "nasplug.testing.SyntheticSpace"}
    spec["task"] = {"class_path": "evil_module.Task"}


def _nested(spec, executed, evil):
    spec["plugins"] = []
    spec["space"] = {"class_path": "nasplug.testing.SyntheticSpace"}
    spec["task"] = {"image_classification": {"data": {"class_path": "evil_module.Data"}}}


def _through(spec, executed, evil):
    spec["plugins"] = []
    spec["space"] = {
        "class_path": "nasplug.data.npz.zipfile.ZipFile",
        "init_args": {"file": str(executed), "mode": "w"},
    }


def _file(spec, executed, evil):
    spec["plugins"] = [str(evil)]


COMMANDS = ["trials", "pareto", "report", "export", "retrain", "cost", "run"]


@pytest.mark.parametrize("change", [_call, _import, _task, _nested, _through, _file])
@pytest.mark.parametrize("command", COMMANDS)
def test_reading_a_doctored_study_executes_nothing(doctored, monkeypatch, tmp_path, command, change, capsys):
    path, executed = doctored(change)
    monkeypatch.chdir(tmp_path)  # modules of the current folder can be imported
    code = main([command, f"{path}#0" if command == "cost" else str(path)])
    assert not executed.exists()
    if command not in ("trials", "pareto", "report"):
        assert code in (2, 3)
        assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("change", [_call, _import, _task, _nested, _through, _file])
def test_opening_a_doctored_study_from_python_executes_nothing(doctored, monkeypatch, tmp_path, change):
    path, executed = doctored(change)
    monkeypatch.syspath_prepend(str(tmp_path))
    study = nas.load_study(path)
    for use in (lambda: study.space, lambda: study.task, lambda: study.build(study.trials[0])):
        with contextlib.suppress(NasplugError):
            use()
    assert not executed.exists()


def test_the_reader_may_say_that_a_file_is_trusted(doctored, tmp_path, capsys):
    path, executed = doctored(_file)
    assert main(["run", str(path), "--trust", "--set", "plugins=[]"]) == 2  # without it there is no space
    assert "toy" in capsys.readouterr().err
    assert not executed.exists()
    main(["cost", f"{path}#0", "--trust"])
    assert executed.exists()


def test_an_untrusted_bundle_is_refused(tmp_path):
    from nasplug.export.bundle import read_bundle

    pytest.importorskip("torch")
    (tmp_path / "weights.safetensors").write_bytes(b"")
    data = {
        "format": 1, "space": {"class_path": "subprocess.Popen", "init_args": touch(tmp_path / "executed")},
        "build": [], "plugins": [], "weights": {"file": "weights.safetensors", "sha256": _EMPTY},
    }  # fmt: skip
    (tmp_path / "architecture.json").write_text(json.dumps(data))
    with pytest.raises(TrustError, match=r"subprocess\.Popen"):
        read_bundle(tmp_path)
    assert not (tmp_path / "executed").exists()


_EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_arguments_that_become_code_are_refused(monkeypatch, tmp_path):
    catalog = discover().catalog
    with untrusted():
        assert not trusted()
        for value in ({"class_path": "os.path.join"}, [{"class_path": "os.getcwd"}]):
            with pytest.raises(TrustError):
                instantiate("space", Component("timm", {"models": value}), catalog, where="space")
        with trusting():
            assert trusted()
    assert trusted()


def test_asking_for_code_is_seen():
    assert asks_for_code({"plugins": ["x.py"]})
    assert asks_for_code({"task": {"lightning": {"data": {"class_path": "mine.Data"}}}})
    assert not asks_for_code({"space": {"class_path": "nasplug.testing.SyntheticSpace"}, "plugins": []})


def test_a_specification_of_ones_own_runs_code_of_ones_own(tmp_path):
    """In a process of its own: what a person runs may name their classes."""
    (tmp_path / "mine.py").write_text("from nasplug.testing import SyntheticSpace\nclass Mine(SyntheticSpace): ...\n")
    spec = {
        "space": {"class_path": "mine.Mine"},
        "evaluator": {"class_path": "nasplug.testing.SyntheticEvaluator"},
        "budget": {"trials": 2},
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    words = [sys.executable, "-m", "nasplug.cli", "run", "spec.yaml"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert RunSpec.parse(spec).space.is_path

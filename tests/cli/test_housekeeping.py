"""`nasplug copy`, `verify` and `clean`."""

from __future__ import annotations

import json
import sqlite3

import pytest

import nasplug as nas
from nasplug.cli import main
from nasplug.data.kept import kept_folder
from nasplug.ledger.artifacts import artifact_folder
from nasplug.ledger.sqlite import SQLiteStorage
from nasplug.run.api import run_spec
from tests.faults.kills import cases


@pytest.fixture
def study(tmp_path):
    """A study with a checkpoint for every trial."""
    case = next(case for case in cases() if case.name == "asha of random")
    return run_spec(case.spec(tmp_path)), tmp_path / "s.sqlite"


def _folder(study):
    return artifact_folder(study[1], study[0].meta["id"])


def _verify(path, capsys):
    capsys.readouterr()
    code = main(["verify", str(path), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_sound_study(study, capsys):
    code, found = _verify(study[1], capsys)
    assert code == 0
    assert found["sound"]
    files = {name for trial in study[0].trials for name in trial.artifacts.values()}
    assert found["checked"] == len(files) > 5
    assert not found["missing"] + found["changed"] + found["unknown"] + found["orphans"]
    assert main(["verify", str(study[1])]) == 0
    assert "trials are intact" in capsys.readouterr().out


def test_missing_and_changed_files_are_found(study, capsys):
    with_files = [trial for trial in study[0].trials if trial.artifacts and trial.copied_from is None]
    first, second = (_folder(study) / trial.artifacts["checkpoint"] for trial in with_files[:2])
    first.unlink()
    second.write_text("{}")
    code, found = _verify(study[1], capsys)
    assert code == 3
    assert (found["missing"], found["changed"]) == ([str(first)], [str(second)])
    assert main(["verify", str(study[1])]) == 3
    assert f"{first}: missing" in capsys.readouterr().out


def test_a_folder_that_is_gone_is_missing(study, capsys):
    import shutil

    shutil.rmtree(_folder(study).parent)
    code, found = _verify(study[1], capsys)
    assert code == 3
    assert len(found["missing"]) == sum(bool(trial.artifacts) for trial in study[0].trials)


def test_a_damaged_row_is_refused(study, capsys):
    with sqlite3.connect(study[1]) as connection:
        connection.execute("UPDATE trials SET record = replace(record, 'score', 'scorf') WHERE number = 3")
    assert main(["verify", str(study[1])]) == 3
    assert "does not match its checksum" in capsys.readouterr().err


def _orphans(study):
    folder = _folder(study)
    made = [folder.parent / "0123456789ab", folder / "trial-00999", folder / "jobs" / "supernet-1"]
    for path in made:
        path.mkdir(parents=True)
        (path / "weights.safetensors").write_bytes(b"x" * 1000)
    part = folder / "trial-00000" / "weights.safetensors.part"
    part.write_bytes(b"y")
    (folder / "notes.txt").write_text("mine")
    (folder.parent / "mine").mkdir()
    return [*made, part]


def test_orphans_are_found_and_deleted_and_nothing_else(study, capsys):
    made = _orphans(study)
    before = set(_folder(study).parent.rglob("*"))
    code, found = _verify(study[1], capsys)
    assert code == 0
    assert sorted(found["orphans"]) == sorted(map(str, made))
    assert main(["clean", str(study[1]), "--dry-run"]) == 0
    assert "would delete 4" in capsys.readouterr().out
    assert set(_folder(study).parent.rglob("*")) == before
    assert main(["clean", str(study[1]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == 3001
    gone = before - set(_folder(study).parent.rglob("*"))
    assert gone == {*made, *(path / "weights.safetensors" for path in made[:3])}
    assert _verify(study[1], capsys)[1]["sound"]


def test_a_link_is_not_followed(study, tmp_path):
    elsewhere = tmp_path / "precious"
    elsewhere.mkdir()
    (elsewhere / "data").write_text("mine")
    (_folder(study) / "trial-00998").symlink_to(elsewhere)
    assert main(["clean", str(study[1])]) == 0
    assert (elsewhere / "data").read_text() == "mine"
    assert not (_folder(study) / "trial-00998").is_symlink()


def test_clean_waits_for_nobody(study, tmp_path, capsys):
    storage = SQLiteStorage(study[1])
    try:
        assert main(["clean", str(study[1])]) == 3
        assert "another run is writing" in capsys.readouterr().err
        assert main(["verify", str(study[1])]) == 0
    finally:
        storage.close()
    assert main(["clean", str(tmp_path / "absent.sqlite")]) == 3
    assert not (tmp_path / "absent.sqlite").exists()


def test_the_cache_is_cleaned(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NASPLUG_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "source.bin"
    source.write_bytes(b"abc")
    entry = kept_folder("volumes", [source], {}, lambda folder: None)
    assert main(["clean", "--cache"]) == 0
    assert "deleted 0 files" in capsys.readouterr().out
    assert main(["clean", "--cache", "--unused", "0", "--dry-run"]) == 0
    assert "would delete 1 file" in capsys.readouterr().out
    assert main(["clean", "--cache", "--unused", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unused"] == [str(entry)]
    assert not entry.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "one of FILE and --cache is needed"),
        (["a.sqlite", "--cache"], "and not both"),
        (["a.sqlite", "--unused", "3"], "write --cache with it"),
        (["--cache", "--unused", "-1"], "0 or more days"),
        (["--cache", "--unused", "nan"], "0 or more days"),
    ],
)
def test_what_is_cleaned_is_said_once(words, said, capsys):
    assert main(["clean", *words]) == 2
    assert said in capsys.readouterr().err


def test_copy(study, tmp_path, capsys):
    target = tmp_path / "copy.sqlite"
    storage = SQLiteStorage(study[1])  # a run is writing it
    try:
        assert main(["copy", str(study[1]), str(target)]) == 0
    finally:
        storage.close()
    assert f"copied {len(study[0].trials)} trials" in capsys.readouterr().out
    assert list(nas.load_study(target).trials) == list(study[0].trials)
    assert _verify(target, capsys) == (0, {**_verify(study[1], capsys)[1], "file": str(target)})
    assert main(["copy", str(study[1]), str(target)]) == 3
    assert "the file exists already" in capsys.readouterr().err
    assert main(["copy", str(tmp_path / "absent"), str(tmp_path / "b")]) == 3


def test_what_a_terminal_would_obey_is_shown(study, capsys):
    storage = SQLiteStorage(study[1])
    trial = study[0].trials[0]
    try:
        failure = nas.Failure("error", "\x1b]0;owned\x07 \x9b31m \u202e")
        storage.write([trial.with_(state="failed", failure=failure, metrics={"\x1b[2J": 1.0})])
    finally:
        storage.close()
    for words in (["trials"], ["trials", "--json"], ["pareto"], ["trials", "--sort", "\x1b[3m"]):
        main([words[0], str(study[1]), *words[1:]])
        said = "".join(capsys.readouterr())
        assert not set(said) & {"\x1b", "\x07", "\x9b", "\u202e"}, words

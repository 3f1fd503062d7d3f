"""Every study has files of its own, and knows them again."""

from __future__ import annotations

import shutil

import pytest

import nasplug as nas
from nasplug.contract.errors import PluginError, StorageError, StudyError
from nasplug.ledger.artifacts import artifact_folder, beside, check_artifact, checksum
from nasplug.ledger.sqlite import SQLiteStorage


class Writer:
    """Keeps a file per trial that says which seed of which study wrote it."""

    objectives = {"score": "max"}  # noqa: RUF012

    @nas.hookimpl
    def evaluate(self, run):
        path = run.folder / "weights.txt"
        path.write_text(f"{run.study.seed} {run.trial.seed}")
        return nas.Evaluation({"score": 1.0}, artifacts={"weights": run.artifact(path)})


def run(path, toy_path, seed=0, trials=3, **more):
    return nas.search(
        space="toy",
        evaluator=Writer(),
        trials=trials,
        seed=seed,
        storage=path,
        plugins=[toy_path],
        progress=False,
        **more,
    )


def written(study):
    return [(study.artifacts() / trial.artifacts["weights"]).read_text() for trial in study.trials]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("lr0.1", "lr0.2"),
        ("a.sqlite", "a.db"),
        ("exp.v1", "exp.v2"),
        ("a", "a.sqlite"),
        (".hidden", ".hidden.sqlite"),
        ("seed.1.sqlite", "seed.2.sqlite"),
    ],
)
def test_studies_beside_each_other_share_no_files(tmp_path, toy_path, first, second):
    one, two = run(tmp_path / first, toy_path, seed=1), run(tmp_path / second, toy_path, seed=2)
    assert {text.split()[0] for text in written(one)} == {"1"}
    assert {text.split()[0] for text in written(two)} == {"2"}
    opened = nas.load_study(tmp_path / first)
    assert written(opened) == written(one)
    assert beside(tmp_path / first, ".html") != beside(tmp_path / second, ".html")


def test_a_study_started_anew_under_the_same_name_leaves_the_old_files_alone(tmp_path, toy_path):
    path = tmp_path / "s.sqlite"
    old = run(path, toy_path, seed=1)
    path.unlink()
    new = run(path, toy_path, seed=2)
    assert {text.split()[0] for text in written(old)} == {"1"}
    assert {text.split()[0] for text in written(new)} == {"2"}


def test_a_copy_that_goes_on_leaves_the_files_of_the_original_alone(tmp_path, toy_path):
    original = run(tmp_path / "s.sqlite", toy_path, trials=2)
    before = written(original)
    shutil.copy(tmp_path / "s.sqlite", tmp_path / "copy.sqlite")
    run(tmp_path / "copy.sqlite", toy_path, trials=4)
    assert written(original) == before
    assert not (original.artifacts() / "trial-00003").exists()


def test_a_link_leads_to_the_same_study_and_lock(tmp_path, toy_path):
    run(tmp_path / "s.sqlite", toy_path)
    (tmp_path / "link.sqlite").symlink_to(tmp_path / "s.sqlite")
    linked = nas.load_study(tmp_path / "link.sqlite")
    assert len(written(linked)) == 3
    storage = SQLiteStorage(tmp_path / "s.sqlite")
    try:
        with pytest.raises(StorageError, match="another run is writing"):
            SQLiteStorage(tmp_path / "link.sqlite")
    finally:
        storage.close()


def test_a_hard_link_is_read_and_not_written(tmp_path, toy_path):
    """Two runs under two names would have two locks, and two logs beside one file."""
    run(tmp_path / "s.sqlite", toy_path)
    before = (tmp_path / "s.sqlite").read_bytes()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "t.sqlite").hardlink_to(tmp_path / "s.sqlite")
    for path in (tmp_path / "s.sqlite", tmp_path / "elsewhere" / "t.sqlite"):
        assert len(nas.load_study(path).trials) == 3
        with pytest.raises(StorageError, match="has several names") as caught:
            run(path, toy_path, trials=5)
        assert f"nasplug copy {path.name} NEW" in str(caught.value)
    assert (tmp_path / "s.sqlite").read_bytes() == before
    (tmp_path / "elsewhere" / "t.sqlite").unlink()
    assert len(run(tmp_path / "s.sqlite", toy_path, trials=5).trials) == 5


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_trials_hold_the_checksums_of_their_files(tmp_path, toy_path, executor):
    study = run(tmp_path / "s.sqlite", toy_path, executor=executor)
    for trial in nas.load_study(tmp_path / "s.sqlite").trials:
        path = study.artifacts() / trial.artifacts["weights"]
        assert trial.checksums == {"weights": checksum(path)}
        check_artifact(trial, "weights", path)


def test_another_file_in_the_place_of_an_artifact_is_refused(tmp_path, toy_path):
    study = run(tmp_path / "s.sqlite", toy_path)
    first, second = (study.artifacts() / trial.artifacts["weights"] for trial in study.trials[:2])
    shutil.copy(second, first)
    with pytest.raises(StudyError, match="is not the one that this trial wrote"):
        check_artifact(study.trials[0], "weights", first)
    first.unlink()
    with pytest.raises(StudyError, match="is missing"):
        check_artifact(study.trials[0], "weights", first)


def test_an_artifact_that_was_never_written_is_the_evaluators_fault(toy_path):
    class Boaster:
        objectives = {"score": "max"}  # noqa: RUF012

        @nas.hookimpl
        def evaluate(self, run):
            return nas.Evaluation({"score": 1.0}, artifacts={"weights": "nowhere.txt"})

    with pytest.raises(PluginError, match=r"'nowhere\.txt' was not written"):
        nas.search(space="toy", evaluator=Boaster(), trials=1, plugins=[toy_path], progress=False)


def test_a_folder_has_a_checksum_of_names_and_contents(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "x").write_text("1")
    assert checksum(tmp_path / "a") == checksum(tmp_path / "b")
    (tmp_path / "b" / "sub" / "x").rename(tmp_path / "b" / "sub" / "y")
    assert checksum(tmp_path / "a") != checksum(tmp_path / "b")


def test_a_study_in_memory_has_no_folder_yet():
    assert artifact_folder(None, "0") is None


def test_whoever_reads_a_file_that_a_run_has_just_made_leaves_it_alone(tmp_path):
    from nasplug.contract.errors import StorageError
    from nasplug.ledger.sqlite import SQLiteStorage

    path = tmp_path / "s.sqlite"
    path.touch()  # as a starting run does, a moment before it makes the tables
    with pytest.raises(StorageError, match="it is empty"):
        SQLiteStorage(path, writable=False)
    assert path.stat().st_size == 0
    storage = SQLiteStorage(path)
    storage.write_meta({"id": "a"})
    storage.close()

"""A worker on another machine looks around before it works, and says what is wrong by the name of its machine."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from nasplug.contract.errors import NasplugError, PluginError, SpecError, StorageError
from nasplug.ledger.ledger import Ledger
from nasplug.plugins import discovery
from nasplug.plugins.discovery import discover, module_of
from nasplug.run.assemble import compose
from nasplug.run.executors import elsewhere
from nasplug.run.executors.elsewhere import Parcel, check_versions
from nasplug.run.executors.launch import Launch
from nasplug.run.executors.stores import SharedFolder, UrlStore
from nasplug.run.jobs import Job


@pytest.fixture
def launch(working, tmp_path):
    spec = working(run={"workers": 1})
    return Launch(compose(spec, discover(spec.plugins).catalog), tmp_path / "study", lambda key, message: None)


def job(launch) -> Job:
    ledger: Ledger = launch.assembly.ledger(folder=launch.folder)
    return Job(ledger.propose(ledger.view.proposal(launch.assembly.space.sample(ledger.view.rng("t", 0)))))


def sent(parcel: Parcel) -> Parcel:
    return pickle.loads(pickle.dumps(parcel))


def test_it_answers_as_a_worker_here_would(launch):
    parcel = Parcel.of(launch, SharedFolder())
    result, files = sent(parcel).unpack("cpu").answer(job(launch), lambda key, message: None)
    assert result.state == "complete"
    assert files == []


def test_plugin_files_travel_with_their_contents(launch, monkeypatch, tmp_path):
    parcel = Parcel.of(launch, SharedFolder())
    ((module, name, content),) = parcel.plugins
    assert module.startswith("nasplug_file_working_plugin_")
    assert name == "working_plugin.py"
    assert b"NASPLUG_CONTRACT" in content
    gone = dict(parcel.bootstrap.spec) | {"plugins": [str(tmp_path / "not" / "here.py")]}
    moved = replace(parcel, bootstrap=replace(parcel.bootstrap, spec=gone))
    result, _ = sent(moved).unpack("cpu").answer(job(launch), lambda key, message: None)
    assert result.state == "complete"


def test_with_a_store_it_has_a_folder_of_its_own(launch, tmp_path):
    store = UrlStore(f"file://{tmp_path / 'share'}", "study")
    parcel = Parcel.of(launch, store)
    assert parcel.probe == ""
    result, _ = sent(parcel).unpack("cpu").answer(job(launch), lambda key, message: None)
    assert result.state == "complete"
    assert not launch.folder.exists()


def test_a_folder_that_is_another_one_there_is_refused(launch, monkeypatch):
    parcel = Parcel.of(launch, SharedFolder())
    assert (launch.folder / parcel.probe).exists()
    parcel.discard(launch.folder)
    assert list(launch.folder.iterdir()) == []
    monkeypatch.setattr(elsewhere.platform, "node", lambda: "node7")
    with pytest.raises(SpecError, match=r"worker on node7.*not the same folder") as caught:
        sent(parcel).unpack("cpu")
    assert "store" in str(caught.value)


def test_a_machine_without_the_plugin_says_which_to_install(launch, monkeypatch):
    parcel = Parcel.of(launch, SharedFolder())
    spec = dict(parcel.bootstrap.spec) | {"space": "qnas.conv"}
    monkeypatch.setenv("NASPLUG_PLUGINS", "")
    monkeypatch.setattr("nasplug.plugins.packages.is_installed", lambda distribution: False)
    monkeypatch.setattr(elsewhere.platform, "node", lambda: "node7")
    with pytest.raises(PluginError, match="pip install nasplug-qnas") as caught:
        replace(parcel, bootstrap=replace(parcel.bootstrap, spec=spec)).unpack("cpu")
    assert "worker on node7" in str(caught.value)


def test_versions_that_differ_are_named_with_both():
    driver = {"python": "3.11.7", "torch": "2.6.0", "nasplug": "0.1.0"}
    check_versions(driver, {**driver, "optuna": "9"}, "here")
    check_versions(driver, {"python": "3.11.7"}, "here")  # what is missing and needed is named when it is composed
    with pytest.raises(PluginError, match=r"torch is 2\.7\.0 there and 2\.6\.0 with the driver") as caught:
        check_versions(driver, {**driver, "torch": "2.7.0"}, "worker on node7")
    assert "python" not in str(caught.value)
    assert str(caught.value).startswith("worker on node7")


def test_a_store_that_breaks_in_a_trial_ends_the_run(launch, tmp_path):
    class Broken(UrlStore):
        def names(self, below):
            raise StorageError("no route to the store")

    station = Parcel.of(launch, Broken(f"file://{tmp_path}", "study")).unpack("cpu")
    result, files = station.answer(job(launch), lambda key, message: None)
    assert isinstance(result, NasplugError)
    assert files == []


def test_a_plugin_file_has_one_name_on_all_machines(launch):
    """Work is named by its function, and draws its random numbers by that name."""
    parcel = Parcel.of(launch, SharedFolder())
    ((module, _, _),) = parcel.plugins
    copies = []
    for _ in range(2):
        before = set(discovery._NAMES)
        sent(parcel).unpack("cpu")
        (path,) = set(discovery._NAMES) - before
        copies.append(path)
    assert copies[0] != copies[1]
    assert [module_of(path) for path in copies] == [module, module]
    assert module_of(launch.assembly.spec.plugins[0]) == module

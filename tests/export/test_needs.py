"""What a bundle says it needs, and what happens where that is not there."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import nasplug as nas
from nasplug.contract.errors import NasplugError, StorageError, StudyError
from nasplug.contract.io import Inputs, OutputSpec
from nasplug.export.bundle import Shapes, read_bundle, write_bundle
from nasplug.export.needs import Needs
from nasplug.plugins.catalog import Catalog
from tests.export.conftest import SmallNetworks

SOURCE = """
from torch import nn
import nasplug as nas


class Mine(nas.ChoiceSpace):
    def __init__(self, factor: float = 1.0):
        super().__init__("mine", [nas.Choice("width", (4, 8))])
        self.factor = factor

    def build(self, architecture, task):
        return nn.Sequential(nn.Flatten(), Scale(self.factor), nn.Linear(64, task.outputs))


class Scale(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module with a space of a user's own, and the bundle of a network that it built."""
    name = f"mine_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)

    def make(space):
        study = nas.search(nas.ImageClassification(limit=100), space=space, strategy="random", trials=1, epochs=1)
        return write_bundle(study, study.best, study.network(study.best), tmp_path / "bundle")

    yield name, make
    sys.modules.pop(name, None)


def needs(folder: Path) -> dict:
    return json.loads((folder / "architecture.json").read_text())["needs"]


def test_a_space_of_ones_own_is_named_with_its_source(mine, tmp_path):
    name, make = mine
    folder = make({"class_path": f"{name}.Mine"})
    (source,) = needs(folder)["sources"]
    file = tmp_path / f"{name}.py"
    assert source == {
        "name": f"{name}.Mine",
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    assert isinstance(read_bundle(folder, trust=True), torch.nn.Module)
    with pytest.raises(NasplugError, match=rf"built by {name}\.Mine in {name}\.py"):
        read_bundle(folder)


def test_a_missing_source_is_named(mine, tmp_path):
    name, make = mine
    folder = make({"class_path": f"{name}.Mine"})
    (tmp_path / f"{name}.py").unlink()
    sys.modules.pop(name)
    with pytest.raises(NasplugError, match=rf"built by {name}\.Mine in {name}\.py: put that file where Python"):
        read_bundle(folder, trust=True)


def test_a_source_that_computes_something_else_is_noticed(mine, tmp_path):
    name, make = mine
    folder = make({"class_path": f"{name}.Mine"})
    file = tmp_path / f"{name}.py"
    file.write_text(SOURCE.replace("x * self.factor", "x * self.factor * 1.1"))
    sys.modules.pop(name)
    with pytest.raises(StorageError, match="computes something else"):
        read_bundle(folder, trust=True)


def test_objects_made_in_python_are_asked_for(found, tmp_path):
    study = found("grey", space=SmallNetworks("tanh"))
    folder = write_bundle(study, study.best, study.network(study.best), tmp_path / "bundle")
    assert needs(folder)["objects"] == {"space": "tests.export.conftest.SmallNetworks"}
    with pytest.raises(StudyError, match=r"objects=\{'space': SmallNetworks\(\.\.\.\)\}"):
        read_bundle(folder, trust=True)  # with ReLU it would load, and compute something else
    network = read_bundle(folder, objects={"space": SmallNetworks("tanh")})
    images = torch.randn(2, 1, 12, 10)
    with torch.inference_mode():
        assert torch.equal(network(images), study.network(study.best)(images))


def test_packages_of_what_has_a_name_are_needed_and_files_are_not_packages():
    catalog = Catalog()
    for distribution, name in (
        ("nasplug-mine 1.2.0", "mine"),
        ("file plugin", "local"),
        ("nasplug-other 3.0", "other"),
    ):
        own = Catalog(distribution=distribution)
        own.space(name, "collections:OrderedDict", summary="A space.")
        catalog.merge(own)
    parts = {"space": {"mine": {"inner": "local"}}, "build": [{"other": {}}, "absent"]}
    for wanted, packages in (({"space": "mine"}, {"nasplug-mine": "1.2.0"}), ({"space": "local"}, {}), (parts, None)):
        found = dict(Needs.of(wanted, [], (), catalog).packages)
        assert found.pop("nasplug")
        assert "file" not in found
        if packages is not None:
            assert found == packages


def test_an_exported_network_has_neither_data_nor_training(found, tmp_path):
    study = found("grey")
    folder = write_bundle(study, study.best, study.network(study.best), tmp_path / "bundle")
    task = Shapes(Inputs.of((1, 12, 10)), OutputSpec("vector", 2))
    with pytest.raises(StudyError, match="has no data"):
        task.datamodule()
    with pytest.raises(StudyError, match="has no training module"):
        task.module(study.network(study.best), {})
    task.check_hyperparameters(["lr"])
    assert folder.is_dir()


@pytest.mark.slow
def test_a_space_of_an_installed_package_needs_neither_the_study_nor_code(tmp_path):
    pytest.importorskip("timm")
    study = nas.search(
        nas.ImageClassification(limit=64),
        space=nas.component("timm", models=["test_resnet"]),
        strategy="random",
        trials=1,
        epochs=1,
    )
    folder = write_bundle(study, study.best, study.network(study.best), tmp_path / "bundle")
    assert needs(folder)["sources"] == []
    assert needs(folder)["objects"] == {}
    assert needs(folder)["packages"]["nasplug"] == nas.__version__
    code = "import sys; from nasplug.export.bundle import read_bundle; print(type(read_bundle(sys.argv[1])).__name__)"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == type(study.network(study.best)).__name__

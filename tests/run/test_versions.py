"""Versions and machine, as a study and a bundle state them."""

from __future__ import annotations

import os
from importlib import metadata

from nasplug.run.versions import machine, versions


def test_versions_name_what_is_installed_and_nothing_else():
    found = versions()
    assert found["nasplug"] == metadata.version("nasplug")
    assert found["torch"] == metadata.version("torch")
    assert found["nasplug-qnas"] == metadata.version("nasplug-qnas")
    assert all(found.values())


def test_packages_that_are_missing_are_left_out(monkeypatch):
    def version(name):
        if name == "timm":
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(metadata, "version", version)
    assert "timm" not in versions()
    assert versions()["scipy"] == "1"


def test_the_machine_has_no_name():
    assert machine().keys() == {"system", "machine", "cores"}
    assert machine()["cores"] == os.cpu_count()
    assert os.uname().nodename not in map(str, machine().values())

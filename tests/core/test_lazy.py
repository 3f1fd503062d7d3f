from __future__ import annotations

import subprocess
import sys
import types

import pytest

from nasplug.lazy import attach


@pytest.fixture
def package(monkeypatch):
    made = types.ModuleType("lazy_package")
    monkeypatch.setitem(sys.modules, "lazy_package", made)
    made.__getattr__, made.__dir__ = attach("lazy_package", {"Fraction": "fractions", "missing": "fractions"})
    return made


def test_a_name_is_imported_on_first_use_and_kept(package):
    from fractions import Fraction

    assert "Fraction" not in vars(package)
    assert package.Fraction is Fraction
    assert vars(package)["Fraction"] is Fraction


def test_names_are_listed_and_others_refused(package):
    assert {"Fraction", "missing"} <= set(dir(package))
    with pytest.raises(AttributeError, match="module 'lazy_package' has no attribute 'Fractoin'"):
        _ = package.Fractoin
    with pytest.raises(AttributeError, match="missing"):
        _ = package.missing


@pytest.mark.parametrize("name", ["nasplug.data", "nasplug.tasks", "nasplug_npu", "nasplug_tables"])
def test_packages_load_nothing_heavy_and_have_all_their_names(name):
    code = (
        f"import sys, importlib; package = importlib.import_module({name!r});"
        "assert not {'torch', 'numpy'} & set(sys.modules), 'heavy';"
        "assert all(getattr(package, each) is not None for each in package.__all__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

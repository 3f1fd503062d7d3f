"""Names of modules and what is in them, as plugins announce them."""

from __future__ import annotations

import pytest

from nasplug.contract.errors import PluginImportError
from nasplug.plugins.catalog import load_location


@pytest.mark.parametrize("location", ["collections:OrderedDict", "collections.OrderedDict", "os:path.join"])
def test_both_spellings_are_read(location):
    assert callable(load_location(location, where="space"))


@pytest.mark.parametrize(
    ("location", "why", "fix"),
    [
        ("no_such_package:Thing", "No module named", "check the spelling"),
        ("collections:NoSuchThing", "NoSuchThing", ""),
        ("os:path.nothing", "nothing", ""),
        ("broken_one:Thing", "of mine", ""),
        ("needs_timm:Thing", "No module named 'timm_absent'", "check the spelling"),
    ],
)
def test_what_cannot_be_imported_is_one_error_with_the_place(tmp_path, monkeypatch, location, why, fix):
    (tmp_path / "broken_one.py").write_text("raise RuntimeError('a fault of mine')")
    (tmp_path / "needs_timm.py").write_text("import timm_absent")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginImportError, match="cannot import") as caught:
        load_location(location, where="space")
    assert caught.value.where == "space"
    assert why in str(caught.value)
    assert fix in str(caught.value)


def test_a_misspelled_module_gets_a_suggestion_and_what_it_imports_does_not(tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text("import json_of_somebody\nNet = 1\n")
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package" / "__init__.py").touch()
    (tmp_path / "own_package" / "networks.py").write_text("Net = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginImportError, match="did you mean 'own_models'"):
        load_location("own_model:Net", where="model")
    with pytest.raises(PluginImportError, match=r"did you mean 'own_package\.networks'"):
        load_location("own_package.network:Net", where="model")
    with pytest.raises(PluginImportError, match="No module named 'json_of_somebody'") as caught:
        load_location("own_models:Net", where="model")
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("location", ["Net", ":Net", "module:"])
def test_a_location_names_a_module_and_something_in_it(location):
    with pytest.raises(PluginImportError, match=r"(?s)names no module or nothing in it.*package\.module:Name"):
        load_location(location, where="model")

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

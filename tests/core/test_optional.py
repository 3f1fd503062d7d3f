"""Optional libraries: found, absent, or broken inside."""

from __future__ import annotations

import pytest

from nasplug.contract.errors import MissingExtraError
from nasplug.optional import available, require


def test_what_is_there():
    assert available("json.decoder")
    assert require("json.decoder", extra="train", purpose="read").JSONDecoder


def test_what_is_absent_names_its_extra():
    assert not available("surely_absent.part")
    with pytest.raises(MissingExtraError, match=r'surely_absent is needed to draw, .*\n.*"nasplug\[report\]"'):
        require("surely_absent.part", extra="report", purpose="draw")
    with pytest.raises(MissingExtraError, match=r'"nasplug-tables\[bench\]"'):
        require("surely_absent", extra="bench", purpose="read tables", distribution="nasplug-tables")


def test_a_library_that_lacks_one_of_its_own_says_so(monkeypatch, tmp_path):
    (tmp_path / "library_with_a_hole.py").write_text("import surely_absent")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="surely_absent"):
        require("library_with_a_hole", extra="report", purpose="draw")


def test_an_import_leaves_the_generator_of_random_alone(tmp_path, monkeypatch):
    import random

    (tmp_path / "draws_at_import.py").write_text("import random\nrandom.random()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = random.getstate()
    require("draws_at_import", extra="train", purpose="test")
    assert random.getstate() == before

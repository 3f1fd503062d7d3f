"""Badges: small pictures of two words, which say what is so."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from nasplug.cli import main
from nasplug.testing.badge import COLOURS, badge

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("kind", COLOURS)
def test_a_badge_says_its_two_words_in_its_colour(kind):
    root = ET.fromstring(badge("a <b> & c", "12 passed", kind))
    assert [text.text for text in root.iter(f"{SVG}text")] == ["a <b> & c", "12 passed"]
    boxes = [box for box in root.iter(f"{SVG}rect") if box.get("fill")]
    assert boxes[1].get("fill") == COLOURS[kind]
    assert sum(float(box.get("width")) for box in boxes) == float(root.get("width"))
    assert root.get("aria-label") == "a <b> & c: 12 passed"


def test_a_longer_word_takes_more_room():
    widths = [float(ET.fromstring(badge("word", "x" * n)).get("width")) for n in (1, 10, 20)]
    assert widths == sorted(set(widths))


PLUGIN = """
import nasplug as nas

class Ones:
    \"\"\"One for every network.\"\"\"

    def __init__(self, broken=False):
        self.broken = broken

    @nas.hookimpl
    def cost(self, candidate, target):
        return {"ones": float("nan") if WRONG else 1.0}

@nas.hookimpl
def register(catalog):
    catalog.cost("ones", "ones:Ones", summary="One for every network.")
"""


@pytest.mark.parametrize(("wrong", "word", "kind"), [("False", "passed", "good"), ("True", "failed", "bad")])
def test_the_command_draws_the_outcome(tmp_path, monkeypatch, wrong, word, kind):
    (tmp_path / f"ones_{kind}.py").write_text(PLUGIN.replace("WRONG", wrong).replace("ones:Ones", f"ones_{kind}:Ones"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    words = ["--plugin", f"ones_{kind}.py", "test-plugin", f"ones_{kind}", "--badge", "out/conformance.svg"]
    assert main(words) == (0 if kind == "good" else 1)
    drawn = (tmp_path / "out" / "conformance.svg").read_text()
    assert word in drawn
    assert COLOURS[kind] in drawn


def test_a_badge_of_some_tests_is_refused(tmp_path, capsys):
    assert main(["test-plugin", "builtin", "-k", "x", "--badge", str(tmp_path / "b.svg")]) == 2
    assert "a badge speaks for all tests" in capsys.readouterr().err


def test_badges_of_the_readme_say_what_is_so():
    file = ROOT / "docs" / "badges.py"
    spec = importlib.util.spec_from_file_location("badges", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, drawn in module.badges().items():
        assert (module.FOLDER / f"{name}.svg").read_text() == drawn, "run `python docs/badges.py`"
        assert f"badges/{name}.svg" in (ROOT / "README.md").read_text()

"""The generated reference: a page for every hook, in the order of calls, and the public names by topic."""

from __future__ import annotations

import importlib.util

import nasplug
from nasplug.contract.hookspecs import StudySpecs
from tests.docs.pages import ROOT


def reference():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "site" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_hook_has_its_page_and_its_place_in_the_order_of_calls(tmp_path):
    module = reference()
    module.write(tmp_path)
    hooks = {name for name in vars(StudySpecs) if not name.startswith("_")} | {"register"}
    assert {path.stem for path in (tmp_path / "hooks").glob("*.md")} == hooks
    assert all(lane in module.LANES for lane, _, _ in module.ORDER)
    text = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    assert [hook for hook in hooks if f"### `{hook}(" not in text] == []


def test_every_name_of_a_topic_is_public():
    named = {name for _, _, names in reference().TOPICS.values() for name in names}
    assert named - set(nasplug.__all__) == set()

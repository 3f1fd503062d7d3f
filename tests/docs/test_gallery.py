"""The gallery shows what its script draws, of spaces that exist."""

from __future__ import annotations

import importlib.util

import pytest

from nasplug.plugins.discovery import discover
from tests.docs.pages import ROOT

SPEC = importlib.util.spec_from_file_location("gallery", ROOT / "docs" / "gallery.py")
assert SPEC is not None
assert SPEC.loader is not None
gallery = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(gallery)


def test_every_picture_is_there_and_shown():
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    for slug in gallery.SPACES:
        for theme in ("light", "dark"):
            assert f"(pictures/{slug}-{theme}.svg)" in page
            assert (ROOT / "docs" / "pictures" / f"{slug}-{theme}.svg").is_file()
    assert page.count("## `") == len(gallery.SPACES)


def test_its_spaces_are_registered():
    assert set(gallery.SPACES) <= set(discover().catalog.names("space"))


@pytest.mark.parametrize("slug", ["nasbench201", "tabular_mlp"])
def test_drawing_again_gives_the_same_picture(slug, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "PICTURES", tmp_path)
    arguments, _ = gallery.SPACES[slug]
    text = gallery.drawn(slug, arguments)
    again = (tmp_path / f"{slug}-light.svg").read_text(encoding="utf-8")
    assert text in (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    gallery.drawn(slug, arguments)
    assert (tmp_path / f"{slug}-light.svg").read_text(encoding="utf-8") == again
    assert "#e4e8ee" not in again

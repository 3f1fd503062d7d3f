"""The model card, as people and as hubs read it."""

from __future__ import annotations

import re

import pytest
import yaml

from nasplug.export.card import _flow, _use, card
from nasplug.export.exporter import Folder, Found, ModelCard
from nasplug.ledger.intervals import share


@pytest.fixture
def page(found):
    study = found("grey")
    return study, card(Found.of(study, study.best))


def test_it_says_what_was_searched_and_what_came_out(page):
    study, text = page
    best = study.best
    assert f"trial {best.number} of 2 trials" in text
    assert "trained for 3 epochs" in text
    low, high = share(best.metrics["val_acc"], 80)
    assert f"| val_acc | {best.metrics['val_acc']:.6g} [{low:.6g}, {high:.6g}] |" in text
    assert "Intervals are of 95 %" in text
    assert f"| params | {best.costs['params']:.6g} |" in text
    assert "Classes, in order: `across`, `down`." in text
    assert "Preprocessing, size: `[12, 10]`" in text
    assert "| torch |" in text
    assert "tests.export.conftest.SmallNetworks" in text
    assert not re.search(r"TODO|TBD|\[More Information|license", text, re.IGNORECASE)


def test_hubs_can_read_its_header(page):
    study, text = page
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["library_name"] == "nasplug"
    assert header["pipeline_tag"] == "image-classification"
    (model,) = header["model-index"]
    metrics = {item["type"]: item["value"] for item in model["results"][0]["metrics"]}
    assert metrics["val_acc"] == pytest.approx(study.best.metrics["val_acc"], abs=1e-6)


def test_the_hubs_own_library_accepts_it(found, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    study = found("grey")
    Folder().export(Found.of(study, study.best), tmp_path)
    loaded = hub.ModelCard.load(tmp_path / "README.md")
    assert loaded.data.library_name == "nasplug"
    assert loaded.data.eval_results[0].dataset_name == "grey"


def test_the_exporter_names_its_file(found, tmp_path):
    study = found("grey")
    written = ModelCard("CARD.md").export(Found.of(study, study.best), tmp_path)
    assert written == {"card": tmp_path / "CARD.md"}


@pytest.mark.parametrize("kind", ["image", "volume", None])
def test_the_formula_of_pixels_is_that_of_images(found, kind):
    study = found("grey")
    facts = {"preprocessing": None if kind is None else {"kind": kind, "size": [3, 4]}}
    text = _flow(Found.of(study, study.best), facts)
    assert ("((p - low) / (high - low) - mean) / std" in text) == (kind == "image")
    assert ("Preprocessing, size: `[3, 4]`" in text) == (kind is not None)


def test_settings_are_written_as_json_and_none_in_words(found):
    study = found("grey")
    facts = {"preprocessing": {"kind": "volume", "spacing": None, "intensity": ({"kind": "zscore", "low": 0.0},)}}
    text = _flow(Found.of(study, study.best), facts)
    assert "* Preprocessing, spacing: not set." in text
    assert '* Preprocessing, intensity: `[{"kind": "zscore", "low": 0.0}]`.' in text


@pytest.mark.parametrize(
    ("kind", "line"), [("image", "FILE ...\n"), ("volume", "FILE ... --out MASKS\n"), ("text", None)]
)
def test_how_files_are_predicted(found, kind, line):
    study = found("grey")
    text = _use(Found.of(study, study.best), {"preprocessing": {"kind": kind}, "needs": {"sources": []}})
    assert ("nasplug predict FOLDER" in text) == (line is not None)
    assert line is None or line in text


def test_files_that_another_program_uses_say_so(found):
    study = found("grey")
    text = card(Found.of(study, study.best), "Give them to it.")
    assert "## Use\n\nGive them to it.\n\n## Versions" in text
    assert "read_bundle" not in text

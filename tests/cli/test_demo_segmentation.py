"""`nasplug demo --task segmentation`."""

from __future__ import annotations

import time

import numpy as np
import pytest
import yaml

from nasplug.cli import demo_segmentation, main
from nasplug.optional import available

pytestmark = pytest.mark.skipif(not available("nilearn"), reason="needs the extra medical")


def test_what_is_missing_is_named_before_anything_runs(cli, monkeypatch, tmp_path):
    monkeypatch.setattr(demo_segmentation, "available", lambda module: module != "monai")
    done = cli("demo", "--task", "segmentation", "--out", "here")
    assert done.code == 3
    assert "monai is not installed" in done.err
    assert "nasplug[train,medical]" in done.err
    assert not (tmp_path / "here").exists()


def test_images_and_masks_stand_beside_each_other():
    image, mask = (
        np.zeros(
            (
                20,
                30,
            )
        ),
        np.zeros((20, 30), np.uint8),
    )
    image[:10], mask[:10, 15:] = 1, 3
    lines = demo_segmentation._beside([image, mask, mask])
    assert len({len(line) for line in lines[:-1]}) == 1
    assert lines[0].split() == ["image", "truth", "answer"]
    assert lines[1].count("@") == 12
    assert lines[1].count("x") == 24  # the upper left quarter, twice
    assert lines[-2].count("x") == 0


@pytest.mark.slow
def test_the_promise(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NASPLUG_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    started = time.perf_counter()
    assert main(["demo", "--task", "segmentation", "--trials", "4", "--out", "here"]) == 0
    assert time.perf_counter() - started < 240
    out = capsys.readouterr().out
    assert "one brain, the average of 152" in out
    assert "Dice of this block" in out
    assert "Segmentation by trial" in (tmp_path / "here" / "report.html").read_text()
    assert yaml.safe_load((tmp_path / "here" / "search.yaml").read_text())["task"]["segmentation"]["data"]

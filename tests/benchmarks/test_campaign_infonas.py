"""The part of the campaign that asks what labels of trained cells are worth to info-NAS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_every_draw_waits_for_the_labels(tmp_path):
    from campaign_tasks import infonas
    from campaign_tasks.entries import Settings

    labels, *draws = infonas.entries(Settings(tmp_path / "out", tmp_path, "cpu", 1.0, 1))

    assert labels.arguments["networks"] == 608
    assert len(draws) == 10
    assert {entry.needs for entry in draws} == {(labels.key,)}
    assert {entry.weights for entry in draws} == {infonas.LABELS}


def test_draws_are_compared_in_pairs():
    from campaign_tasks import infonas

    rows = [
        {name: {"20": value + draw / 10} for name, value in {"one_hot": 0.3, "labels_dense": 0.5}.items()}
        for draw in range(3)
    ]
    done = [
        {"name": f"arms-{draw}", "arguments": {"seed": draw, "options": {}}, "result": {"rows": each}}
        for draw, each in enumerate(rows)
    ]
    done.append({"name": "labels", "arguments": {"networks": 3}, "result": {"networks": 3}})

    found = infonas.summary(done)

    assert found["seeds"] == [0, 1, 2]
    assert found["labels"] == {"networks": 3}
    lead = found["differences"]["labels_dense_over_one_hot"]["20"]
    assert (lead["low"], lead["mean"], lead["high"]) == pytest.approx((0.2, 0.2, 0.2))
    assert infonas.summary(done[-1:]) == {"seeds": [], "settings": {"networks": 3}, "labels": {"networks": 3}}


def test_cells_are_labelled_by_what_they_compute(tmp_path):
    from campaign_tasks import infonas
    from campaign_tasks.entries import Settings
    from nasplug_infonas.iodata import IOData

    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (240, 8, 8, 3)).astype(np.uint8)
    labels = rng.integers(0, 10, 240).astype(np.uint8)
    np.savez(
        tmp_path / infonas.IMAGES, x_train=images[:220], y_train=labels[:220], x_test=images[220:], y_test=labels[220:]
    )
    settings = Settings(tmp_path / "out", tmp_path, "cpu", 0.001, 1)

    found = infonas.labels(infonas.entries(settings)[0].arguments, settings)

    data = IOData.load(settings.out / infonas.LABELS)
    assert found["networks"] == len(data.networks) <= 4
    assert found["images"] == len(data.images) == 20

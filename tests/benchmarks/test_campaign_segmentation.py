"""The segmentation part of the campaign: what is asked, and what is made of the answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def entries(tmp_path, scale):
    from campaign_tasks import segmentation
    from campaign_tasks.entries import Settings

    return segmentation.entries(Settings(tmp_path / "out", tmp_path, "cpu", scale, 1))


def test_volumes_come_first_and_every_seed_has_all_arms(tmp_path):
    import segmentation_search

    found = entries(tmp_path, 1.0)
    assert len({entry.name for entry in found}) == len(found)
    per_seed = len(found) // segmentation_search.SCALES["full"].seeds
    assert [entry.arguments["seed"] for entry in found[: per_seed + 1]] == [0] * per_seed + [1]
    arms = {entry.arguments["arm"] for entry in found[:per_seed]}
    assert arms == {*segmentation_search.SEARCHES, *segmentation_search.BASELINES}
    assert {entry.arguments["data_set"] for entry in found} == set(segmentation_search.DATA)
    assert found[0].name == "hippocampus_3d-dynunet-0"
    assert {entry.arguments["scale"] for entry in entries(tmp_path, 0.01)} == {"tiny"}


def test_the_scales_of_the_campaign_have_a_patch_for_every_data_set(tmp_path):
    import segmentation_search

    for scale in (1.0, 0.01):
        for entry in entries(tmp_path, scale):
            patch = segmentation_search.SCALES[entry.arguments["scale"]].patch[entry.arguments["data_set"]]
            assert len(patch) == (3 if entry.arguments["data_set"].endswith("3d") else 2)


def result(dice):
    cases = {str(number): {"dice": [dice, dice + 0.01 * number], "hd95": [1.0, 2.0]} for number in range(4)}
    costs = {"params": 10, "macs": 100, "search_seconds": 5.0, "train_seconds": 2.0}
    return {"cases": cases, "classes": ["a", "b"], **costs}


def test_arms_are_compared_over_the_seeds_that_both_have(tmp_path):
    from campaign_tasks import segmentation

    done = []
    for arm, seeds, dice in (("unet_emonas", (1, 2), 0.81), ("dynunet", (0, 1), 0.8), ("unet", (2,), 0.5)):
        for seed in seeds:
            told = {"data_set": "acdc", "arm": arm, "seed": seed, "scale": "full"}
            done.append({"arguments": told, "result": result(dice + 0.1 * (seed == 2))})
    found = segmentation.summary(done)
    assert found["seeds"] == [0, 1, 2]
    table = found["results"]["acdc"]
    assert table["unet_emonas"]["to_dynunet"]["points"] == pytest.approx(1.0)
    assert table["unet_emonas"]["to_dynunet"]["patients"] == 4
    assert table["unet_emonas"]["seeds"] == [1, 2]
    assert table["unet_emonas"]["of_dynunet"] == {"params": 1.0, "macs": 1.0, "searches": 2.5}
    assert "to_dynunet" not in table["unet"], "no seed in common"
    assert "to_dynunet" not in table["dynunet"]
    json.dumps(found)

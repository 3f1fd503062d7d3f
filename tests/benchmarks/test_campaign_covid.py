"""The part of the campaign on slices of chest CT: what is asked, and what is made of the answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_every_seed_has_all_networks(tmp_path):
    import covid_ct
    from campaign_tasks import covid
    from campaign_tasks.entries import Settings

    found = covid.entries(Settings(tmp_path / "out", tmp_path, "cpu", 1.0, 1))
    names = {covid_ct.FOUND, *covid_ct.PEERS}
    assert len(found) == covid_ct.SCALES["full"].seeds * len(names)
    assert {entry.arguments["network"] for entry in found[: len(names)]} == names


def test_the_found_network_is_compared_over_the_seeds_that_both_have():
    from campaign_tasks import covid

    told = {"enhanced_qnas": {0: 0.7, 1: 0.8}, "resnet18": {0: 0.6, 1: 0.6, 2: 0.1}, "vgg11_bn": {2: 0.5}}
    done = [
        {
            "arguments": {"network": name, "seed": seed, "scale": "full"},
            "result": {"params": 10, "search_seconds": 0.0, "balanced_accuracy": value, "auc": value},
        }
        for name, by_seed in told.items()
        for seed, value in by_seed.items()
    ]
    found = covid.summary(done)
    assert found["seeds"] == [0, 1, 2]
    row = found["results"]["resnet18"]
    assert row["seeds"] == [0, 1, 2]
    over = row["found_over_this"]["balanced_accuracy"]
    assert over["mean"] == pytest.approx(0.15)
    half = 12.706 * np.std([0.1, 0.2], ddof=1) / np.sqrt(2)
    assert (over["low"], over["high"]) == pytest.approx((0.15 - half, 0.15 + half), abs=1e-4)
    assert "found_over_this" not in found["results"]["vgg11_bn"], "no seed in common"
    assert "found_over_this" not in found["results"]["enhanced_qnas"]
    assert found["results"]["vgg11_bn"]["auc"]["low"] is None


def test_a_source_in_two_parts_is_refused():
    import covid_ct

    y, group = np.array([0, 0, 1, 1]), np.array([1, 1, 1, 2])
    covid_ct.check_sources(np.array([0, 0, 1, 2]), group, y)  # groups are numbered within a class
    with pytest.raises(SystemExit, match=r"source 1 of class 0 is in parts \[0, 1\]"):
        covid_ct.check_sources(np.array([0, 1, 1, 2]), group, y)


@pytest.mark.parametrize(("name", "millions"), [("resnet18", 11.2), ("googlenet", 5.6), ("vgg11_bn", 128.8)])
def test_peers_take_grey_slices_and_answer_two_classes(name, millions):
    import covid_ct
    import torch

    with torch.device("meta"):
        network = covid_ct.peer(name, None)
        assert network.eval()(torch.empty(2, 1, 32, 32)).shape == (2, 2)
    assert sum(each.numel() for each in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)

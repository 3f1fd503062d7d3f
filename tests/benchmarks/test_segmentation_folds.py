"""The comparison of segmentation networks over folds: how patients are parted, and what is made of the folds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import segmentation_folds

    return segmentation_folds


def slices(count=20):
    """Arrays of slices: three of each patient, and every fourth patient in the second group."""
    patient = np.repeat(np.arange(count), 3)
    return {"labels": np.zeros((len(patient), 4, 4)), "patient": patient, "group": (patient % 4 == 0).astype(int)}


def test_searches_and_folds_have_patients_of_their_own_from_every_group(benchmark):
    searching, folding = benchmark.parted(slices(), 8, 12)
    assert sorted(searching + folding) == list(range(20))
    assert sum(patient % 4 == 0 for patient in searching) == 2
    assert sum(patient % 4 == 0 for patient in folding) == 3
    assert benchmark.parted(slices(), 8, 0)[1] == folding
    volumes = {"labels": np.zeros((9, 2, 2, 2))}  # without names, each is a patient
    assert [len(part) for part in benchmark.parted(volumes, 4, 3)] == [4, 3]


def test_archives_hold_whole_patients_and_no_division(benchmark, tmp_path):
    arrays = slices()
    np.savez(tmp_path / "all.npz", **arrays, split=arrays["group"], classes=np.array(["a", "b"]))
    plan = benchmark.Plan(benchmark.PLANS["tiny"]["acdc"].scale, 8, 0, 2)
    seen = []
    for path in benchmark.archives(tmp_path / "all.npz", plan, tmp_path):
        with np.load(path) as file:
            assert "split" not in file.files
            assert file["classes"].tolist() == ["a", "b"]
            seen.append(sorted(file["patient"].tolist()))
    assert sorted(seen[0] + seen[1]) == sorted(arrays["patient"].tolist())
    assert not set(seen[0]) & set(seen[1])
    assert len(list(tmp_path.glob("*.npz"))) == 3


def fold(number, dice, params, seconds=10.0):
    cases = {f"p{number}{case}": {"dice": [dice, dice + 0.02 * case], "hd95": [1.0, float("nan")]} for case in range(3)}
    costs = {"params": params, "macs": 10 * params, "latency_s": 1.0, "energy_j": 2.0}
    return {"cases": cases, "classes": ["a", "b"], "train_seconds": seconds, **costs}


def arm(dices, params, searched=0.0):
    found = {"genotype": ["x"], "search_seconds": searched, "trained_trials": 3}
    return found, [fold(number, dice, params) for number, dice in enumerate(dices)]


def test_arms_are_compared_over_folds_and_by_patient(benchmark):
    arms = {
        "dynunet": {0: arm((0.7, 0.8), 90)},
        "unet_emonas": {0: arm((0.71, 0.81), 30, 50.0)},
        "segqnas_qnas": {0: arm((0.69, 0.795), 30, 50.0)},
        "segqnas_random": {0: arm((0.71, 0.81), 31, 50.0)},
        "segqnas_evolution": {0: arm((0.71, 0.81), 30, 101.0)},
        "unet": {},
    }
    found = benchmark.table(arms)
    assert "unet" not in found
    assert found["dynunet"]["dice_of_fold"] == pytest.approx([0.71, 0.81])
    assert found["dynunet"]["dice"] == pytest.approx(0.76)
    assert found["dynunet"]["dice_spread"] == pytest.approx(0.1 / np.sqrt(2))
    assert found["dynunet"]["dice_of_class"]["b"]["mean"] == pytest.approx(0.77)
    assert found["dynunet"]["hd95"] == 1.0, "a class that no case holds is left out"
    assert "to_dynunet" not in found["dynunet"]
    better = found["unet_emonas"]
    assert better["to_dynunet"]["points"] == pytest.approx(1.0)
    assert better["to_dynunet"]["patients"] == 6
    assert better["points_of_seed"] == {"0": pytest.approx(1.0)}
    assert better["of_dynunet"] == {"params": 1 / 3, "macs": 1 / 3, "latency_s": 1, "energy_j": 1, "searches": 5}
    reached = {name: told.get("target_reached") for name, told in found.items()}
    assert reached == {
        "dynunet": None,
        "unet_emonas": True,
        "segqnas_qnas": False,  # below in the interval
        "segqnas_random": False,  # too large
        "segqnas_evolution": False,  # too costly to find
    }
    json.dumps(found)


def test_searches_of_one_space_are_compared_with_the_blind_one(benchmark):
    arms = {
        "dynunet": {0: arm((0.7, 0.8), 90)},
        "segqnas_qnas": {0: arm((0.69, 0.79), 30), 1: arm((0.1, 0.1), 30)},
        "segqnas_random": {0: arm((0.68, 0.78), 30)},
        "segqnas_evolution": {},
    }
    found = benchmark.over_random(arms)
    assert set(found) == {"segqnas_qnas"}
    assert found["segqnas_qnas"]["points"] == pytest.approx(1.0)
    assert found["segqnas_qnas"]["seeds"] == [0]
    assert benchmark.over_random({"segqnas_qnas": arms["segqnas_qnas"]}) == {}
    told = benchmark.of_patients(arms)
    assert set(told) == {"dynunet", "segqnas_qnas", "segqnas_random"}
    assert told["dynunet"] == {"0": pytest.approx([0.7, 0.71, 0.72, 0.8, 0.81, 0.82])}


def test_distances_have_a_unit(benchmark):
    for plans in benchmark.PLANS.values():
        assert {benchmark.UNITS[name] for name in plans} <= {"mm", "pixels"}


def test_a_patient_in_two_folds_is_noticed(benchmark):
    twice = [fold(0, 0.7, 1), fold(0, 0.7, 1)]
    with pytest.raises(AssertionError, match="patients of fold 1 are in an earlier one"):
        benchmark._merged(twice)


def test_the_campaign_asks_for_searches_before_their_folds(benchmark, tmp_path):
    from campaign_tasks import folds
    from campaign_tasks.entries import Settings

    for scale in (1.0, 0.01):
        found = folds.entries(Settings(tmp_path / "out", tmp_path, "cpu", scale, 1))
        known = set()
        for entry in found:
            assert set(entry.needs) <= known
            assert ("fold" in entry.arguments) == bool(entry.needs)
            known.add(entry.key)
        assert len(known) == len(found)
    plan = benchmark.PLANS["tiny"]["acdc"]
    told = {"data_set": "acdc", "arm": "dynunet", "seed": 0, "scale": "tiny"}
    search, trained = arm((0.7, 0.8), 90)
    done = [{"arguments": told, "result": search}]
    done += [{"arguments": {**told, "fold": n}, "result": one} for n, one in enumerate(trained)]
    assert len(trained) == plan.folds
    summary = folds.summary(done)
    assert summary["results"]["acdc"]["dynunet"]["seeds"] == [0]
    assert folds.summary(done[:2])["results"] == {}, "a fold is missing"

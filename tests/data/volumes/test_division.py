from __future__ import annotations

import pytest

from nasplug.contract.errors import DataError, SpecError
from nasplug.data.volumes import Folds, divide, divisions
from nasplug.data.volumes.facts import CaseFacts, Channel, Fingerprint


def facts(count=20, patients=None, voxels=None, split="", fold=None):
    names = patients or [f"p{i:02d}" for i in range(count)]
    cases = [
        CaseFacts(
            f"case{i:02d}",
            names[i],
            (8, 8, 8),
            (1.0, 1.0, 1.0),
            "RAS",
            (voxels or {}).get(i, (9, 9, 9)),
            (0.0,),
            (1.0,),
            split[i] if isinstance(split, list) else split,
            None if fold is None else fold[i],
        )
        for i in range(count)
    ]
    channels = (Channel("MRI", 0, 1, 2, 1, 1),)
    return Fingerprint("here", ("background", "core", "shell"), channels, tuple(cases))


def test_every_case_is_in_one_part():
    parts = divide(facts(), Folds())
    assert sorted(parts.train + parts.val + parts.test) == list(range(20))
    assert [len(part) for part in (parts.train, parts.val, parts.test)] == [12, 4, 4]


def test_folds_validate_every_case_once_and_share_the_test():
    found = divisions(facts(), Folds(count=4))
    assert sorted(case for parts in found for case in parts.val) == sorted(set(range(20)) - set(found[0].test))
    assert {parts.test for parts in found} == {found[0].test}
    assert all(not set(parts.train) & set(parts.val) for parts in found)
    assert divide(facts(), Folds(count=4, fold=2)) == found[2]
    assert divide(facts(), Folds(count=4), 3) == found[3]


def test_patients_stay_together():
    patients = [f"p{i // 4}" for i in range(20)]
    for parts in divisions(facts(patients=patients), Folds(count=2)):
        for part in (parts.train, parts.val, parts.test):
            assert {i // 4 for i in part}.isdisjoint({i // 4 for i in range(20) if i not in part})


def test_the_seed_moves_folds_and_no_test():
    first, second = (divide(facts(), Folds(count=3, seed=seed)) for seed in (0, 1))
    assert first.test == second.test
    assert first.val != second.val
    assert divide(facts(), Folds(test_fraction=0)).test == ()


def test_what_the_source_says_is_kept():
    split = ["train"] * 10 + ["val"] * 5 + ["test"] * 5
    parts = divide(facts(split=split), Folds())
    assert (parts.train, parts.val, parts.test) == (tuple(range(10)), tuple(range(10, 15)), tuple(range(15, 20)))


@pytest.mark.parametrize(
    ("voxels", "folds", "match"),
    [
        (dict.fromkeys(range(1, 20), (9, 9, 0)), Folds(), "class 'shell' is absent from the .* part"),
        (dict.fromkeys(range(1, 20), (9, 9, 0)), Folds(count=4), "class 'shell' is absent from the .* part"),
    ],
)
def test_a_class_that_is_absent(voxels, folds, match):
    with pytest.raises(DataError, match=match) as error:
        divide(facts(voxels=voxels), folds)
    assert "it occurs in" in str(error.value)
    assert "fewer folds" in str(error.value)


def test_a_class_that_nobody_has():
    with pytest.raises(DataError, match="class 'shell' is absent from all cases") as error:
        divide(facts(voxels=dict.fromkeys(range(20), (9, 9, 0))), Folds())
    assert "out of the list of classes" in str(error.value)
    assert "folds" not in str(error.value)


def test_the_fold_without_a_class_is_named():
    found = divisions(facts(), Folds(count=4))
    voxels = dict.fromkeys(found[2].val, (9, 0, 9))
    with pytest.raises(DataError, match="'core' is absent from the validation part of fold 2"):
        divisions(facts(voxels=voxels), Folds(count=4))


def test_too_few_patients():
    with pytest.raises(DataError, match=r"2 patients beside the 1 patient of the test cannot make 3 folds"):
        divide(facts(3), Folds(count=3))
    with pytest.raises(DataError, match=r"cannot make a training and a validation part(.|\n)*test_fraction: 0"):
        divide(facts(2), Folds())
    with pytest.raises(DataError, match=r"^here: 1 patient cannot make(.|\n)*add patients$"):
        divide(facts(1), Folds(test_fraction=0))


def test_a_patient_in_two_parts_or_folds():
    patients = ["a", "a", "b", "c"]
    with pytest.raises(DataError, match="patient 'a' is in two parts: train and val"):
        divide(facts(4, patients, split=["train", "val", "train", "test"]), Folds())
    with pytest.raises(DataError, match="patient 'a' is in two folds: 0 and 1"):
        divide(facts(4, patients, fold=[0, 1, 0, 1]), Folds(count=2))


@pytest.mark.parametrize("bad", [{"count": 0}, {"count": 3, "fold": 3}, {"val_fraction": 0}, {"test_fraction": 1}])
def test_bad_settings(bad):
    with pytest.raises(SpecError):
        Folds(**bad)

"""Division of cases into training, validation and test: by patient, and only if every class is everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nasplug.contract.errors import DataError
from nasplug.contract.wording import plural
from nasplug.data.splits import TEST_SEED
from nasplug.data.volumes.facts import CaseFacts, Fingerprint
from nasplug.data.volumes.settings import Folds


@dataclass(frozen=True, slots=True)
class Parts:
    """Positions of cases.

    Attributes:
        train: Cases to train on.
        val: Cases that score a training.
        test: Cases for the final test; the same in every fold.
    """

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]


def divide(facts: Fingerprint, folds: Folds, fold: int | None = None) -> Parts:
    """Divides the cases of a data set.

    Args:
        facts: Fingerprint of the data set.
        folds: Settings of the division.
        fold: Fold that validates; None means that of the settings.

    Raises:
        DataError: A patient is in two parts, there are too few patients, or a class is absent from a part.
    """
    return divisions(facts, folds)[folds.fold if fold is None else fold]


def divisions(facts: Fingerprint, folds: Folds) -> tuple[Parts, ...]:
    """Returns the division of each fold.

    Args:
        facts: Fingerprint of the data set.
        folds: Settings of the division.

    Raises:
        DataError: As for `divide`.
    """
    patients = _patients(facts)
    test = _test(facts, patients, folds)
    rest = [patient for patient in patients if patient not in test]
    held = _validation(facts, patients, rest, folds)
    found = []
    for fold, names in enumerate(held):
        parts = Parts(
            _cases(patients, (patient for patient in rest if patient not in names)),
            _cases(patients, names),
            _cases(patients, test),
        )
        label = f"fold {fold}" if len(held) > 1 else ""
        _check(facts, parts, label)
        found.append(parts)
    return tuple(found)


def _patients(facts: Fingerprint) -> dict[str, list[int]]:
    """Positions of the cases of each patient; refuses a patient in two parts or folds."""
    found: dict[str, list[int]] = {}
    for position, case in enumerate(facts.cases):
        found.setdefault(case.patient, []).append(position)
    for patient, positions in found.items():
        cases = [facts.cases[position] for position in positions]
        for what, values in (("part", {c.split for c in cases}), ("fold", {c.fold for c in cases})):
            if len(values) > 1:
                raise DataError(
                    f"patient {patient!r} is in two {what}s: {' and '.join(sorted(str(value) for value in values))}",
                    where=facts.where,
                    why="images of one patient are alike, so that scores would be too good",
                    fix=f"put all cases of a patient into one {what}",
                )
    return found


def _test(facts: Fingerprint, patients: dict[str, list[int]], folds: Folds) -> set[str]:
    given = {case.patient for case in facts.cases if case.split == "test"}
    if given or folds.test_fraction == 0.0:
        return given
    free = sorted(patient for patient in patients if facts.cases[patients[patient][0]].split in ("", "train"))
    count = max(1, round(folds.test_fraction * len(patients)))
    drawn = np.random.default_rng(TEST_SEED).permutation(len(free))[:count]
    return {free[i] for i in drawn}


def _validation(
    facts: Fingerprint, patients: dict[str, list[int]], rest: Sequence[str], folds: Folds
) -> list[list[str]]:
    """Patients that validate in each fold."""
    first = {patient: facts.cases[patients[patient][0]] for patient in rest}
    named = {patient: case.fold for patient, case in first.items() if case.fold is not None}
    if named and folds.count > 1:
        missing = sorted(set(range(folds.count)) - set(named.values()))
        if missing:
            raise DataError(
                f"the source has no fold {missing[0]}, and {folds.count} were asked for",
                where=facts.where,
                fix=f"set folds.count to {len(set(named.values()))}",
            )
        return [[patient for patient in rest if named.get(patient) == fold] for fold in range(folds.count)]
    given = [patient for patient, case in first.items() if case.split == "val"]
    if folds.count == 1 and given:
        return [given]
    least = max(2, folds.count)
    if len(rest) < least:
        tested = len(patients) - len(rest)
        parts = "a training and a validation part" if folds.count == 1 else plural(folds.count, "fold")
        beside = f" beside the {plural(tested, 'patient')} of the test" if tested else ""
        raise DataError(
            f"{plural(len(rest), 'patient')}{beside} cannot make {parts}",
            where=facts.where,
            why="patients are never divided, and every part needs one",
            fix=("set a smaller folds.count" if folds.count > 1 else "add patients")
            + (", or folds.test_fraction: 0" if tested else ""),
        )
    shuffled = [sorted(rest)[i] for i in np.random.default_rng(folds.seed).permutation(len(rest))]
    if folds.count == 1:
        return [shuffled[: min(len(rest) - 1, max(1, round(folds.val_fraction * len(patients))))]]
    return [shuffled[fold :: folds.count] for fold in range(folds.count)]


def _cases(patients: dict[str, list[int]], names: Iterable[str]) -> tuple[int, ...]:
    return tuple(sorted(position for name in names for position in patients[name]))


def _check(facts: Fingerprint, parts: Parts, fold: str) -> None:
    for part in ("train", "val", "test"):
        positions: tuple[int, ...] = getattr(parts, part)
        if not positions:
            if part == "test":
                continue
            raise DataError(
                f"no case is left for {part}", where=facts.where, fix="use fewer folds or other fractions under `folds`"
            )
        totals = np.sum([facts.cases[position].voxels for position in positions], axis=0)
        for name, total in list(zip(facts.classes, totals.tolist(), strict=True))[1:]:
            if total == 0:
                place = " of ".join(filter(None, (f"the {_PARTS[part]} part", fold)))
                count = _holders(facts.cases, facts.classes.index(name))
                raise DataError(
                    f"the class {name!r} is absent from {place if count else 'all cases'}",
                    where=facts.where,
                    why=f"it occurs in {plural(count, 'case')} of {len(facts.cases)}",
                    fix="use fewer folds, another folds.seed, or leave the class out"
                    if count
                    else "take it out of the list of classes, or correct the values of the labels",
                )


def _holders(cases: Sequence[CaseFacts], index: int) -> int:
    """Number of cases that hold a class."""
    return sum(case.voxels[index] > 0 for case in cases)


_PARTS = {"train": "training", "val": "validation", "test": "test"}

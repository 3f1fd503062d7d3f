"""Folders as the Medical Segmentation Decathlon has them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasplug.contract.errors import DataError
from nasplug.data.source import existing_folder
from nasplug.data.volumes.case import Case, CaseList, Volume
from nasplug.data.volumes.nifti import read_case, stem
from nasplug.data.volumes.source import VolumeSource, listed


class Decathlon(VolumeSource):
    r"""Reads a folder with `dataset.json`, `imagesTr` and `labelsTr`, as the Medical Segmentation Decathlon has them.

    The cases are those under `training` in `dataset.json`; those under `test` have no label and are not used. A 4-D
    image is one with as many channels as `modality` lists.

    Args:
        path: The folder.
        patient: Regular expression whose first group, searched in the name of a case, names its patient, such as
            `(sub-\d+)`; None takes every case for a patient.
    """

    def __init__(self, path: str, patient: str | None = None) -> None:
        self.path = path
        self.patient = patient

    @property
    def name(self) -> str:
        """Name of the folder."""
        return Path(self.path).name

    def load(self) -> CaseList:
        """See the base class."""
        folder = existing_folder(self.path, "Decathlon")
        about = read_json(folder / "dataset.json")
        labels = _numbered(about, "labels", folder)
        modality = _numbered(about, "modality", folder)
        training = about.get("training")
        if not isinstance(training, list):
            raise DataError("dataset.json has no list `training`", where=str(folder), fix="list images and labels")
        cases: list[Case] = []
        for entry in training:
            image, label = (entry.get("image"), entry.get("label")) if isinstance(entry, Mapping) else (entry, None)
            if not isinstance(image, str):
                raise DataError(
                    f"cannot read the entry {entry!r:.100} of `training`",
                    where=str(folder),
                    fix='write {"image": "imagesTr/NAME.nii.gz", "label": "labelsTr/NAME.nii.gz"}',
                )
            cases.append(labelled(stem(image), folder / image, folder / label if label else None, self.patient))
        found = listed(cases, str(folder), "list them under `training` in dataset.json")
        files = tuple(path for case in found for path in (*case.images, case.label) if path is not None)
        return CaseList(
            found,
            tuple(labels.values()),
            tuple(modality.values()),
            str(folder),
            tuple(labels),
            (folder / "dataset.json", *files),
        )

    def read(self, case: Case, cases: CaseList) -> Volume:
        """See the base class."""
        return read_case(case, cases)


def labelled(name: str, image: Path, label: Path | None, patient: str | None = None) -> Case:
    """Returns a case whose two files are there.

    Args:
        name: Name of the case.
        image: File of the image.
        label: File of the mask, if one is named.
        patient: Regular expression that finds the patient in the name.

    Raises:
        DataError: One of the files is missing.
    """
    if not image.is_file():
        raise DataError(f"the image of case {name!r} is missing", where=str(image), fix="add the file or drop the case")
    if label is None or not label.is_file():
        raise DataError(
            f"case {name!r} has no label",
            where=str(label or image),
            fix="add the label, or move the image to the cases without labels (imagesTs)",
        )
    return Case(name, patient_of(name, patient), (image,), label)


def patient_of(name: str, pattern: str | None) -> str:
    """Returns the patient of a case.

    Args:
        name: Name of the case.
        pattern: Regular expression; its first group, or the whole match, is the patient. None takes the name.

    Raises:
        DataError: The expression is not valid, or does not match.
    """
    if pattern is None:
        return name
    try:
        match = re.search(pattern, name)
    except re.error as error:
        raise DataError(f"{pattern!r} is not a regular expression", where="patient", why=str(error)) from error
    if match is None:
        raise DataError(
            f"the name {name!r} does not match {pattern!r}", where="patient", fix="correct the regular expression"
        )
    return match[1] if match.groups() else match[0]


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        DataError: The file is missing or not a JSON object.
    """
    if not path.is_file():
        raise DataError(f"there is no {path.name}", where=str(path.parent), fix="give the folder that holds it")
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot read {path.name}",
            where=str(path),
            why=str(error),
            fix="correct it: it must be valid JSON in UTF-8",
        ) from error
    if not isinstance(read, dict):
        raise DataError(
            f"{path.name} is not a JSON object", where=str(path), fix="write an object with names and values: {...}"
        )
    return read


def _numbered(about: Mapping[str, Any], key: str, folder: Path) -> dict[int, str]:
    """The names under a key by their numbers, in order."""
    given = about.get(key)
    if not isinstance(given, Mapping) or not given:
        raise DataError(f"dataset.json has no mapping {key!r}", where=str(folder), fix=f"add it: '{key}': {{'0': ...}}")
    try:
        return {int(number): str(name) for number, name in sorted(given.items(), key=lambda item: int(item[0]))}
    except (TypeError, ValueError) as error:
        raise DataError(
            f"the keys of {key!r} are not numbers",
            where=str(folder / "dataset.json"),
            why=str(error),
            fix=f"write {{'0': name}} under {key!r}; the source `nnunet` reads folders of nnU-Net, with {{name: 0}}",
        ) from error

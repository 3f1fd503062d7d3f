"""Raw folders of nnU-Net."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from pathlib import Path

from nasplug.contract.errors import DataError
from nasplug.data.source import existing_folder
from nasplug.data.volumes.case import Case, CaseList, Volume
from nasplug.data.volumes.decathlon import patient_of, read_json
from nasplug.data.volumes.nifti import ENDINGS, read_case
from nasplug.data.volumes.source import VolumeSource, listed

_SPLITS = 'write [{"train": [CASE, ...], "val": [CASE, ...]}, ...], or remove the file'


class NnUNet(VolumeSource):
    """Reads a raw folder of nnU-Net: `imagesTr/CASE_0000.nii.gz`, `labelsTr/CASE.nii.gz`, `dataset.json`.

    The number at the end of an image's name is its channel. `dataset.json` names `channel_names` and `labels` (by name,
    as version 2 has them). Where `splits_final.json` lies beside it, its folds are used. Regions and ignored labels are
    not read.

    Args:
        path: The folder, such as `Dataset004_Hippocampus`.
        patient: Regular expression whose first group, searched in the name of a case, names its patient; None takes
            every case for a patient.
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
        folder = existing_folder(self.path, "NnUNet")
        about = read_json(folder / "dataset.json")
        ending = str(about.get("file_ending", ".nii.gz"))
        if ending not in ENDINGS:
            raise DataError(
                f"the files end with {ending!r}", where=str(folder / "dataset.json"), fix="use .nii.gz or .nii"
            )
        channels = _channels(about, folder)
        labels = _labels(about, folder)
        images = _grouped(folder / "imagesTr", ending)
        folds = _folds(folder / "splits_final.json", images)
        for path in sorted((folder / "labelsTr").glob(f"*{ending}")):
            if path.name.removesuffix(ending) not in images:
                raise DataError(
                    f"the label {path.name!r} has no image",
                    where=str(folder / "imagesTr"),
                    fix=f"add {path.name.removesuffix(ending)}_0000{ending}, or drop the label",
                )
        cases: list[Case] = []
        for name, by_channel in images.items():
            missing = sorted(set(range(len(channels))) - set(by_channel))
            if missing:
                raise DataError(
                    f"case {name!r} has no channel {missing[0]}, {channels[missing[0]]!r}",
                    where=str(folder / "imagesTr"),
                    fix=f"add {name}_{missing[0]:04d}{ending}",
                )
            label = folder / "labelsTr" / f"{name}{ending}"
            if not label.is_file():
                raise DataError(
                    f"case {name!r} has no label", where=str(label), fix="add it, or drop the case's images"
                )
            files = tuple(by_channel[channel] for channel in range(len(channels)))
            cases.append(Case(name, patient_of(name, self.patient), files, label, fold=folds.get(name)))
        found = listed(cases, str(folder), f"put CASE_0000{ending} into imagesTr and CASE{ending} into labelsTr")
        files = tuple(path for case in found for path in (*case.images, case.label) if path is not None)
        where = str(folder)
        return CaseList(
            found, tuple(labels), channels, where, tuple(labels.values()), (folder / "dataset.json", *files)
        )

    def read(self, case: Case, cases: CaseList) -> Volume:
        """See the base class."""
        return read_case(case, cases)


def _channels(about: Mapping[str, object], folder: Path) -> tuple[str, ...]:
    given = about.get("channel_names", about.get("modality"))
    if not isinstance(given, Mapping) or not given:
        raise DataError("dataset.json has no `channel_names`", where=str(folder), fix="add it: {'0': 'MRI'}")
    if not all(str(key).isdecimal() for key in given):
        raise DataError(
            f"the keys of `channel_names` are not numbers: {', '.join(map(str, given))}",
            where=str(folder / "dataset.json"),
            fix="write the number of each channel with its name: {'0': 'MRI'}",
        )
    return tuple(str(given[key]) for key in sorted(given, key=int))


def _labels(about: Mapping[str, object], folder: Path) -> dict[str, int]:
    """Value of each class by its name, in the order of the values."""
    given = about.get("labels")
    if not isinstance(given, Mapping) or not given:
        raise DataError("dataset.json has no `labels`", where=str(folder), fix="add it: {'background': 0, 'liver': 1}")
    named: dict[str, int] = {}
    for key, value in given.items():
        name, number = (key, value) if not str(key).isdigit() else (value, int(key))
        if not isinstance(number, int):
            raise DataError(
                f"the label {name!r} has the value {number!r}",
                where=str(folder / "dataset.json"),
                why="a label is one integer, without quotes"
                if isinstance(number, str)
                else "regions, which join several values, are not supported",
                fix="give every label one integer",
            )
        twin = next((other for other, known in named.items() if known == number), None)
        if twin is not None:
            raise DataError(
                f"the labels {twin!r} and {name!r} have one value: {number}",
                where=str(folder / "dataset.json"),
                fix="give every label a value of its own",
            )
        named[str(name)] = number
    return dict(sorted(named.items(), key=lambda item: item[1]))


def _grouped(folder: Path, ending: str) -> dict[str, dict[int, Path]]:
    if not folder.is_dir():
        raise DataError("there is no imagesTr", where=str(folder.parent), fix="give a raw folder of nnU-Net")
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.glob(f"*{ending}")):
        match = re.fullmatch(r"(.+)_(\d{4})", path.name.removesuffix(ending))
        if match is None:
            raise DataError(f"{path.name!r} does not end with a channel", where=str(folder), fix="name it CASE_0000")
        found.setdefault(match[1], {})[int(match[2])] = path
    return found


def _folds(path: Path, known: Container[str]) -> dict[str, int]:
    """The fold in which each case validates, of `splits_final.json` where there is one."""
    import json

    if not path.is_file():
        return {}
    try:
        folds = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(folds, list) or not folds:
            raise ValueError("it is not a list of folds")
        pairs = [(str(name), fold) for fold, parts in enumerate(folds) for name in parts["val"]]
        training = [set(map(str, parts.get("train", ()))) for parts in folds]
    except KeyError as error:
        raise DataError("cannot read the folds", where=str(path), why=f"a fold has no {error}", fix=_SPLITS) from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError("cannot read the folds", where=str(path), why=str(error), fix=_SPLITS) from error
    found: dict[str, int] = {}
    for name, fold in pairs:
        if found.setdefault(name, fold) != fold:
            raise DataError(
                f"case {name!r} validates in folds {found[name]} and {fold}", where=str(path), fix="name it in one"
            )
        if name in training[fold]:
            raise DataError(
                f"case {name!r} trains and validates in fold {fold}", where=str(path), fix="name it in one of both"
            )
        if name not in known:
            raise DataError(
                f"fold {fold} validates on case {name!r}, which has no image",
                where=str(path),
                fix="add its images, or take it out of the folds",
            )
    return found

"""Pairs of NIfTI files that a pattern of names brings together, as in BIDS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from nasplug.contract.errors import DataError
from nasplug.contract.wording import plural
from nasplug.data.source import existing_folder
from nasplug.data.volumes.case import Case, CaseList, Volume
from nasplug.data.volumes.decathlon import patient_of
from nasplug.data.volumes.nifti import read_case
from nasplug.data.volumes.source import VolumeSource, check_classes, listed

_FIELD = "{case}"


class NiftiPairs(VolumeSource):
    """Reads pairs of NIfTI files whose names differ by a pattern, such as those of a BIDS folder.

    `{case}` stands for the name of a case, and may occur several times; `*` for anything. In BIDS, a case is a
    `sub-01` or `sub-01_ses-2`, and the patient is found in it.

    Example:
        >>> source = NiftiPairs(
        ...     "bids",
        ...     images={"T1w": "sub-*/anat/{case}_T1w.nii.gz"},
        ...     labels="derivatives/manual/sub-*/anat/{case}_dseg.nii.gz",
        ...     classes={"background": 0, "hippocampus": 1},
        ... )

    Args:
        path: Folder that the patterns start in.
        images: Pattern of the files of each channel, by its name.
        labels: Pattern of the masks.
        classes: Value of each class in the masks, by its name; the first is the background.
        patient: Regular expression whose first group, searched in the name of a case, names its patient; None takes
            what stands in `sub-...`, or else the case.
    """

    def __init__(
        self,
        path: str,
        images: Mapping[str, str],
        labels: str,
        classes: Mapping[str, int],
        patient: str | None = None,
    ) -> None:
        self.path, self.images, self.labels = path, dict(images), labels
        self.classes = dict(classes)
        self.patient = patient
        for pattern in (*self.images.values(), labels):
            if _FIELD not in pattern:
                raise DataError(
                    f"the pattern {pattern!r} lacks {_FIELD}", where="NiftiPairs", fix=f"write {_FIELD}_T1w"
                )
        check_classes(self.classes, "NiftiPairs", "{background: 0, tumour: 1}")

    @property
    def name(self) -> str:
        """Name of the folder."""
        return Path(self.path).name

    def load(self) -> CaseList:
        """See the base class."""
        folder = existing_folder(self.path, "NiftiPairs")
        channels = {channel: _matches(folder, pattern) for channel, pattern in self.images.items()}
        labels = _matches(folder, self.labels)
        names = sorted({name for found in channels.values() for name in found})
        cases: list[Case] = []
        for name in names:
            for channel, found in channels.items():
                if name not in found:
                    raise DataError(
                        f"case {name!r} has no channel {channel!r}", where=str(folder), fix=self.images[channel]
                    )
            if name not in labels:
                raise DataError(
                    f"case {name!r} has no label",
                    where=str(folder),
                    why=f"{plural(len(labels), 'file')} match {self.labels!r}",
                    fix="add the label, or take a pattern of images that leaves the case out",
                )
            files = tuple(found[name] for found in channels.values())
            cases.append(Case(name, self._patient(name), files, labels[name]))
        ready = listed(cases, str(folder), f"check the patterns: no file matches {self.images}")
        ordered = dict(sorted(self.classes.items(), key=lambda item: item[1]))
        files = tuple(path for case in ready for path in (*case.images, case.label) if path is not None)
        return CaseList(ready, tuple(ordered), tuple(channels), str(folder), tuple(ordered.values()), files)

    def _patient(self, name: str) -> str:
        if self.patient is None and (match := re.search(r"sub-[A-Za-z0-9]+", name)):
            return match[0]
        return patient_of(name, self.patient)

    def read(self, case: Case, cases: CaseList) -> Volume:
        """See the base class."""
        return read_case(case, cases)


def _matches(folder: Path, pattern: str) -> dict[str, Path]:
    """Files by the name of their case."""
    parts = [
        "[^/]*" if part == "*" else "(?P<case>[^/]+?)" if part == _FIELD else re.escape(part)
        for part in re.split(r"(\*|\{case\})", pattern)
    ]
    seen, expression = False, ""
    for part in parts:
        expression += "(?P=case)" if seen and part.startswith("(?P<case>") else part
        seen = seen or part.startswith("(?P<case>")
    found: dict[str, Path] = {}
    for path in sorted(folder.glob(pattern.replace(_FIELD, "*"))):
        match = re.fullmatch(expression, path.relative_to(folder).as_posix())
        if match is None:
            continue
        if match["case"] in found:
            raise DataError(
                f"two files match case {match['case']!r}: {found[match['case']].name!r} and {path.name!r}",
                where=str(folder),
                fix="make the pattern stricter, or put more of the name into {case}",
            )
        found[match["case"]] = path
    return found

"""What every source of volumes promises."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping

from nasplug.contract.errors import DataError
from nasplug.contract.jsondata import Json
from nasplug.contract.kinds import component_type
from nasplug.data.volumes.case import Case, CaseList, Volume


@component_type("data")
class VolumeSource(ABC):
    """Lists labelled cases and reads them one by one; a small description, like `nasplug.data.ImageSource`."""

    @property
    def name(self) -> str:
        """Name of the data for messages and reports."""
        return type(self).__name__.lower()

    def arguments(self) -> dict[str, Json]:
        """Returns what the source was made with, as plain data; part of the keys of everything that is kept."""
        own = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {"kind": type(self).__qualname__, **own}

    def check(self) -> None:
        """Looks quickly whether the data can be there: lists the cases, and reads no voxel.

        Raises:
            DataError: A file or folder is missing, or a case has no label.
        """
        self.load()

    @abstractmethod
    def load(self) -> CaseList:
        """Lists the cases.

        Raises:
            DataError: Something is missing or not what the layout promises.
        """

    @abstractmethod
    def read(self, case: Case, cases: CaseList) -> Volume:
        """Reads one case.

        Args:
            case: Case to read.
            cases: The list that it is from.

        Raises:
            DataError: A file is damaged, or image and mask do not belong together.
        """


def listed(cases: list[Case], where: str, fix: str) -> tuple[Case, ...]:
    """Returns cases in the order of their names, each name once.

    Args:
        cases: Cases in any order.
        where: Description of the source.
        fix: Remedy if there are none.

    Raises:
        DataError: There are no cases, or two of one name.
    """
    if not cases:
        raise DataError("there are no labelled cases", where=where, fix=fix)
    ordered = sorted(cases, key=lambda case: case.name)
    for before, after in itertools.pairwise(ordered):
        if before.name == after.name:
            raise DataError(f"two cases are called {after.name!r}", where=where, fix="give every case one image")
    return tuple(ordered)


def check_classes(classes: Mapping[str, int], where: str, example: str) -> None:
    """Refuses classes that a mask cannot tell apart.

    Args:
        classes: Value of each class, by its name.
        where: Name of the source, for messages.
        example: Classes as they are written.

    Raises:
        DataError: There are fewer than two classes, two of one value, or values that are not integers.
    """
    odd = next((value for value in classes.values() if isinstance(value, bool) or not isinstance(value, int)), None)
    if odd is not None:
        raise DataError(f"a class has the value {odd!r}", where=where, fix=f"write integers without quotes: {example}")
    if len(classes) < 2 or len(set(classes.values())) != len(classes):
        raise DataError(
            "classes needs a background and another class, with different values", where=where, fix=f"write {example}"
        )

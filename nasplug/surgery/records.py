"""The record of an edit: JSON that repeats it on a network built anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from nasplug.contract.errors import SurgeryError
from nasplug.contract.io import Inputs
from nasplug.contract.jsondata import Json, JsonObject

Operation = Literal["grow", "split", "remove", "mask", "reorder", "drop"]

#: What stands in the place of a dropped module: its input as it came, or zeros of that shape.
Fill = Literal["input", "zero"]

#: Version of the records, by which they are recognised too.
VERSION = 1


class Edit(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One change of channels, of any number of groups at once; or of whole modules.

    Attributes:
        do: Operation on the channels, or `drop` for modules.
        groups: Channels by group, numbered from 0 before the edit: those that are split, removed, silenced or grown
            beside; all of them in their new order for `reorder`; for `grow`, also a number of new ones at the end.
        init: Weights of new channels, for `grow`: `zero` is read by nobody, so that the network computes the same;
            `random` is read at once.
        share: Share of a split channel that its readers take from the old one.
        noise: Noise on the weights that make a new half of a split channel, in standard deviations of the layer.
        seed: Seed of random weights and noise.
        inexact: Whether the network may compute something else afterwards where an operator mixes channels.
        modules: Paths of the modules that `drop` takes out.
        fill: Result in the place of dropped modules.
    """

    do: Operation
    groups: Mapping[str, int | tuple[int, ...]] = msgspec.field(default_factory=dict)
    init: Literal["zero", "random"] = "zero"
    share: float = 0.5
    noise: float = 0.0
    seed: int = 0
    inexact: bool = False
    modules: tuple[str, ...] = ()
    fill: Fill = "input"

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise SurgeryError(f"a share lies between 0 and 1, not at {self.share}", where="surgery")
        if not 0 <= self.noise < float("inf"):
            raise SurgeryError(f"noise is finite and not negative, not {self.noise}", where="surgery")
        if self.groups if self.do == "drop" else self.modules:
            right, wrong = ("modules", "groups") if self.do == "drop" else ("groups", "modules")
            raise SurgeryError(f"{self.do} takes {right} and was given {wrong}", where="surgery")

    @property
    def keeps(self) -> bool:
        """Whether the network should compute the same afterwards, with silent channels where some are removed."""
        return self.init == "zero" and self.do != "drop"

    def to_plain(self, inputs: Inputs) -> JsonObject:
        """Returns the record as JSON data, with the inputs that the network is followed on."""
        plain: JsonObject = msgspec.json.decode(msgspec.json.encode(self))
        return {"surgery": VERSION, "inputs": inputs.to_plain(), **plain}


def is_edit(record: Mapping[str, Json]) -> bool:
    """Whether a record of a trial is one of surgery."""
    return "surgery" in record


def read(record: Mapping[str, Json]) -> tuple[Edit, Inputs]:
    """Reads a record.

    Raises:
        SurgeryError: It is malformed, or of a newer version.
    """
    data = dict(record)
    version = data.pop("surgery", None)
    if version != VERSION:
        raise SurgeryError(
            f"the record of an edit has version {version!r}",
            where="surgery",
            why=f"this nasplug reads version {VERSION}",
            fix="update nasplug",
        )
    try:
        inputs = Inputs.of(data.pop("inputs"))  # type: ignore[arg-type]
        return msgspec.convert(data, Edit), inputs
    except (msgspec.ValidationError, KeyError) as error:
        raise SurgeryError("the record of an edit is malformed", where="surgery", why=f"{error}") from error


def edit_of(do: Operation, groups: Mapping[str, int | Sequence[int]], **settings: object) -> Edit:
    """Makes an edit from what people write."""
    plain = {
        name: units if isinstance(units, int) else tuple(int(unit) for unit in units) for name, units in groups.items()
    }
    return msgspec.convert({"do": do, "groups": plain, **settings}, Edit)

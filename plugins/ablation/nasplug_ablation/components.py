"""What a study takes away: entries as a person writes them, and the components that they turn out to be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.jsondata import Json, JsonObject

Kind = Literal[
    "module", "span", "replace", "feature", "callback", "augmentation", "loss", "hyperparameter", "custom", "group"
]
Policy = Literal["auto", "identity", "zero", "one", "rewire", "adapter"]

#: Entries that stand for several components at once, with the kind of each.
EACH: Mapping[str, Kind] = {
    "modules": "module",
    "features": "feature",
    "callbacks": "callback",
    "augmentations": "augmentation",
    "losses": "loss",
}
#: Options of every kind, beside `name`.
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "module": ("policy",),
    "type": ("policy", "together"),
    "span": (),
    "replace": ("by", "args"),
    "feature": ("mode", "fill"),
    "callback": (),
    "augmentation": (),
    "loss": (),
    "hyperparameter": (),
    "custom": (),
    "group": ("policy",),
}
MODES = ("fill", "drop", "permute")

#: An entry as it is written: a mapping with one kind as its key, and options.
Entry: TypeAlias = Mapping[str, object]


@dataclass(frozen=True)
class Component:
    """One thing that a trial can leave out.

    Attributes:
        kind: Kind of thing.
        name: Unique name in the study, for people and for genotypes.
        target: Thing that is taken: the path of a module, both ends of a span, the position of a feature, the name of a
            callback, the value of a hyperparameter.
        options: Options of its removal, such as the policy.
        members: Components of a group.
        call: Function of a custom component.
    """

    kind: Kind
    name: str
    target: Json = None
    options: JsonObject = field(default_factory=dict)
    members: tuple[Component, ...] = ()
    call: Callable[..., object] | None = None

    def to_plain(self) -> dict[str, Json]:
        """Returns what makes it up as JSON data, which its stable identity comes from."""
        data: dict[str, Json] = {"kind": self.kind, "target": self.target}
        if self.options:
            data["options"] = dict(self.options)
        if self.members:
            data["members"] = [member.to_plain() for member in self.members]
        if self.call is not None:
            data["call"] = location_of(self.call)
        return data

    def flat(self) -> list[Component]:
        """Returns the component, or the members of a group, all the way down."""
        return [self] if not self.members else [one for member in self.members for one in member.flat()]


def identity(components: Sequence[Component], seed: int) -> str:
    """Returns the stable name of a trial: equal for equal components and seeds, in any order and on any machine.

    Args:
        components: Components that the trial leaves out.
        seed: Seed of the trial.
    """
    parts = sorted(json.dumps(component.to_plain(), sort_keys=True) for component in components)
    return hashlib.sha256(json.dumps([parts, seed]).encode()).hexdigest()[:16]


def read_entry(entry: object, where: str) -> tuple[str, Entry]:
    """Returns the kind of an entry, and the entry checked.

    Args:
        entry: Mapping with one kind as its key, such as `{"module": "net.se", "policy": "zero"}`.
        where: Place of the entry, for messages.

    Raises:
        SpecError: It has no kind, several, or an option that its kind does not have.
    """
    known = [*OPTIONS, *EACH]
    if not isinstance(entry, Mapping):
        raise SpecError(f"expected a mapping, got {entry!r:.100}", where=where, fix="write `- module: NAME`")
    kinds = [key for key in entry if key in known]
    if len(kinds) != 1:
        unknown = [str(key) for key in entry if key not in ("name", "policy", "mode", "fill", "by", "args", "together")]
        what = f"an entry names one thing, this one names {' and '.join(kinds)}" if kinds else "it names nothing"
        raise SpecError(
            what,
            where=where,
            fix=did_you_mean(unknown[0], known) if unknown and not kinds else f"one of {', '.join(known)}",
        )
    kind = kinds[0]
    allowed = (kind, "name", *OPTIONS[EACH.get(kind, kind)])
    for key in entry:
        if key not in allowed:
            raise SpecError(f"{kind!r} has no option {key!r}", where=where, fix=did_you_mean(str(key), allowed))
    if "name" in entry and kind in EACH:
        raise SpecError(
            f"{kind!r} stands for several components, which cannot share the name {entry['name']!r}",
            where=where,
            fix="write `group:` to take them away together under one name",
        )
    if entry.get("policy", "auto") not in get_args(Policy):
        policy = str(entry["policy"])
        raise SpecError(
            f"there is no policy {policy!r}", where=f"{where}.policy", fix=did_you_mean(policy, get_args(Policy))
        )
    if entry.get("mode", "fill") not in MODES:
        mode = str(entry["mode"])
        raise SpecError(f"there is no mode {mode!r}", where=f"{where}.mode", fix=did_you_mean(mode, MODES))
    fill = entry.get("fill", 0)
    if fill != "mean" and (isinstance(fill, bool) or not isinstance(fill, (int, float))):
        raise SpecError(
            f"features cannot be filled with {fill!r:.80}", where=f"{where}.fill", fix="write a number, or `mean`"
        )
    return kind, entry


def options_of(kind: str, entry: Entry) -> dict[str, Json]:
    """Returns the options of an entry that its components keep.

    Args:
        kind: Kind of the entry.
        entry: The entry, checked.
    """
    kept = [name for name in OPTIONS[EACH.get(kind, kind)] if name in entry and name != "together"]
    return {name: entry[name] for name in kept}  # type: ignore[misc]


def location_of(thing: object) -> str:
    """Returns the path of a function or class, as a specification names it."""
    return f"{getattr(thing, '__module__', '')}:{getattr(thing, '__qualname__', type(thing).__qualname__)}"

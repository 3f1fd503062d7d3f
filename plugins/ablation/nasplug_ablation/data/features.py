"""Features of a batch, whatever it is made of: where they stand, and how they leave it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.jsondata import Json, JsonObject

#: Keys of a batch that hold what the network should answer.
_TARGETS = frozenset({"label", "labels", "target", "targets", "y", "mask", "seg"})
_FIX = (
    "name the features: `features: {names: [age, fare], axis: 1}`, or write the position: "
    "`- feature: {at: image, axis: 1, index: 2}`"
)


@dataclass(frozen=True)
class Features:
    """What the features of a study are called, and where they stand.

    Attributes:
        names: Names in the order of the axis, or positions by name: a number, a list, or a slice as a text such as
            `-4:`. None takes the `feature_names` of the data.
        axis: Axis of the batched tensor, 1 for columns and channels; negative numbers count from the end.
        at: Way to the tensor in the batch: keys and positions; None is the first input.
    """

    names: Sequence[str] | Mapping[str, Json] | None = None
    axis: int = 1
    at: Json = None


@dataclass(frozen=True)
class Place:
    """Where one feature stands.

    Attributes:
        at: Way to the tensor in the batch.
        axis: Axis; None for the whole entry.
        index: Positions along the axis.
    """

    at: tuple[str | int, ...]
    axis: int | None = None
    index: tuple[int, ...] = ()

    def to_plain(self) -> dict[str, Json]:
        """Returns it as JSON data."""
        return {"at": list(self.at), "axis": self.axis, "index": list(self.index)}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Place:
        """Returns the place that `to_plain` gave.

        Args:
            data: JSON data.
        """
        return cls(tuple(data["at"]), data["axis"], tuple(data["index"]))


@dataclass
class Finder:
    """Finds features by name in the batches of a study.

    Attributes:
        features: Names and places of the features.
        batch: One batch.
        offered: Names that the data offer, in the order of the axis.
    """

    features: Features
    batch: Any
    offered: Sequence[str] = ()
    _names: dict[str, Json] = field(init=False)

    def __post_init__(self) -> None:
        names = self.features.names if self.features.names is not None else list(self.offered)
        self._names = dict(names) if isinstance(names, Mapping) else {name: i for i, name in enumerate(names)}

    @property
    def names(self) -> list[str]:
        """Names of all features: those that are said, or the keys of the batch."""
        if self._names:
            return list(self._names)
        return [str(key) for key in self.batch if key not in _TARGETS] if isinstance(self.batch, Mapping) else []

    def find(self, wanted: object, where: str) -> Place:
        """Returns where a feature stands.

        Args:
            wanted: Name, position along the axis, or `{at, axis, index}`.
            where: Place of the name, for messages.

        Raises:
            SpecError: There is no such feature.
        """
        if isinstance(wanted, Mapping):
            unknown = set(wanted) - {"at", "axis", "index"}
            if unknown:
                raise SpecError(f"a feature has no {sorted(unknown)[0]!r}", where=where, fix=_FIX)
            way = _way(wanted["at"]) if "at" in wanted else self._first(where)
            whole = "index" not in wanted
            return self._checked(
                way, None if whole else wanted.get("axis", self.features.axis), wanted.get("index"), where
            )
        if isinstance(wanted, str) and wanted in self._names:
            return self._checked(self._first(where), self.features.axis, self._names[wanted], where)
        if isinstance(wanted, int) and not isinstance(wanted, bool):
            return self._checked(self._first(where), self.features.axis, wanted, where)
        if isinstance(wanted, str) and isinstance(self.batch, Mapping) and wanted in self.batch:
            return Place((wanted,))
        known = [*self._names, *(map(str, self.batch) if isinstance(self.batch, Mapping) else ())]
        raise SpecError(
            f"the data have no feature {wanted!r}",
            where=where,
            why=f"they have {', '.join(known)}" if known else "nobody has named any",
            fix=did_you_mean(str(wanted), known) if known else _FIX,
        )

    def _first(self, where: str) -> tuple[str | int, ...]:
        if self.features.at is not None:
            return _way(self.features.at)
        way: list[str | int] = []
        found = self.batch
        while not isinstance(found, Tensor):
            key: Any = 0
            if isinstance(found, Mapping):
                key = next((name for name, value in found.items() if name not in _TARGETS), None)
            if not isinstance(found, (Mapping, tuple, list)) or not found or key is None:
                raise SpecError(f"the batch is a {type(found).__name__}", where=where, fix=_FIX)
            way.append(key)
            found = found[key]
        return tuple(way)

    def _checked(self, way: tuple[str | int, ...], axis: Any, index: object, where: str) -> Place:
        try:
            tensor = get(self.batch, way)
        except (KeyError, IndexError, TypeError):
            raise SpecError(f"the batch has nothing at {list(way)}", where=where, fix=_FIX) from None
        if not isinstance(tensor, Tensor):
            raise SpecError(f"at {list(way)} is a {type(tensor).__name__}, not a tensor", where=where, fix=_FIX)
        if axis is None:
            return Place(way)
        if not -tensor.dim() < axis < tensor.dim() or axis % tensor.dim() == 0:
            raise SpecError(
                f"a tensor of shape {tuple(tensor.shape)} has no axis {axis} of features", where=where, fix=_FIX
            )
        size = tensor.shape[axis]
        positions = _positions(index, size, where)
        outside = [one for one in positions if not -size <= one < size]
        if outside:
            raise SpecError(
                f"there is no feature {outside[0]}",
                where=where,
                why=f"axis {axis} has {size}, numbered from 0",
                fix=_FIX,
            )
        return Place(way, axis, tuple(one % size for one in positions))


def get(batch: Any, way: Sequence[str | int]) -> Any:
    """Returns what stands in a batch.

    Args:
        batch: The batch.
        way: Keys and positions that lead there.
    """
    for key in way:
        batch = batch[key]
    return batch


def changed(batch: Any, place: Place, options: JsonObject, generator: torch.Generator) -> Any:
    """Returns a batch without a feature; the batch that is given stays as it is.

    Args:
        batch: The batch.
        place: Place of the feature.
        options: `mode`: `fill` puts a number there, `drop` makes the tensor smaller or takes the entry away, `permute`
            hands every sample the feature of another one of the batch. `fill`: the number, 0 unless it is given, or
            `mean`, that of the batch.
        generator: Generator that permutes.
    """
    mode, fill = options.get("mode", "fill"), options.get("fill", 0)
    if mode == "drop" and place.axis is None:
        return _put(batch, place.at, None, gone=True)
    tensor: Tensor = get(batch, place.at)
    if mode == "permute":
        other = tensor[torch.randperm(len(tensor), generator=generator)]
    elif fill == "mean":
        other = tensor.float().mean(0, keepdim=True).to(tensor.dtype).expand_as(tensor)
    else:
        other = torch.full_like(tensor, fill)  # type: ignore[arg-type]
    if place.axis is None:
        return _put(batch, place.at, other)
    index = torch.tensor(place.index)
    if mode == "drop":
        kept = torch.tensor([i for i in range(tensor.shape[place.axis]) if i not in place.index])
        return _put(batch, place.at, tensor.index_select(place.axis, kept))
    return _put(batch, place.at, tensor.index_copy(place.axis, index, other.index_select(place.axis, index)))


def _put(batch: Any, way: Sequence[str | int], value: Any, *, gone: bool = False) -> Any:
    if not way:
        return value
    key, *rest = way
    if isinstance(batch, Mapping):
        items = {name: item for name, item in batch.items() if not (gone and not rest and name == key)}
        if not gone or rest:
            items[key] = _put(batch[key], rest, value, gone=gone)
        kind: Any = type(batch)
        return kind(items)
    items_ = [_put(item, rest, value, gone=gone) if i == key else item for i, item in enumerate(batch)]
    if gone and not rest:
        del items_[int(key)]
    return type(batch)(*items_) if hasattr(batch, "_fields") else type(batch)(items_)


def _way(at: Any) -> tuple[str | int, ...]:
    return tuple(at) if isinstance(at, (list, tuple)) else (at,)


def _positions(index: object, size: int, where: str) -> list[int]:
    if isinstance(index, str) and ":" in index:
        try:
            parts = [int(part) if part.strip() else None for part in index.split(":")]
            return list(range(size)[slice(*parts)])
        except (ValueError, TypeError):
            raise SpecError(f"cannot read the slice {index!r}", where=where, fix="write '-4:' or '0:3'") from None
    found = index if isinstance(index, (list, tuple)) else [index]
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in found) or not found:
        raise SpecError(f"cannot read the position {index!r}", where=where, fix="write a number, a list or a slice")
    return list(found)

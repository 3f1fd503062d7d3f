"""Hardware points: one configuration, or thousands that differ in numbers, as arrays (P,)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nasplug_npu.config import NPUConfig, parse_nm, parse_shape, parse_shapes
from nasplug_npu.rules import RULES

#: Fields that points may differ in; the others decide which formulas apply.
NUMBERS = tuple(
    field.name
    for field in dataclasses.fields(NPUConfig)
    if field.type in ("int", "float") and field.name not in ("align_channels",)
)


class Points:
    """Configurations that share everything but numbers; has the fields of `NPUConfig`, numbers as (P,).

    Args:
        fields: Every field; numbers may be arrays of one length.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = dict(fields)
        sizes = {np.size(self.fields[name]) for name in NUMBERS} - {1}
        if len(sizes) > 1:
            raise ValueError(f"numbers of several lengths: {sorted(sizes)}")
        self._size = sizes.pop() if sizes else 1
        self._codes: dict[str, tuple[npt.NDArray[np.intp], int]] = {}
        for name in NUMBERS:
            self.fields[name] = np.asarray(self.fields[name], dtype=np.float64).reshape(-1)
        self.shape, self.nm = parse_shape(self.fields["shapes"]), parse_nm(self.fields["encoding"])
        self.named_shapes = parse_shapes(self.fields["shapes"])

    @classmethod
    def of(cls, config: NPUConfig) -> Self:
        """One configuration."""
        return cls(_fields(config))

    @classmethod
    def together(cls, configs: Sequence[NPUConfig]) -> Self:
        """Several configurations that differ in numbers only.

        Raises:
            ValueError: They differ in something else.
        """
        base = {name: value for name, value in _fields(configs[0]).items() if name not in _LABELS}
        for config in configs:
            if any(getattr(config, name) != value for name, value in base.items() if name not in NUMBERS):
                raise ValueError(f"{config.name!r} differs from {configs[0].name!r} in more than numbers")
        changed = {name: np.array([getattr(config, name) for config in configs]) for name in NUMBERS}
        return cls(_fields(configs[0]) | changed)

    def __len__(self) -> int:
        return self._size

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def fixed_shape(self) -> tuple[int, int, int]:
        """Rows, columns and positions of an array whose shape is fixed, as a systolic one's is."""
        assert self.shape is not None
        return self.shape

    def take(self, which: Any) -> Points:
        """Some of the points, by mask or index."""
        picked = {
            name: value[which] if name in NUMBERS and len(value) > 1 else value for name, value in self.fields.items()
        }
        if all(len(picked[name]) == 1 for name in NUMBERS):  # all alike: keep how many there are
            picked["freq_hz"] = np.broadcast_to(self.fields["freq_hz"], (self._size,))[which]
        found = Points(picked)
        found._codes = {name: (codes[which], count) for name, (codes, count) in self._codes.items()}
        return found

    def valid(self) -> npt.NDArray[np.bool_]:
        """Which points keep all rules, (P,)."""
        kept = np.ones(self._size, dtype=bool)
        for rule in RULES:
            kept &= np.asarray(rule.condition(self), dtype=bool)
        return kept

    def config(self, index: int) -> NPUConfig:
        """One of the points.

        Raises:
            SpecError: It is not valid.
        """
        numbers = {name: self.fields[name][index if len(self.fields[name]) > 1 else 0].item() for name in NUMBERS}
        return NPUConfig.from_json({**self.fields, **numbers})

    def distinct(self, names: Iterable[str]) -> tuple[Points, npt.NDArray[np.intp] | None]:
        """Points that differ in these fields, and for each point which of them it is; None if that saves nothing."""
        varying = [name for name in names if len(self.fields[name]) > 1]
        if self._size == 1:
            return self, None
        if not varying:
            return self._one(), np.zeros(self._size, dtype=np.intp)
        code, kinds = np.zeros(self._size, dtype=np.intp), 1
        for name in varying:
            values, count = self._coded(name)
            code, kinds = code * count + values, kinds * count
            if kinds > 2**50:
                return self, None
        if kinds > 8 * self._size:
            _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
        else:  # a table of all combinations is faster than sorting
            first_of = np.full(kinds, -1, dtype=np.intp)
            first_of[code[::-1]] = np.arange(self._size - 1, -1, -1)
            present = first_of >= 0
            first, inverse = first_of[present], (np.cumsum(present) - 1)[code]
        if 2 * len(first) > self._size:
            return self, None
        return self.take(first), inverse

    def _coded(self, name: str) -> tuple[npt.NDArray[np.intp], int]:
        """A small number for each value of a field, and how many there are; parts of these points inherit them."""
        if name not in self._codes:
            values, inverse = np.unique(self.fields[name], return_inverse=True)
            self._codes[name] = inverse, len(values)
        return self._codes[name]

    def _one(self) -> Points:
        return Points({name: value[:1] if name in NUMBERS else value for name, value in self.fields.items()})


_LABELS = ("name", "source")


def _fields(config: NPUConfig) -> dict[str, Any]:
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}

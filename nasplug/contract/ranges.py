"""Ranges and categorical choices: the values that a decision or a hyperparameter may take.

Three frozen records say it: `FloatRange`, `IntRange` and `Categorical`. Each draws values, maps them to the unit
interval and back (for vectors and Gaussian processes), lists or thins them, and takes steps. `nasplug.contract.grammar`
reads them from plain data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias, TypeGuard, TypeVar

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Scalar
from nasplug.contract.wording import plural

if TYPE_CHECKING:
    import numpy as np

Number = TypeVar("Number", int, float)

#: Significant digits of a drawn number, relative to the width of its range. The last bits of a logarithm differ between
#: machines, and a run that is resumed on another one must propose the very same.
DIGITS = 8
#: Standard deviation of a mutation, as a share of the range.
_STEP = 0.2
#: Distance of the neighbours of a number on a continuous range, as a share of the range.
_NEAR = 0.05


@dataclass(frozen=True, slots=True)
class FloatRange:
    """Real numbers from `low` to `high`, both included.

    Attributes:
        low: Lower bound.
        high: Upper bound, above `low`.
        log: Whether values are spread evenly in their logarithm; `low` must then be positive.
        step: Distance between allowed values, starting at `low`; None allows every value in between.

    Raises:
        SpecError: The bounds do not rise, are not finite, or do not fit `log` or `step`.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high, self.log, self.step, float)
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        if self.step is not None:
            object.__setattr__(self, "step", float(self.step))
            count = round((self.high - self.low) / self.step)
            if abs(self.low + count * self.step - self.high) > 1e-9 * max(abs(self.high), self.step):
                _refuse_step(self.low, self.high, self.step)

    @property
    def size(self) -> int | None:
        """Number of values; None if the range is continuous."""
        return None if self.step is None else round((self.high - self.low) / self.step) + 1

    def __len__(self) -> int:
        return _finite(self).__len__()

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, index: int) -> float:
        return _finite(self)[index]

    def __iter__(self) -> Iterator[float]:
        return iter(_finite(self))

    def __contains__(self, value: object) -> bool:
        return self.contains(value)

    def index(self, value: object) -> int:
        """Position of a value; its range must have a step.

        Raises:
            ValueError: The value is not in the range.
        """
        if not self.contains(value):
            raise ValueError(f"{value!r} is not in {self}")
        return _finite(self).index(float(value))

    def contains(self, value: object) -> TypeGuard[float]:
        """Whether a value is a number of this range; `True` is not a number."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not self.low <= value <= self.high:
            return False
        return self.step is None or float(value) in _finite(self)

    def to_unit(self, value: float) -> float:
        """Position of a value in [0, 1]; on a logarithmic scale that of its logarithm."""
        if self.size is not None:
            return (self.index(value) + 0.5) / self.size
        low, high, inner = self.low, self.high, float(value)
        if self.log:
            low, high, inner = math.log(low), math.log(high), math.log(inner)
        return min(max((inner - low) / (high - low), 0.0), 1.0)

    def from_unit(self, position: float) -> float:
        """The value at a position in [0, 1], rounded to eight significant digits of the range."""
        if self.size is not None:
            return self[min(int(position * self.size), self.size - 1)]
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            value = math.exp(low + position * (high - low))
        else:
            value = self.low + position * (self.high - self.low)
        return self.rounded(value)

    def rounded(self, value: float) -> float:
        """A number with the digits that the range resolves, inside the bounds."""
        largest = max(abs(self.low), abs(self.high))
        digits = DIGITS + max(0, math.floor(math.log10(largest / (self.high - self.low))))
        return min(max(float(f"{value:.{min(digits, 17)}g}"), self.low), self.high)

    def sample(self, rng: np.random.Generator) -> float:
        """Draws a value, evenly on the scale of the range; uses one uniform number."""
        return self.from_unit(float(rng.random()))

    def grid(self, count: int) -> tuple[float, ...]:
        """At most `count` values from bound to bound, even on the scale of the range."""
        if self.size is not None:
            return tuple([self[i] for i in _spread(self.size, count)])
        return tuple([self.from_unit(position) for position in _positions(count)])

    def mutate(self, value: float, rng: np.random.Generator) -> float:
        """Another value near by: a normal step of a fifth of the range, reflected at the bounds."""
        return float(_walk(value, self.to_unit, self.from_unit, rng, self.size))

    def neighbours(self, value: float) -> tuple[float, ...]:
        """The next values below and above; on a continuous range those a twentieth of its width away."""
        if self.size is not None:
            return tuple([self[i] for i in _beside(self.index(value), self.size)])
        at = self.to_unit(value)
        found = (self.from_unit(max(at - _NEAR, 0.0)), self.from_unit(min(at + _NEAR, 1.0)))
        return tuple([each for each in dict.fromkeys(found) if each != value])

    def to_json(self) -> dict[str, Json]:
        """Plain data that `nasplug.contract.grammar.parse` reads back."""
        return _to_json(self, "float")

    def __str__(self) -> str:
        return _text(self)


@dataclass(frozen=True, slots=True)
class IntRange:
    """Integers from `low` to `high`, both included; a sequence of its values.

    Attributes:
        low: Lower bound.
        high: Upper bound, above `low`.
        log: Whether values are spread evenly in their logarithm; `low` must then be positive.
        step: Distance between allowed values, starting at `low`.

    Raises:
        SpecError: The bounds do not rise, are not integers, or do not fit `log` or `step`.
    """

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high, self.log, None if self.step == 1 else self.step, int)
        if (self.high - self.low) % self.step:
            _refuse_step(self.low, self.high, self.step)

    @property
    def size(self) -> int:
        """Number of values."""
        return (self.high - self.low) // self.step + 1

    @property
    def _values(self) -> range:
        return range(self.low, self.high + 1, self.step)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: int) -> int:
        return self._values[index]

    def __iter__(self) -> Iterator[int]:
        return iter(self._values)

    def __contains__(self, value: object) -> bool:
        return self.contains(value)

    def index(self, value: object) -> int:
        """Position of a value.

        Raises:
            ValueError: The value is not in the range.
        """
        if not self.contains(value):
            raise ValueError(f"{value!r} is not in {self}")
        return self._values.index(value)

    def contains(self, value: object) -> TypeGuard[int]:
        """Whether a value is an integer of this range; `True` and `1.0` are not integers."""
        return isinstance(value, int) and not isinstance(value, bool) and value in self._values

    def to_unit(self, value: int) -> float:
        """Centre of the part of [0, 1] that belongs to a value."""
        if not self.log:
            return (self.index(value) + 0.5) / self.size
        low, high = self._logarithms()
        return (math.log(value) - low) / (high - low)

    def from_unit(self, position: float) -> int:
        """The value whose part of [0, 1] holds a position."""
        if not self.log:
            return self[min(int(position * self.size), self.size - 1)]
        low, high = self._logarithms()
        return min(max(round(math.exp(low + position * (high - low))), self.low), self.high)

    def _logarithms(self) -> tuple[float, float]:
        """Every integer owns half a unit to either side, so that the bounds are not drawn half as often."""
        return math.log(self.low - 0.5), math.log(self.high + 0.5)

    def sample(self, rng: np.random.Generator) -> int:
        """Draws a value, evenly on the scale of the range; uses one uniform number."""
        return self.from_unit(float(rng.random()))

    def grid(self, count: int) -> tuple[int, ...]:
        """At most `count` values from bound to bound, even on the scale of the range."""
        if not self.log or count >= self.size:
            return tuple([self[i] for i in _spread(self.size, count)])
        low, high = math.log(self.low), math.log(self.high)
        values = [round(math.exp(low + position * (high - low))) for position in _positions(count)]
        return tuple(dict.fromkeys(min(max(value, self.low), self.high) for value in values))

    def mutate(self, value: int, rng: np.random.Generator) -> int:
        """Another value near by: a normal step of a fifth of the range, reflected at the bounds."""
        return int(_walk(value, self.to_unit, self.from_unit, rng, self.size))

    def neighbours(self, value: int) -> tuple[int, ...]:
        """The next values below and above."""
        return tuple([self[i] for i in _beside(self.index(value), self.size)])

    def to_json(self) -> dict[str, Json]:
        """Plain data that `nasplug.contract.grammar.parse` reads back."""
        return _to_json(self, "int")

    def __str__(self) -> str:
        return _text(self)


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of several options without an order.

    Attributes:
        options: The values, distinct under `==`, so that `1` and `True` cannot both be options.
        weights: Probability of each option when one is drawn; None means uniform.

    Raises:
        SpecError: There are no options, one stands twice, or the weights are not a distribution over them.
    """

    options: tuple[Scalar, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.options:
            raise SpecError("there are no options", fix="list at least one")
        if len(set(self.options)) != len(self.options):
            raise SpecError(
                f"an option is repeated in {list(self.options)!r}", why="1, 1.0 and true are equal", fix="list it once"
            )
        if self.weights is not None:
            weights = self.weights
            fits = len(weights) == len(self.options) and all(weight >= 0 for weight in weights)
            if not fits or not abs(math.fsum(weights) - 1) <= 1e-9:
                raise SpecError(
                    f"{list(weights)!r} is not a distribution over {plural(len(self.options), 'option')}",
                    fix="give one probability for each option, with sum 1",
                )

    @property
    def size(self) -> int:
        """Number of options."""
        return len(self.options)

    def contains(self, value: object) -> TypeGuard[Scalar]:
        """Whether a value is an option, of the same type: `1` is not `True`."""
        return any(value == option and type(value) is type(option) for option in self.options)

    def index(self, value: object) -> int:
        """Position of an option.

        Raises:
            ValueError: The value is not an option.
        """
        if not self.contains(value):
            raise ValueError(f"{value!r} is not in {self}")
        return self.options.index(value)

    def to_unit(self, value: Scalar) -> float:
        """Centre of the part of [0, 1] that belongs to an option; all parts are equally wide."""
        return (self.index(value) + 0.5) / self.size

    def from_unit(self, position: float) -> Scalar:
        """The option whose part of [0, 1] holds a position."""
        return self.options[min(int(position * self.size), self.size - 1)]

    def sample(self, rng: np.random.Generator) -> Scalar:
        """Draws an option by its weight; uses one uniform number."""
        drawn = float(rng.random())
        if self.weights is None:
            return self.from_unit(drawn)
        reached = 0.0
        for option, weight in zip(self.options, self.weights, strict=True):
            reached += weight
            if drawn < reached:
                return option
        return max(zip(self.weights, range(self.size), self.options, strict=True))[2]

    def grid(self, count: int) -> tuple[Scalar, ...]:
        """All options, however few are wanted: without an order, none can stand for another."""
        return self.options

    def mutate(self, value: Scalar, rng: np.random.Generator) -> Scalar:
        """Another option, each as likely as any other; a single option stays."""
        if self.size == 1:
            return value
        return self.options[(self.index(value) + 1 + int(rng.integers(self.size - 1))) % self.size]

    def neighbours(self, value: Scalar) -> tuple[Scalar, ...]:
        """All other options."""
        at = self.index(value)
        return self.options[:at] + self.options[at + 1 :]

    def to_json(self) -> dict[str, Json]:
        """Plain data that `nasplug.contract.grammar.parse` reads back."""
        data: dict[str, Json] = {"choices": list(self.options)}
        return data if self.weights is None else {**data, "weights": list(self.weights)}

    def __str__(self) -> str:
        return "{" + ", ".join(map(str, self.options)) + "}"


#: What the grammar of ranges and choices describes.
Domain: TypeAlias = FloatRange | IntRange | Categorical


def _check_bounds(low: float, high: float, log: bool, step: float | None, kind: type) -> None:
    for name, value in (("low", low), ("high", high), ("step", step)):
        if value is None and name == "step":
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else int):
            raise SpecError(f"{name} is {value!r}, not {'a number' if kind is float else 'an integer'}")
        if not math.isfinite(value):
            raise SpecError(f"{name} is {value!r}", fix="give a finite number")
    if not isinstance(log, bool):
        raise SpecError(f"log must be true or false, got {log!r}")
    if low >= high:
        raise SpecError(
            f"the range from {low!r} to {high!r} does not rise",
            fix="swap the bounds" if low > high else "write the value alone, without a range",
        )
    if log and low <= 0:
        raise SpecError(f"a logarithmic range must lie above 0, got low={low!r}", fix="raise low, or drop log")
    if step is not None and step <= 0:
        raise SpecError(f"step must be > 0, got {step!r}")
    if log and step is not None:
        raise SpecError("a logarithmic range takes no step", fix="drop one of them, or list the values as choices")


def _refuse_step(low: float, high: float, step: float) -> None:
    last = low + math.floor((high - low) / step + 1e-9) * step
    fix = f"write high: {last:g}" if last > low else f"give a step of at most {high - low:g}"
    raise SpecError(f"steps of {step!r} from {low!r} do not reach {high!r}", fix=fix)


@lru_cache(maxsize=256)
def _finite(of: FloatRange) -> tuple[float, ...]:
    """The values of a range with a step."""
    if of.step is None:
        raise SpecError(
            f"the range {of} is continuous, so its values cannot be listed",
            fix="give it a step, list its values as choices, or use a strategy that takes continuous ranges",
        )
    count = round((of.high - of.low) / of.step)
    return (of.low, *(float(f"{of.low + i * of.step:.12g}") for i in range(1, count)), of.high)


def _spread(size: int, count: int) -> list[int]:
    """At most `count` positions out of `size`, ends included."""
    if count >= size:
        return list(range(size))
    return sorted({round(position * (size - 1)) for position in _positions(count)})


def _positions(count: int) -> list[float]:
    if count < 1:
        raise SpecError(f"a grid of {plural(count, 'value')} was asked for", fix="give 1 or more")
    return [0.5] if count == 1 else [i / (count - 1) for i in range(count)]


def _beside(index: int, size: int) -> list[int]:
    return [i for i in (index - 1, index + 1) if 0 <= i < size]


def _walk(
    value: Number,
    to_unit: Callable[[Number], float],
    from_unit: Callable[[float], Number],
    rng: np.random.Generator,
    size: int | None,
) -> Number:
    at = to_unit(value)
    deviation = _STEP if size is None else max(_STEP, 0.5 / size)
    while True:  # every range has two values or more, so that another one is found
        position = abs(at + deviation * float(rng.standard_normal())) % 2.0
        found = from_unit(2.0 - position if position > 1.0 else position)
        if found != value:
            return found


def _to_json(of: FloatRange | IntRange, kind: str) -> dict[str, Json]:
    data: dict[str, Json] = {"low": of.low, "high": of.high, "type": kind}
    if of.log:
        data["log"] = True
    if of.step not in (None, 1) or (kind == "float" and of.step is not None):
        data["step"] = of.step
    return data


def _text(of: FloatRange | IntRange) -> str:
    step = "" if of.step is None or (isinstance(of, IntRange) and of.step == 1) else f" in steps of {of.step:g}"
    return f"{of.low:g}..{of.high:g}{step}{' (log)' if of.log else ''}"

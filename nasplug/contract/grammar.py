"""The one grammar of ranges and choices: from plain data (YAML, JSON) to the records of `nasplug.contract.ranges`.

| written | means |
|---|---|
| `{low: 1e-4, high: 1e-1, log: true}` | real numbers, even in their logarithm |
| `{low: 16, high: 64, step: 16}` | the integers 16, 32, 48, 64; two whole bounds make an integer range |
| `{low: 0, high: 1, type: float}` | real numbers, although both bounds are whole |
| `{choices: [16, 32, 64]}` | one of these values; `weights: [...]` beside it makes some more likely |
| `[1e-4, 1e-1]`, `[1e-4, 1e-1, log]` | short for a range: two numbers, then any of `log`, `int`, `float`, `linear` |
| `[16, 32, 64]`, `[adam, sgd]`, `[true, false]` | short for choices: any other list of two or more values |
| `0.1`, `adam`, `true`, `null` | fixed; only where a hyperparameter may be fixed as well as searched |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.ranges import Categorical, Domain, FloatRange, IntRange
from nasplug.contract.records import Scalar

if TYPE_CHECKING:
    #: What `parse` reads.
    DomainLike: TypeAlias = Json | Domain
else:
    DomainLike = Any  # plain data stays plain data: jsonargparse would make records of what looks like one

FORMS = (
    "write {low: A, high: B}, with log: true or step: S if wanted, or [A, B] or [A, B, log] for a range; "
    "{choices: [...]} for listed values"
)
_FLAGS = ("log", "int", "float", "linear")
_KEYS = ("low", "high", "log", "step", "type")


def parse(value: DomainLike, *, where: str) -> Domain:
    """Reads a range or choices.

    Args:
        value: Plain data in a form of the table above, or a record, which is returned as it is.
        where: The key or argument it stands at, for messages.

    Raises:
        SpecError: The value has another form, or describes nothing.
    """
    if isinstance(value, (FloatRange, IntRange, Categorical)):
        return value
    try:
        if isinstance(value, Mapping):
            return _mapping(value)
        if isinstance(value, (list, tuple)):
            return _list(value)
        raise SpecError("this is not a range and not a list of choices", fix=FORMS)
    except SpecError as error:
        raise SpecError(f"cannot read {value!r}", where=where, why=error.what, fix=error.fix or FORMS) from error


def divide(given: Mapping[str, DomainLike], *, where: str) -> tuple[dict[str, Domain], dict[str, Scalar]]:
    """Reads hyperparameters: those that are searched, and those that are fixed.

    Args:
        given: Ranges, choices and fixed values by name.
        where: The key they stand under, for messages.

    Returns:
        The searched ones with their records, and the fixed ones with their values, both in the given order.

    Raises:
        SpecError: A value has another form.
    """
    searched: dict[str, Domain] = {}
    fixed: dict[str, Scalar] = {}
    for name, value in given.items():
        if _is_scalar(value):
            fixed[str(name)] = value
        else:
            searched[str(name)] = parse(value, where=f"{where}.{name}")
    return searched, fixed


def _mapping(value: JsonObject) -> Domain:
    if "choices" in value:
        _check_keys(value, ("choices", "weights"))
        options, weights = value["choices"], value.get("weights")
        if not isinstance(options, (list, tuple)) or not all(map(_is_scalar, options)):
            raise SpecError("choices are a list of numbers, texts, true, false or null", fix="write {choices: [a, b]}")
        if weights is not None and not (isinstance(weights, (list, tuple)) and all(map(_is_number, weights))):
            raise SpecError("weights are a list of probabilities", fix="write {choices: [a, b], weights: [0.7, 0.3]}")
        return Categorical(tuple(options), None if weights is None else tuple(map(float, weights)))
    _check_keys(value, _KEYS)
    for name in ("low", "high"):
        if name not in value:
            raise SpecError(f"{name} is missing", fix=FORMS)
    kind = value.get("type")
    if kind not in (None, "int", "float"):
        raise SpecError(f"type must be int or float, got {kind!r}")
    return _range(value["low"], value["high"], value.get("log", False), value.get("step"), kind)


def _check_keys(value: JsonObject, known: tuple[str, ...]) -> None:
    for key in value:
        if key not in known:
            raise SpecError(f"there is no key {key!r}", fix=did_you_mean(str(key), known))


def _list(value: Sequence[Json]) -> Domain:
    scalars = [item for item in value if _is_scalar(item)]
    if len(scalars) != len(value):
        raise SpecError("a list holds numbers, texts, true, false or null", fix=FORMS)
    if len(value) < 2:
        raise SpecError("a list of one value leaves nothing to choose", fix="write the value without brackets")
    numbers = [item for item in value if _is_number(item)]
    texts = [item for item in value if isinstance(item, str)]
    for text in texts:
        if _looks_like_a_number(text):
            raise SpecError(
                f"{text!r} is text that looks like a number",
                fix="drop the quotes, write 1.0e-4 with a dot in plain YAML, or {choices: [...]} to mean text",
            )
    if len(numbers) >= 2 and value[:2] == numbers[:2] and texts:
        return _flagged(scalars, numbers, texts)
    if len(numbers) == 1 and texts and set(texts) <= set(_FLAGS) and _is_number(value[0]):
        raise SpecError("expected the two bounds of a range, got one", fix=FORMS)
    if len(value) == 2 == len(numbers):
        return _range(numbers[0], numbers[1], False, None, None)
    return Categorical(tuple(scalars))


def _flagged(value: Sequence[Scalar], numbers: list[float], texts: list[str]) -> Domain:
    """Two numbers and then texts, which are flags."""
    for text in texts:
        if text not in _FLAGS:
            raise SpecError(
                f"after two numbers, {text!r} is not understood",
                fix=f"{did_you_mean(text, _FLAGS)}; or write {{choices: [...]}} for listed values",
            )
    clash = {"log", "linear"} <= set(texts) or {"int", "float"} <= set(texts)
    if len(numbers) + len(texts) != len(value) or len(numbers) != 2 or len(set(texts)) != len(texts) or clash:
        raise SpecError("a range is two numbers, and each of its words at most once", fix=FORMS)
    kind = "int" if "int" in texts else "float" if "float" in texts else None
    return _range(numbers[0], numbers[1], "log" in texts, None, kind)


def _range(low: Json, high: Json, log: Json, step: Json, kind: Json) -> FloatRange | IntRange:
    bounds: dict[str, float] = {}
    for name, bound in (("low", low), ("high", high), ("step", step)):
        if _is_number(bound):
            bounds[name] = bound
        elif bound is not None or name != "step":
            raise SpecError(f"{bound!r} is not a number", fix=FORMS)
    if not isinstance(log, bool):
        raise SpecError(f"log must be true or false, got {log!r}")
    if kind == "int" or (kind is None and all(isinstance(bound, int) for bound in bounds.values())):
        for name, bound in bounds.items():
            if not float(bound).is_integer():
                raise SpecError(f"{name} is {bound!r}, not an integer")
        return IntRange(int(bounds["low"]), int(bounds["high"]), log, int(bounds.get("step", 1)))
    return FloatRange(bounds["low"], bounds["high"], log, bounds.get("step"))


def _is_scalar(value: object) -> TypeGuard[Scalar]:
    return value is None or isinstance(value, (str, int, float, bool))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _looks_like_a_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip("+-").lower() not in ("nan", "inf", "infinity")

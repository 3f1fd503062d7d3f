"""Training hyperparameters that are searched together with the architecture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from nasplug.contract.errors import SpecError
from nasplug.contract.records import Scalar

_FORMS = "[lowest, highest], [lowest, highest, log], [lowest, highest, int], [a, b, c] of texts, or a fixed value"


def divide(given: Mapping[str, Any]) -> tuple[dict[str, BaseDistribution], dict[str, Scalar]]:
    """Distributions of the tuned hyperparameters, and the fixed ones.

    Args:
        given: By name: `[0.0, 0.9]` tunes a number, `[1e-4, 1e-1, "log"]` its logarithm, `[8, 64, "int"]` and
            `[8, 64, "int", "log"]` a whole number, `["adam", "sgd"]` one of several texts; a scalar is fixed.

    Raises:
        SpecError: A value has another form, or a range is empty.
    """
    tuned: dict[str, BaseDistribution] = {}
    fixed: dict[str, Scalar] = {}
    for name, value in given.items():
        if value is None or isinstance(value, (str, int, float, bool)):
            fixed[name] = value
            continue
        try:
            tuned[name] = _distribution(value)
        except (TypeError, ValueError) as error:
            raise SpecError(
                f"cannot read {value!r}", where=f"hyperparameters.{name}", why=str(error), fix=f"write {_FORMS}"
            ) from error
    return tuned, fixed


def _distribution(value: Any) -> BaseDistribution:
    """One distribution.

    Raises:
        ValueError: The form is none of those above, or Optuna refuses the range.
    """
    if not isinstance(value, (list, tuple)) or len(value) < 2:
        raise ValueError("this is no range")
    if all(isinstance(item, str) for item in value):
        if len(set(value)) != len(value):
            raise ValueError("an option is repeated")
        return CategoricalDistribution(tuple(value))
    low, high, *flags = value
    numbers = all(isinstance(bound, (int, float)) and not isinstance(bound, bool) for bound in (low, high))
    if not numbers or set(flags) - {"log", "int", "linear"} or len(set(flags)) != len(flags):
        raise ValueError("this is no range")
    if not low < high:
        raise ValueError(f"{low} is not below {high}")
    if "int" in flags:
        if low != int(low) or high != int(high):
            raise ValueError("the bounds of a whole number are whole")
        return IntDistribution(int(low), int(high), log="log" in flags)
    return FloatDistribution(float(low), float(high), log="log" in flags)

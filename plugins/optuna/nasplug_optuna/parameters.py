"""The decisions of a search as Optuna's parameters, and back.

A choice becomes a parameter over the *indices* of its options: Optuna compares options with `==`, which cannot tell 1
from True. Hyperparameters become parameters over their values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.protocols import Choice
from nasplug.contract.records import Scalar

#: Which choices Optuna may treat as ordered: none, those of numbers in order, or all of them.
Ordered = Literal["none", "numeric", "all"]
#: Significant digits of a proposed number. The last bits of a logarithm differ between machines, and a run that is
#: resumed on another one must propose the very same.
_DIGITS = 8


class Parameters:
    """Optuna's view of a space and of the tuned hyperparameters.

    Args:
        choices: The decisions of the space.
        hyperparameters: Distribution of every tuned hyperparameter.
        ordered: Which choices are ordered.

    Attributes:
        distributions: By the name of the parameter: the choices in their order, then the hyperparameters.
    """

    def __init__(
        self, choices: Sequence[Choice], hyperparameters: Mapping[str, BaseDistribution], ordered: Ordered
    ) -> None:
        self._choices = tuple(choices)
        names = {choice.name for choice in choices}
        self._hyperparameters = {parameter_name(name, names): name for name in hyperparameters}
        self.distributions: dict[str, BaseDistribution] = {
            choice.name: _distribution(choice, ordered) for choice in choices
        }
        self.distributions |= {parameter: hyperparameters[name] for parameter, name in self._hyperparameters.items()}

    def split(self, params: Mapping[str, Any]) -> tuple[tuple[int, ...], dict[str, Scalar]]:
        """Option indices and hyperparameters of Optuna's parameters."""
        indices = tuple([int(params[choice.name]) for choice in self._choices])
        tuned = {
            name: _rounded(params[parameter], self.distributions[parameter])
            for parameter, name in self._hyperparameters.items()
        }
        return indices, tuned

    def join(self, indices: Sequence[int], hyperparameters: Mapping[str, Scalar]) -> dict[str, Any] | None:
        """The inverse of :meth:`split`; None if a tuned hyperparameter is missing or outside its range."""
        params: dict[str, Any] = {choice.name: int(index) for choice, index in zip(self._choices, indices, strict=True)}
        for parameter, name in self._hyperparameters.items():
            if name not in hyperparameters or not _contains(self.distributions[parameter], hyperparameters[name]):
                return None
            params[parameter] = hyperparameters[name]
        return params

    def fixed(self, wanted: Mapping[str, Any], *, where: str) -> dict[str, Any]:
        """Parameters held at an option of their choice, or at a value of their hyperparameter.

        Raises:
            SpecError: There is no such decision, or it cannot take this value.
        """
        options = {choice.name: choice.options for choice in self._choices}
        positions = {(name, option): i for name, known in options.items() for i, option in enumerate(known)}
        fixed: dict[str, Any] = {}
        for name, value in wanted.items():
            if (name, value) in positions:
                fixed[name] = positions[name, value]
            elif name not in options and name in self.distributions and _contains(self.distributions[name], value):
                fixed[name] = value
            else:
                known = options.get(name, tuple(self.distributions))
                word = str(value if name in self.distributions else name)
                raise SpecError(
                    f"cannot hold {name!r} at {value!r}", where=where, fix=did_you_mean(word, map(str, known))
                )
        return fixed

    def grid(self, limit: int, *, where: str) -> dict[str, list[Any]]:
        """Every value of every parameter.

        Args:
            limit: Most combinations to allow.
            where: For messages.

        Raises:
            SpecError: There are more, or a hyperparameter is not discrete.
        """
        grid: dict[str, list[Any]] = {}
        size = 1
        for name, distribution in self.distributions.items():
            if isinstance(distribution, CategoricalDistribution):
                grid[name] = list(distribution.choices)
            elif isinstance(distribution, IntDistribution):
                grid[name] = list(range(distribution.low, distribution.high + 1, distribution.step))
            else:
                raise SpecError(
                    f"{name!r} has endlessly many values", where=where, fix="fix it, or list its values as texts"
                )
            size *= len(grid[name])
        if size > limit:
            raise SpecError(
                f"the grid has {size:.3g} points, more than {limit}", where=where, fix="use brute_force or random"
            )
        return grid


def parameter_name(hyperparameter: str, choices: set[str]) -> str:
    """Name of a hyperparameter as a parameter: its own, unless a choice of the space has it already."""
    return f"{hyperparameter} (training)" if hyperparameter in choices else hyperparameter


def _distribution(choice: Choice, ordered: Ordered) -> BaseDistribution:
    if ordered == "all" or (ordered == "numeric" and _in_order(choice.options)):
        return IntDistribution(0, len(choice.options) - 1)
    return CategoricalDistribution(tuple(range(len(choice.options))))


def _in_order(options: Sequence[Scalar]) -> bool:
    """Whether the options are numbers, ascending or descending. Two options have no order worth modelling."""
    numbers = [option for option in options if isinstance(option, (int, float)) and not isinstance(option, bool)]
    if len(numbers) < max(3, len(options)):
        return False
    rising = [a < b for a, b in pairwise(numbers)]
    return all(rising) or not any(rising)


def _rounded(value: Any, distribution: BaseDistribution) -> Any:
    if not isinstance(distribution, FloatDistribution):
        return value
    return min(max(float(f"{value:.{_DIGITS}g}"), distribution.low), distribution.high)


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    return distribution.low <= value <= distribution.high

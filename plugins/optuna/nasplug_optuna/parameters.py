"""The decisions of a search as Optuna's parameters, and back.

A choice of listed options becomes a parameter over their *indices*: Optuna compares options with `==`, which cannot
tell 1 from True. Ranges, and hyperparameters of any kind, become parameters over their values. A choice whose condition
does not hold is not a parameter of the trial, as Optuna itself has it for conditional parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from nasplug.contract.choice import Choice
from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.ranges import Categorical, Domain, FloatRange
from nasplug.contract.records import Scalar

#: Which choices Optuna may treat as ordered: none, those of numbers in order, or all of them. Ranges always are.
Ordered = Literal["none", "numeric", "all"]
#: Significant digits of a proposed number. The last bits of a logarithm differ between machines, and a run that is
#: resumed on another one must propose the very same.
_DIGITS = 8


class Parameters:
    """Optuna's view of a space and of the searched hyperparameters.

    Args:
        choices: Decisions of the space.
        hyperparameters: Range or options of every searched hyperparameter.
        ordered: Rule for which choices of listed options are ordered.

    Attributes:
        distributions: Distributions by the name of the parameter: the choices in their order, then the
            hyperparameters.
        conditional: Whether some choices are not parameters of every trial.
    """

    def __init__(self, choices: Sequence[Choice], hyperparameters: Mapping[str, Domain], ordered: Ordered) -> None:
        self._choices = tuple(choices)
        names = {choice.name for choice in choices}
        self._hyperparameters = {parameter_name(name, names): name for name in hyperparameters}
        self._domains = {parameter: hyperparameters[name] for parameter, name in self._hyperparameters.items()}
        self._domains |= {choice.name: choice.domain for choice in choices if not isinstance(choice.options, tuple)}
        self.distributions: dict[str, BaseDistribution] = {
            choice.name: _distribution(choice, ordered) for choice in choices
        }
        self.distributions |= {name: distribution_of(self._domains[name]) for name in self._hyperparameters}
        self.conditional = any(choice.when for choice in choices)

    def ask(self, study: optuna.Study) -> optuna.Trial:
        """A trial with values for all its parameters."""
        if not self.conditional:
            return study.ask(self.distributions)
        trial = study.ask()
        made: dict[str, Scalar] = {}
        for choice in self._choices:
            if _holds(choice, made):
                made[choice.name] = _value(choice, _suggest(trial, choice.name, self.distributions[choice.name]))
        for name in self._hyperparameters:
            _suggest(trial, name, self.distributions[name])
        return trial

    def split(self, params: Mapping[str, Scalar]) -> tuple[tuple[float, ...], dict[str, Scalar]]:
        """The space's vector and the hyperparameters of Optuna's parameters."""
        genes = tuple(
            [
                _gene(choice, params[choice.name]) if choice.name in params else _blank(choice)
                for choice in self._choices
            ]
        )
        tuned = {
            name: _rounded(params[parameter], self._domains[parameter])
            for parameter, name in self._hyperparameters.items()
        }
        return genes, tuned

    def join(self, genes: Sequence[float], hyperparameters: Mapping[str, Scalar]) -> dict[str, Scalar] | None:
        """The inverse of `split`; None if a searched hyperparameter is missing or outside its range."""
        params: dict[str, Scalar] = {}
        made: dict[str, Scalar] = {}
        for choice, gene in zip(self._choices, genes, strict=True):
            if _holds(choice, made):
                made[choice.name] = choice.value(gene)
                params[choice.name] = made[choice.name] if choice.name in self._domains else int(gene)
        for parameter, name in self._hyperparameters.items():
            if name not in hyperparameters or not self._domains[parameter].contains(hyperparameters[name]):
                return None
            params[parameter] = hyperparameters[name]
        return params

    def fixed(self, wanted: Mapping[str, Any], *, where: str) -> dict[str, Scalar]:
        """Parameters held at an option of their choice, or at a value of their hyperparameter.

        Raises:
            SpecError: There is no such decision, or it cannot take this value.
        """
        options = {choice.name: choice.options for choice in self._choices if isinstance(choice.options, tuple)}
        positions = {(name, option): i for name, known in options.items() for i, option in enumerate(known)}
        fixed: dict[str, Scalar] = {}
        for name, value in wanted.items():
            if (name, value) in positions:
                fixed[name] = positions[name, value]
            elif name in self._domains and self._domains[name].contains(value):
                fixed[name] = value
            else:
                known = options.get(name, tuple(self.distributions))
                word = str(value if name in self.distributions else name)
                hint = (
                    f"give a value of {self._domains[name]}"
                    if name in self._domains
                    else did_you_mean(word, map(str, known))
                )
                raise SpecError(f"cannot hold {name!r} at {value!r}", where=where, fix=hint)
        return fixed

    def grid(self, limit: int, *, where: str) -> dict[str, list[Scalar]]:
        """Every value of every parameter.

        Args:
            limit: Most combinations to allow.
            where: Sampler it is for, for messages.

        Raises:
            SpecError: There are more, or a parameter is continuous.
        """
        grid: dict[str, list[Scalar]] = {}
        size = 1
        for name, distribution in self.distributions.items():
            domain = self._domains.get(name)
            if domain is not None and domain.size is None:
                raise SpecError(
                    f"{name!r} has endlessly many values", where=where, fix="give it a step, fix it, or list its values"
                )
            count = domain.size if domain is not None else _count(distribution)
            size *= count or 1
            if size > limit:
                continue
            if domain is None:
                grid[name] = list(range(count or 0))
            else:
                grid[name] = list(domain.options if isinstance(domain, Categorical) else domain)
        if size > limit:
            raise SpecError(
                f"a grid of size {size:.3g} exceeds the limit of {limit}", where=where, fix="use brute_force or random"
            )
        return grid


def distribution_of(domain: Domain) -> BaseDistribution:
    """Optuna's form of a range or of options; Optuna knows no weights."""
    if isinstance(domain, Categorical):
        return CategoricalDistribution(domain.options)
    if isinstance(domain, FloatRange):
        return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    return IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step)


def parameter_name(hyperparameter: str, choices: set[str]) -> str:
    """Name of a hyperparameter as a parameter: its own, unless a choice of the space has it already."""
    return f"{hyperparameter} (training)" if hyperparameter in choices else hyperparameter


def _distribution(choice: Choice, ordered: Ordered) -> BaseDistribution:
    if not isinstance(choice.options, tuple):
        return distribution_of(choice.options)
    if ordered == "all" or (ordered == "numeric" and _in_order(choice.options)):
        return IntDistribution(0, len(choice.options) - 1)
    return CategoricalDistribution(tuple(range(len(choice.options))))


def _count(distribution: BaseDistribution) -> int:
    """Number of options of a choice, whose parameter holds their indices."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    assert isinstance(distribution, IntDistribution)
    return distribution.high + 1


def _holds(choice: Choice, made: Mapping[str, Scalar]) -> bool:
    return all(name in made and made[name] in values for name, values in (choice.when or {}).items())


def _value(choice: Choice, param: Any) -> Scalar:
    """The option that a parameter's value stands for."""
    if isinstance(choice.options, tuple):
        return choice.options[int(param)]
    value: Scalar = _rounded(param, choice.options)
    return value


def _gene(choice: Choice, param: Any) -> float:
    return int(param) if isinstance(choice.options, tuple) else choice.gene(_rounded(param, choice.options))


def _blank(choice: Choice) -> float:
    """The entry of an inactive choice, which the space ignores."""
    return choice.options.low if choice.continuous and isinstance(choice.options, FloatRange) else 0


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Scalar:
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, CategoricalDistribution)
    return trial.suggest_categorical(name, distribution.choices)


def _in_order(options: Sequence[Scalar]) -> bool:
    """Whether the options are numbers, ascending or descending. Two options have no order worth modelling."""
    numbers = [option for option in options if isinstance(option, (int, float)) and not isinstance(option, bool)]
    if len(numbers) < max(3, len(options)):
        return False
    rising = [a < b for a, b in pairwise(numbers)]
    return all(rising) or not any(rising)


def _rounded(value: Any, domain: Domain) -> Any:
    if not isinstance(domain, FloatRange):
        return value
    if domain.size is not None:  # Optuna's multiples of a step are not ours to the last bit
        return domain[min(max(round((value - domain.low) / (domain.step or 1.0)), 0), domain.size - 1)]
    return min(max(float(f"{value:.{_DIGITS}g}"), domain.low), domain.high)

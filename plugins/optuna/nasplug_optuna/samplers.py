"""Optuna's samplers by name, with checked options."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Mapping

import numpy as np
import optuna
from optuna.samplers import BaseSampler

from nasplug.contract.errors import MissingExtraError, SpecError, UnknownNameError, did_you_mean
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.plugins.catalog import load_location
from nasplug_optuna.parameters import Ordered, Parameters
from nasplug_optuna.quiet import quiet

#: Modules that a sampler needs beyond Optuna's own dependencies, and the extra that brings them.
_NEEDS = {
    "cmaes": (("cmaes",), "cmaes"),
    "gp": (("torch", "scipy"), "gp"),
    "qmc": (("scipy",), "qmc"),
}
_ALIASES = {"nsga2": "nsgaii", "nsga3": "nsgaiii", "sobol": "qmc"}
#: Set by nasplug: the seed from the study, constraints from the study's, the grid from the space.
_OURS = {"self", "seed", "constraints_func", "search_space"}
#: Options that are samplers themselves, and those that are operators of the evolutionary samplers.
_NESTED = {"base_sampler", "independent_sampler"}
_OPERATORS = {"crossover": "Crossover", "mutation": "Mutation"}
#: Optuna keeps a grid as a list in memory.
_LARGEST_GRID = 200_000


class SamplerRecipe:
    """A sampler by name with its options: everything about it but the seed and the space.

    Args:
        name: `tpe`, `TPESampler`, or the class path of any `optuna.samplers.BaseSampler`.
        options: Arguments of its constructor. `base_sampler` and `independent_sampler` take a name or
            `{name: {option: value}}`; `crossover` and `mutation` likewise, from `optuna.samplers.nsgaii`.
        where: Origin of the settings, for messages.

    Attributes:
        cls: The sampler's class.

    Raises:
        UnknownNameError: No such sampler, operator or option.
        SpecError: An option has the wrong form.
        MissingExtraError: The sampler needs a library that is not installed.
    """

    def __init__(self, name: str, options: JsonObject, *, where: str) -> None:
        self.cls = _find(name, where)
        self.name = short_name(self.cls)
        self._where = where
        accepted = [key for key in inspect.signature(self.cls.__init__).parameters if key not in _OURS]
        for key in options:
            if key not in accepted:
                raise UnknownNameError(
                    f"sampler {self.name!r} has no option {key!r}", where=where, fix=did_you_mean(key, accepted)
                )
        self._options = dict(options)
        self._nested = {
            key: SamplerRecipe(*_named(value, f"{where}.{key}"), where=f"{where}.{key}")
            for key, value in options.items()
            if key in _NESTED and isinstance(value, (str, Mapping))
        }
        self._require()
        if not self._depends_on_the_space:
            self.build(np.random.default_rng(0), None)  # bad options are refused before anything runs

    @property
    def default_order(self) -> Ordered:
        """How to present choices: samplers of numbers ignore what has no order."""
        return "all" if self.name in ("cmaes", "qmc") else "numeric"

    @property
    def ignores_constraints(self) -> bool:
        """Whether the sampler learns from values alone, so that infeasible trials must not show theirs."""
        inner = self._nested.get("base_sampler")
        return self.name == "cmaes" or (inner is not None and inner.ignores_constraints)

    @property
    def walks_a_list(self) -> bool:
        """Whether the sampler can make nothing of trials that it did not propose."""
        return self.name == "grid"

    @property
    def ends(self) -> bool:
        """Whether the sampler proposes every combination once, and is then done."""
        return self.name in ("grid", "bruteforce")

    @property
    def _depends_on_the_space(self) -> bool:
        return (
            self.walks_a_list
            or "fixed_params" in self._options
            or any(recipe._depends_on_the_space for recipe in self._nested.values())
        )

    def build(self, rng: np.random.Generator, parameters: Parameters | None) -> BaseSampler:
        """A fresh sampler.

        Args:
            rng: Gives its seed, and those of nested samplers.
            parameters: The space, for samplers that must know it beforehand.

        Raises:
            SpecError: Its constructor refuses the options.
        """
        arguments = {key: self._argument(key, value, rng, parameters) for key, value in self._options.items()}
        known = inspect.signature(self.cls.__init__).parameters
        if "seed" in known:
            arguments["seed"] = int(rng.integers(2**31))
        if "search_space" in known and parameters is not None:
            arguments["search_space"] = parameters.grid(_LARGEST_GRID, where=self._where)
        try:
            with quiet():
                return self.cls(**arguments)
        except (TypeError, ValueError) as error:
            raise SpecError(f"sampler {self.name!r} refuses its options", where=self._where, why=str(error)) from error

    def _argument(self, key: str, value: Json, rng: np.random.Generator, parameters: Parameters | None) -> object:
        if key in self._nested:
            return self._nested[key].build(rng, parameters)
        if key in _OPERATORS and isinstance(value, (str, Mapping)):
            return _operator(_OPERATORS[key], *_named(value, f"{self._where}.{key}"), where=f"{self._where}.{key}")
        if key == "fixed_params" and parameters is not None and isinstance(value, Mapping):
            return parameters.fixed(value, where=f"{self._where}.{key}")
        return value

    def _require(self) -> None:
        missing = missing_libraries(self.name)
        if missing:
            raise MissingExtraError(
                f"{' and '.join(missing)} is needed by Optuna's sampler {self.name!r}, and is not installed",
                where=self._where,
                fix=f'pip install "nasplug-optuna[{_NEEDS[self.name][1]}]"',
            )


def missing_libraries(name: str) -> list[str]:
    """Modules that a sampler of that short name needs and that are not installed."""
    modules, _ = _NEEDS.get(name, ((), ""))
    return [module for module in modules if importlib.util.find_spec(module) is None]


def sampler_classes() -> dict[str, type[BaseSampler]]:
    """The public samplers of the installed Optuna by short name."""
    found = [getattr(optuna.samplers, name) for name in optuna.samplers.__all__]
    classes = [value for value in found if inspect.isclass(value) and issubclass(value, BaseSampler)]
    return {short_name(cls): cls for cls in classes if not inspect.isabstract(cls)}


def short_name(cls: type) -> str:
    """`tpe` for `TPESampler`."""
    return _folded(cls.__name__)


def _folded(name: str) -> str:
    plain = name.lower().replace("_", "").removesuffix("sampler")
    return _ALIASES.get(plain, plain)


def _find(name: str, where: str) -> type[BaseSampler]:
    classes = sampler_classes()
    if _folded(name) in classes:
        return classes[_folded(name)]
    if "." not in name:
        raise UnknownNameError(f"Optuna has no sampler {name!r}", where=where, fix=did_you_mean(_folded(name), classes))
    cls = load_location(name, where=where)
    if not (inspect.isclass(cls) and issubclass(cls, BaseSampler)):
        raise SpecError(f"{name!r} is not a sampler", where=where, fix="name a subclass of optuna.samplers.BaseSampler")
    return cls


def _operator(kind: str, name: str, arguments: JsonObject, *, where: str) -> object:
    module = optuna.samplers.nsgaii
    classes = {
        attribute.removesuffix(kind).lower(): getattr(module, attribute)
        for attribute in module.__all__
        if attribute.endswith(kind) and not attribute.startswith("Base")
    }
    plain = name.lower().replace("_", "").removesuffix(kind.lower())
    if plain not in classes:
        raise UnknownNameError(f"there is no {kind.lower()} {name!r}", where=where, fix=did_you_mean(plain, classes))
    try:
        with quiet():
            return classes[plain](**arguments)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{kind.lower()} {name!r} refuses its options", where=where, why=str(error)) from error


def _named(value: Json, where: str) -> tuple[str, JsonObject]:
    """Name and options out of `name` or `{name: {option: value}}`."""
    if isinstance(value, str):
        return value, {}
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, options),) = value.items()
        if isinstance(name, str) and (options is None or isinstance(options, Mapping)):
            return name, dict(options or {})
    raise SpecError(f"cannot read {value!r}", where=where, fix="write NAME, or {NAME: {option: value}}")

"""A network to compare with: named in a specification, trained as the trials are, and no trial itself.

It takes no number, no random numbers and no place in what a strategy sees, so that it may be added to a study that is
finished. Constraints and stoppers do not apply to it: it has to have a result, whatever it costs.
"""

from __future__ import annotations

import contextvars
import inspect
import json
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from nasplug.contract.errors import PluginError, SpaceError, SpecError, TrialError
from nasplug.contract.jsondata import Json
from nasplug.contract.labels import labeller
from nasplug.contract.protocols import HasHyperparameters, SearchSpace, Task
from nasplug.contract.records import BASELINE, Architecture, Proposal, Scalar, Trial
from nasplug.ledger.comparison import read_baseline
from nasplug.ledger.facts import Facts
from nasplug.ledger.rng import derived_seed
from nasplug.plugins.catalog import load_location
from nasplug.plugins.component import Component
from nasplug.plugins.manager import Manager
from nasplug.plugins.trust import trusted

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

_FORMS = (
    "write timm:resnet18, my_package.module:make_network, {genotype: [...]} or {network: ..., hyperparameters: {...}}"
)
_TIMM = "timm:"


@dataclass(frozen=True)
class BaselineSpec:
    """The baseline of a specification.

    Attributes:
        network: `timm:NAME`, or the path of a function or class that makes the network; None for a genotype.
        genotype: Genotype of the space that is searched; None for a network.
        hyperparameters: Hyperparameters of its training; the task's own defaults without.
    """

    network: Component | None = None
    genotype: Json = None
    hyperparameters: Mapping[str, Scalar] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: object) -> BaselineSpec:
        """Reads what stands behind `baseline:`.

        Raises:
            SpecError: It has none of the known forms.
        """
        if isinstance(value, cls):
            return value
        hyperparameters: object = {}
        if isinstance(value, Mapping) and ("genotype" in value or "network" in value):
            unknown = set(value) - {"genotype", "network", "hyperparameters"}
            if unknown or ("genotype" in value and "network" in value):
                raise SpecError(f"cannot read {value!r:.200}", where="baseline", fix=_FORMS)
            hyperparameters = value.get("hyperparameters") or {}
            if "genotype" in value:
                return cls(None, value["genotype"], _scalars(hyperparameters))
            value = value["network"]
        return cls(_network(value), None, _scalars(hyperparameters))

    def to_plain(self) -> Json:
        """Plain data that `parse` reads back."""
        more: dict[str, Json] = {"hyperparameters": dict(self.hyperparameters)} if self.hyperparameters else {}
        if self.network is None:
            return {"genotype": self.genotype, **more}
        return {"network": self.network.to_plain(), **more} if more else self.network.to_plain()

    @property
    def label(self) -> str:
        """Name of the network for people."""
        assert self.network is not None
        name = self.network.name.removeprefix(_TIMM).replace(":", ".").rpartition(".")[2]
        return " ".join([name, *(f"{key}={value}" for key, value in self.network.args.items())])


def _scalars(given: object) -> dict[str, Scalar]:
    if not isinstance(given, Mapping):
        raise SpecError(f"cannot read {given!r:.100}", where="baseline.hyperparameters", fix=_FORMS)
    for name, value in given.items():
        if value is not None and not isinstance(value, (str, int, float, bool)):
            where = f"baseline.hyperparameters.{name}"
            raise SpecError(f"expected a number or a text, got {value!r:.100}", where=where)
    return cast("dict[str, Scalar]", dict(given))


def _network(value: object) -> Component:
    found = Component.parse(value, where="baseline")
    if found.is_path or found.name.startswith(_TIMM):
        return found
    if ":" not in found.name:
        raise SpecError(f"{found.name!r} names no network", where="baseline", fix=_FORMS)
    return Component(found.name, found.args, is_path=True)


class OneNetwork:
    """A space of one network, which stands for the space of the search while the baseline is trained.

    Args:
        architecture: Architecture that stands for the network.
        make: Function that builds it for a task.
        label: Name of the network.
    """

    name = "baseline"

    def __init__(self, architecture: Architecture, make: Callable[[Task], nn.Module], label: str) -> None:
        self._architecture, self._make, self._label = architecture, make, label

    def architecture(self, genotype: object) -> Architecture:
        """Returns the only architecture."""
        return self._architecture

    def validate(self, architecture: Architecture) -> None:
        """Accepts the only architecture."""

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Returns the only architecture."""
        return self._architecture

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """Makes the network."""
        return self._make(task)

    def label(self, architecture: Architecture) -> str:
        """Returns the name of the network."""
        return self._label


class Baseline:
    """The baseline of a run, resolved when it is first needed, with the trust that there was when the run was composed.

    Args:
        spec: Baseline of the specification.
        space: Space of the search.
        task: Task of the search.
        given: Function of a Python caller that makes the network; None for what the specification names.
    """

    def __init__(self, spec: BaselineSpec, space: SearchSpace, task: Task | None, given: object = None) -> None:
        self.spec, self._space, self._task, self._given = spec, space, task, given
        self._context = contextvars.copy_context()
        self._found: SearchSpace | None = None

    @property
    def space(self) -> SearchSpace:
        """The space of the baseline: that of the search for a genotype, otherwise one of a single network.

        Raises:
            SpecError: There is no such network, or no task to make it for.
            TrustError: It comes out of a file that nobody here trusts.
        """
        if self._found is None:
            self._found = self._context.run(self._resolve)
        return self._found

    def _resolve(self) -> SearchSpace:
        network = self.spec.network
        if network is None:
            return self._space
        if self._task is None:
            raise SpecError(
                "a network can be trained only with a task, and this search has none",
                where="baseline",
                fix="name an architecture of the space: {genotype: [...]}",
            )
        key = json.dumps(network.to_plain(), sort_keys=True)
        architecture = Architecture(OneNetwork.name, (network.name,), key)
        make = _timm_maker(network) if network.name.startswith(_TIMM) else _maker(network, self._given)
        return OneNetwork(architecture, make, self.spec.label)

    def trial(self, seed: int) -> Trial:
        """Returns the trial of the baseline, which waits.

        Args:
            seed: Seed of the study.

        Raises:
            NasplugError: There is no such network, genotype or hyperparameter.
        """
        space = self.space
        architecture = space.architecture(self.spec.genotype)
        found = space.hyperparameters(architecture) if isinstance(space, HasHyperparameters) else {}
        hyperparameters = {**found, **self.spec.hyperparameters}
        if hyperparameters and self._task is not None:
            self._task.check_hyperparameters(list(hyperparameters))
        proposal = Proposal(architecture, hyperparameters, info={"origin": "baseline"})
        return Trial(BASELINE, proposal, seed=derived_seed(seed, "baseline", 0), label=labeller(space)(architecture))


def unhindered(manager: Manager) -> Manager:
    """Returns the plugins of a run without those that stop trainings, and without the strategy."""
    plugins = [each for each in manager.named() if not each[0].startswith(("stopper:", "strategy:"))]
    return Manager(plugins, manager.watchdog)


def _timm_maker(network: Component) -> Callable[[Task], nn.Module]:
    from nasplug.spaces.timm import create, find_models

    name = network.name.removeprefix(_TIMM)
    if any(character in name for character in "*?["):
        raise SpecError(f"{name!r} may be several models", where="baseline", fix="name one of them")
    try:
        find_models([name])
    except SpaceError as error:
        raise SpecError(error.what, where="baseline", why=error.why, fix=error.fix) from error
    return lambda task: create(name, task.input_shape, task.outputs, **cast("dict[str, Json]", dict(network.args)))


def _maker(network: Component, given: object) -> Callable[[Task], nn.Module]:
    found = load_location(network.name, where="baseline") if given is None else given
    from torch import nn

    if isinstance(found, nn.Module) or not callable(found):
        raise SpecError(
            f"{network.name} is not a function that makes a network",
            where="baseline",
            why=f"it is a {type(found).__name__}, and every training begins with a new network",
            fix="give a function or a class: make_network(task), or one that takes nothing",
        )
    if not trusted():
        _check_made(found, network.name, nn.Module)
    function: Callable[..., object] = found

    def make(task: Task) -> nn.Module:
        made = function(*([task] if _takes_task(function, network.args) else []), **network.args)
        if not isinstance(made, nn.Module):
            raise TrialError(
                "build",
                f"{network.name} returned a {type(made).__name__}, not a torch.nn.Module",
                where="baseline",
                fix="return the network",
            )
        return made

    return make


def _check_made(function: Callable[..., object], name: str, wanted: type) -> None:
    """Refuses an installed function that a received file names, and that may do anything but make a network."""
    import typing

    made = function if isinstance(function, type) else typing.get_type_hints(function).get("return")
    if not (isinstance(made, type) and issubclass(made, wanted)):
        raise PluginError(
            f"{name!r} is not known to make a network, and calling it could do anything",
            where="baseline",
            fix="annotate what it returns as a torch.nn.Module, or trust the file (--trust)",
        )


def _takes_task(function: Callable[..., object], given: Mapping[str, object]) -> bool:
    """Whether the first argument is the task: it must be given, and nobody else gives it, or it has that name."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    if not parameters or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        return False
    first = parameters[0]
    return first.name not in given and (first.name == "task" or first.default is inspect.Parameter.empty)


def plain_baseline(value: object, objects: dict[str, object]) -> object:
    """Returns the plain data of a baseline as Python callers give it; a ready function goes into `objects`."""
    if value is None or isinstance(value, (str, BaselineSpec, Component)):
        return value
    if isinstance(value, Mapping):
        given = value.get("network")
        return {**value, "network": plain_baseline(given, objects)} if callable(given) else value
    objects["baseline"] = value
    named = value if hasattr(value, "__qualname__") else type(value)
    return {"class_path": f"{named.__module__}.{named.__qualname__}"}


def kept_baseline(facts: Facts, spec: BaselineSpec | None, again: Container[str] = ()) -> Trial | None:
    """Returns the baseline in a study file, if it is the one that a run asks for.

    Args:
        facts: Facts of the file.
        spec: Baseline that the run asks for; None for whatever there is.
        again: Kinds of failures after which it is trained again.
    """
    found = read_baseline(facts)
    if found is None or spec is None:
        return found
    asked = json.loads(json.dumps(spec.to_plain()))
    failed = found.failure is not None and found.failure.kind in again
    return None if failed or facts["baseline"].get("asked") != asked else found

"""Hardware as a search space, alone and together with a space of networks, so that every strategy searches it.

`npu.unit` is a space of units whose results the evaluator `npu` computes. `npu.with_unit` puts a space of networks and
units together: a point is a network and the unit it runs on, and the cost `npu` prices one on the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from nasplug.contract.choice import Choice
from nasplug.contract.errors import NasplugError, SpaceError, SpecError, TrialError, did_you_mean
from nasplug.contract.grammar import DomainLike, parse
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.protocols import HasHyperparameters, SearchSpace
from nasplug.contract.ranges import Categorical
from nasplug.contract.records import Architecture, Scalar
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph
from nasplug.spaces.hyperparameters import HyperparameterSpace
from nasplug_npu.config import NPUConfig
from nasplug_npu.presets import parse as parse_unit
from nasplug_npu.unit import NPU

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.protocols import Task
    from nasplug.cost.candidate import Candidate

#: What is varied if nothing is said.
AXES: Mapping[str, DomainLike] = {
    "macs": (8, 16, 32, 64, 128, 256),
    "weight_kb": (4, 8, 16, 32, 64),
    "input_kb": (8, 16, 32, 64, 128),
    "output_kb": (4, 8, 16, 32, 64),
    "act_bytes_per_cycle": (2, 4, 8, 16),
    "sparsity": ("none", "weight_skip"),
}
#: Fields that no axis can vary: labels, and lists.
_FIXED = ("name", "source", "ppu_operations")


@runtime_checkable
class HasUnit(Protocol):
    """A space whose architectures name a unit."""

    def unit(self, architecture: Architecture) -> NPU:
        """The unit of a point."""


class UnitSpace(ChoiceSpace):
    """Units that differ from a base in some fields.

    Graphs have a path for every field: an option as a node, a number as one node for every option up to it, so that
    units of near numbers share most nodes.

    Args:
        base: Unit that the axes vary: a preset or a file, with changes, and the policy for layers that units cannot do
            (`wu32,unsupported=cpu`).
        axes: Options of every field that is searched, as a list, or its range, such as `{low: 1e8, high: 4e8}`; None
            for multipliers, buffers, bandwidth and skipping.

    Raises:
        SpecError: The base is described by rates, or an axis is not a field.
    """

    #: It has no networks, only results.
    produces = ()

    def __init__(self, base: str = "wu32", axes: Mapping[str, DomainLike] | None = None) -> None:
        config, self.unsupported = parse_unit(base.removeprefix("npu:"))
        self.base = _with_parts(config)
        super().__init__("npu.unit", [_choice(name, axis, self.base) for name, axis in (axes or AXES).items()])

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries the space with."""
        return [{}, {"base": "wu32_dense", "axes": {"macs": [16, 32], "freq_hz": {"low": 1e8, "high": 4e8}}}]

    @classmethod
    def nasplug_conformance(cls) -> Mapping[str, object]:
        """What `nasplug test-plugin` tests it on: no inputs, as it builds nothing."""
        return {"input_shapes": ()}

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """Refuses: a unit is not a network.

        Raises:
            SpaceError: Always.
        """
        raise SpaceError(
            "a unit is not a network",
            where=f"space {self.name!r}",
            fix="use the evaluator npu, or the space npu.with_unit beside a space of networks",
        )

    def unit(self, architecture: Architecture) -> NPU:
        """The unit of a point.

        Raises:
            TrialError: Its fields do not go together.
        """
        return _unit(self.base, self.unsupported, tuple(self.active(architecture).items()))

    def graph(self, architecture: Architecture) -> Graph:
        """Fields side by side."""
        made = self.active(architecture)
        chains = [_chain(choice, made[choice.name]) for choice in self.choices if choice.name in made]
        labels, end = ["input"], 1 + sum(map(len, chains))
        edges: list[tuple[int, int]] = []
        for chain in chains:
            edges += pairwise([0, *range(len(labels), len(labels) + len(chain)), end])
            labels += chain
        return Graph((*labels, "output"), tuple(edges))


class WithUnitSpace(HyperparameterSpace):
    """Networks of another space, each with the unit that it runs on.

    It has the capabilities of the space inside, except that tables hold its networks and not its points: an evaluator
    that looks results up finds those of the network, as no training depends on the unit. Its `npu/...` costs are those
    of the network on its unit: the run needs no target.

    Args:
        space: Space of the networks.
        base: See `UnitSpace`.
        axes: See `UnitSpace`.

    Raises:
        SpecError: See `UnitSpace`.
    """

    def __init__(self, space: SearchSpace, base: str = "wu32", axes: Mapping[str, DomainLike] | None = None) -> None:
        self.units = UnitSpace(base, axes)
        super().__init__(space, {choice.name: choice.domain for choice in self.units.choices})
        self.name = f"{space.name}+unit"

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries the space with."""
        axes: dict[str, Json] = {"macs": [16, 32], "weight_kb": [8, 16]}
        return [{"space": "tabular_mlp", "axes": axes}]

    @property
    def hyperparameter_names(self) -> tuple[str, ...]:
        """Those of the space inside: fields of a unit do not change a training."""
        return self.inner.hyperparameter_names if isinstance(self.inner, HasHyperparameters) else ()

    def hyperparameters(self, architecture: Architecture) -> dict[str, Scalar]:
        """Those of the space inside."""
        if not isinstance(self.inner, HasHyperparameters):
            return {}
        return dict(self.inner.hyperparameters(self.inner_architecture(architecture)))

    def trained_part(self, architecture: Architecture) -> Architecture:
        """The network, see `nasplug.contract.protocols.HasTrainedPart`."""
        return self.inner_architecture(architecture)

    def unit(self, architecture: Architecture) -> NPU:
        """The unit of a point.

        Raises:
            TrialError: Its fields do not go together.
        """
        fields = self.trained.active(self._halves(architecture)[1])
        return _unit(self.units.base, self.units.unsupported, tuple(fields.items()))


def searched_unit(candidate: Candidate) -> NPU | None:
    """The unit that a candidate's architecture names, or None if its space has no units.

    Raises:
        TrialError: The fields of the unit do not go together.
    """
    space, architecture = candidate.space, candidate.architecture
    while architecture is not None and isinstance(space, HyperparameterSpace):
        if isinstance(space, WithUnitSpace):
            return space.unit(architecture)
        space, architecture = space.inner, space.inner_architecture(architecture)
    return None


@lru_cache(maxsize=256)
def _unit(base: NPUConfig, unsupported: str, fields: tuple[tuple[str, Scalar], ...]) -> NPU:
    named = ",".join(f"{name}={value}" for name, value in fields)
    try:
        return NPU(base.replace(**dict(fields), name=f"{base.name},{named}"), unsupported)
    except NasplugError as error:
        raise TrialError("error", f"these parts make no unit: {error}", where=f"npu:{base.name},{named}") from error


def _with_parts(config: object) -> NPUConfig:
    if not isinstance(config, NPUConfig):
        raise SpecError("a processor described by rates has no parts", where="base", fix="use wu32, for example")
    return config


def _choice(name: str, axis: DomainLike, base: NPUConfig) -> Choice:
    known = [field for field in base.to_json() if field not in _FIXED]
    if name not in known:
        raise SpecError(f"there is no field {name!r} to vary", where="axes", fix=did_you_mean(name, known))
    if isinstance(axis, (list, tuple)):  # of two numbers as well: a range states its step
        return Choice(name, tuple(axis))
    domain = parse(axis, where=f"axes.{name}")
    return Choice(name, domain.options if isinstance(domain, Categorical) else domain)


def _chain(choice: Choice, value: Scalar) -> list[str]:
    """Labels of the nodes that stand for a field, at least one."""
    options, domain = choice.options, choice.domain
    if not isinstance(options, tuple):
        assert not isinstance(domain, Categorical)
        level = min(int(domain.to_unit(value) * _LEVELS), _LEVELS - 1)  # type: ignore[arg-type]
        return [f"{choice.name}>={step}/{_LEVELS}" for step in range(level + 1)]
    if all(isinstance(option, (int, float)) and not isinstance(option, bool) for option in options):
        reached = [option for option in options if _amount(option) <= _amount(value)]
        return [f"{choice.name}>={option}" for option in sorted(reached, key=_amount)]
    return [f"{choice.name}={value}"]


def _amount(value: Scalar) -> float:
    assert isinstance(value, (int, float))
    return float(value)


#: Steps in which graphs show numbers of a range.
_LEVELS = 8

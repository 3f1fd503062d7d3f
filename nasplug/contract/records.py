"""The plain records that cross every border: frozen, hashable where it matters, with an exact JSON round trip.

Records are `msgspec` structures, which are written and read several times as fast as classes of the standard library
and check types while reading. Mappings inside records are plain dictionaries that nobody changes after construction.
JSON has no NaN and no infinity; in records of trials they are written as the texts `nan`, `inf` and `-inf`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypedDict, Unpack, cast

import msgspec
from msgspec.structs import replace

from nasplug.contract.arguments import for_task
from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.wording import plural

Scalar = str | int | float | bool | None
Genotype = Scalar | tuple["Genotype", ...]

Direction = Literal["max", "min"]
State = Literal["waiting", "running", "complete", "pruned", "failed"]

if TYPE_CHECKING:
    from torch import nn

    Scalars: TypeAlias = Mapping[str, Scalar]
    Numbers: TypeAlias = Mapping[str, float]
else:  # what the decoder checks
    Scalars = Mapping[str, Any]
    Numbers = Mapping[str, float | int]

FINISHED: frozenset[str] = frozenset({"complete", "pruned", "failed"})
#: Why a trial failed. `crash` is a worker process that died, `metric` a result that is missing or not finite,
#: `structure` a network that changed without a record of it, `work` something that the strategy had to train before.
FAILURE_KINDS: tuple[str, ...] = (
    "build",
    "shape",
    "nan",
    "oom",
    "timeout",
    "crash",
    "metric",
    "data",
    "structure",
    "work",
    "error",
)


def freeze(value: object) -> Genotype:
    """Turns lists into tuples, all the way down.

    Raises:
        TypeError: `value` holds something that is neither a JSON scalar nor a sequence.
    """
    if isinstance(value, (list, tuple)):
        return tuple([freeze(item) for item in value])
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(
        f"a genotype holds only str, int, float, bool, None and sequences of them, not {type(value).__name__}"
    )


class Architecture(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A point of a search space.

    Attributes:
        space: Name of the space, which alone can interpret the genotype.
        genotype: Nested tuples of JSON scalars.
        key: Canonical name inside the space: equal for architectures that build the same network, as far as the
            space can tell. Equality and hash use `(space, key)`.
    """

    space: str
    genotype: bool | int | float | str | tuple[Any, ...] | None
    key: str

    def __post_init__(self) -> None:
        genotype: object = self.genotype
        if isinstance(genotype, list) or (type(genotype) is tuple and list in map(type, genotype)):  # as JSON has it
            msgspec.structs.force_setattr(self, "genotype", freeze(genotype))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self.key == other.key and self.space == other.space

    def __hash__(self) -> int:
        return hash((self.space, self.key))

    def to_json(self) -> dict[str, Json]:
        """Returns plain data for JSON."""
        return {"space": self.space, "genotype": self.genotype, "key": self.key}

    @classmethod
    def from_json(cls, data: JsonObject) -> Self:
        """Returns the architecture that `to_json` gave."""
        return msgspec.convert(data, cls)


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric or cost to maximise or minimise, e.g. `Objective("val_acc", "max")`."""

    name: str
    direction: Direction

    def __post_init__(self) -> None:
        if self.direction not in ("max", "min"):
            raise SpecError(
                f"direction {self.direction!r} is neither 'max' nor 'min'", where=f"objective {self.name!r}"
            )

    @property
    def sign(self) -> float:
        """+1 to maximise, -1 to minimise: `sign * value` is always better when larger."""
        return 1.0 if self.direction == "max" else -1.0


_CONSTRAINT = re.compile(r"^\s*([A-Za-z_][\w./:-]*)\s*(<=|>=)\s*([-+0-9.eE_]+)\s*$")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A hard bound on one metric or cost, e.g. `Constraint.parse("macs <= 50e6")`."""

    name: str
    operator: Literal["<=", ">="]
    bound: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `name <= number` or `name >= number`.

        Raises:
            SpecError: The text has another form.
        """
        match = _CONSTRAINT.match(text)
        try:
            if match is None:
                raise ValueError
            return cls(match[1], match[2], float(match[3]))  # type: ignore[arg-type]
        except ValueError:
            raise SpecError(
                f"cannot read the constraint {text!r}",
                where="constraints",
                fix="write 'NAME <= NUMBER' or 'NAME >= NUMBER', for example 'macs <= 50e6'",
            ) from None

    def violation(self, values: Mapping[str, float]) -> float:
        """How far `values` are beyond the bound: 0.0 when it holds, infinite when the value is missing or NaN."""
        value = values.get(self.name, math.nan)
        if math.isnan(value):
            return math.inf
        return max(0.0, value - self.bound if self.operator == "<=" else self.bound - value)

    def __str__(self) -> str:
        return f"{self.name} {self.operator} {self.bound:g}"


class Budget(msgspec.Struct, frozen=True, gc=False):
    """How much training one trial may have.

    Attributes:
        epochs: Number of epochs, from the first one of the oldest ancestor.
        total: Number of epochs that the training may reach by later promotions. Schedules of the learning rate are
            made for it, so that a promoted training goes on as if it had never stopped; None means `epochs`.
    """

    epochs: int = 1
    total: int | None = None

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise SpecError(f"a budget of {plural(self.epochs, 'epoch')} is negative", where="budget.epochs")
        if self.total is not None and self.total < self.epochs:
            raise SpecError(f"a budget of {plural(self.epochs, 'epoch')} in all of {self.total}", where="budget.total")


class Failure(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Why a trial failed.

    Attributes:
        kind: One of `FAILURE_KINDS`.
        message: One readable line.
        traceback: Traceback, for authors.
        plugin: Plugin and hook that raised the error, if it came neither from the evaluator nor from the search space.
    """

    kind: str
    message: str
    traceback: str = ""
    plugin: str = ""


class Inherit(msgspec.Struct, frozen=True, gc=False):
    """What a candidate takes over from an earlier trial.

    Attributes:
        trial: Number of the earlier trial.
        mode: `training` continues it with its optimiser, epochs counted on (promotion to a larger budget); `weights`
            starts a training of its own from its trained weights, which the `inherit` hook fits to the network.
    """

    # Written always: msgspec tells a default text by identity, which a way through another process does not keep.
    trial: int
    mode: Literal["training", "weights"] = "training"


class Proposal(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a strategy wants evaluated.

    Attributes:
        architecture: The network.
        hyperparameters: Handed to the task's module as keyword arguments; may be evolved by the strategy.
        budget: Budget of this trial; None means that of the run.
        inherits: Checkpoint or weights taken over from an earlier trial.
        info: Provenance for humans and for the strategy itself: generation, rung, parent individual. JSON data.
        failure: Reason why there is nothing to train, if the strategy failed at its own work for this trial, such as
            the training of a supernet. The trial is recorded as failed for this reason and never runs.
        seed: Seed of the trial; None derives it from the study's seed and the trial's number. Two proposals of one
            architecture with different seeds are a repetition, two architectures with one seed a paired comparison.
    """

    architecture: Architecture
    hyperparameters: Scalars = {}
    budget: Budget | None = None
    inherits: Inherit | None = None
    info: JsonObject = {}
    failure: Failure | None = None
    seed: int | None = None

    @property
    def parent(self) -> int | None:
        """Number of the trial that this one inherits from."""
        return None if self.inherits is None else self.inherits.trial

    def to_json(self) -> dict[str, Json]:
        """Returns plain data for JSON; fields that have their default are left out."""
        data: dict[str, Json] = msgspec.to_builtins(self)
        return data

    @classmethod
    def from_json(cls, data: JsonObject) -> Self:
        """Returns the proposal that `to_json` gave."""
        return msgspec.convert(data, cls)

    def identity(self) -> tuple[object, ...]:
        """Returns what two proposals share that describe the same training (up to a derived random seed)."""
        hyperparameters = json.dumps(dict(self.hyperparameters), sort_keys=True) if self.hyperparameters else ""
        epochs = None if self.budget is None else self.budget.epochs
        inherits = None if self.inherits is None else (self.inherits.trial, self.inherits.mode)
        return (self.architecture.space, self.architecture.key, hyperparameters, epochs, inherits, self.seed)


class Measurement(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True, gc=False):
    """Several metrics at one step (epoch) of a training.

    Attributes:
        step: Completed epochs of the stage.
        metrics: Metric by name.
        stage: Name of the stage, such as a fold; empty in a trial of one fit.
    """

    step: int
    metrics: Numbers
    stage: str = ""


class Evaluation(msgspec.Struct, frozen=True):
    """What an evaluator answers.

    Attributes:
        metrics: The result of the training, among them every objective that is not a cost.
        measurements: Metrics per step, in order.
        artifacts: Name to path, relative to the study's folder: `weights`, `checkpoint`.
        network: The trained network, for costs that need trained weights. Never crosses a process border.
        pruned: Reason why a pruner stopped the training early, or None.
        edits: Changes of the network's structure in this training, in order: JSON records that the `edit` hook
            can repeat. Those said with `run.edit` are there without being named here.
    """

    metrics: Mapping[str, float]
    measurements: tuple[Measurement, ...] = ()
    artifacts: Mapping[str, str] = {}
    network: nn.Module | None = None
    pruned: str | None = None
    edits: tuple[JsonObject, ...] = ()


#: Number that the trial of a baseline has, which does not count among the trials of the study.
BASELINE = -2


class Trial(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One proposal and what became of it.

    Attributes:
        number: Position in the study, from 0; `BASELINE` for the network that the trials are compared with.
        proposal: Proposal that the trial carries out.
        state: `waiting running complete pruned failed`.
        seed: Seed of everything random inside the trial: the proposal's, or derived from (study seed, number).
        metrics: Metrics from the evaluator.
        costs: Costs from the cost plugins, for the network as it ended.
        measurements: Metrics per step, and per stage where a trial is several fits.
        artifacts: Name to path, relative to the study's folder.
        checksums: SHA-256 of artifacts by name, checked whenever one is read.
        failure: Failure; set exactly when the state is `failed`.
        reason: Reason why the trial was pruned (a constraint, a pruner), for humans.
        copied_from: Number of an earlier trial with the same identity whose results these are.
        seconds: Wall time of the evaluation.
        edits: Changes of the network's structure while it trained, those of the training that it continues
            included. Whoever builds the trial's network gets it with these changes.
        stages: Metrics of every stage by name, where a trial is several fits.
        dropped: Names of artifacts that were deleted, because the run keeps only those of the best trials.
        label: Label that the space gave the architecture when it was proposed; empty if the space gives none.
    """

    number: int
    proposal: Proposal
    state: State = "waiting"
    seed: int = 0
    metrics: Numbers = {}
    costs: Numbers = {}
    measurements: tuple[Measurement, ...] = ()
    artifacts: Mapping[str, str] = {}
    checksums: Mapping[str, str] = {}
    failure: Failure | None = None
    reason: str | None = None
    copied_from: int | None = None
    seconds: float = 0.0
    edits: tuple[JsonObject, ...] = ()
    stages: Mapping[str, Numbers] = {}
    dropped: tuple[str, ...] = ()
    label: str = ""

    @property
    def architecture(self) -> Architecture:
        """The proposed architecture."""
        return self.proposal.architecture

    @property
    def hyperparameters(self) -> Mapping[str, Scalar]:
        """The proposed hyperparameters."""
        return self.proposal.hyperparameters

    @property
    def task_hyperparameters(self) -> Mapping[str, Scalar]:
        """Hyperparameters that the task takes; the others are arguments of plugins."""
        return for_task(self.proposal.hyperparameters)

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to this trial."""
        return self.state in FINISHED

    @property
    def values(self) -> Mapping[str, float]:
        """Costs and metrics under one roof, as objectives and constraints see them."""
        return {**self.costs, **self.metrics} if self.costs else self.metrics

    def with_(self, **changes: Unpack[Changes]) -> Trial:
        """Returns a changed copy."""
        return replace(self, **changes)

    def to_json(self) -> dict[str, Json]:
        """Returns plain data for JSON; fields that have their default are left out."""
        data: dict[str, Json] = msgspec.to_builtins(self)
        return data

    @classmethod
    def from_json(cls, data: JsonObject) -> Self:
        """Returns the trial that `to_json` gave."""
        return msgspec.convert(data, cls)

    def encode(self) -> bytes:
        """Returns the trial as JSON text.

        Raises:
            TypeError: It holds something that JSON cannot say.
        """
        mappings = (self.metrics, self.costs, *[m.metrics for m in self.measurements], *self.stages.values())
        if not any(map(_has_odd, mappings)):
            return _ENCODER.encode(self)
        return _ENCODER.encode(
            self.with_(
                metrics=_say(self.metrics),
                costs=_say(self.costs),
                measurements=tuple([replace(m, metrics=_say(m.metrics)) for m in self.measurements]),
                stages={name: _say(metrics) for name, metrics in self.stages.items()},
            )
        )

    @staticmethod
    def decode(text: bytes | str) -> Trial:
        """Returns the trial that `encode` wrote.

        Raises:
            ValueError: The text is not a trial.
        """
        try:
            return _DECODER.decode(text)
        except msgspec.ValidationError:  # perhaps for a number that is not finite
            return msgspec.convert(_heard(msgspec.json.decode(text)), Trial)

    @staticmethod
    def decode_all(texts: Sequence[str]) -> list[Trial]:
        """Returns the trials that `encode` wrote, faster than one by one.

        Args:
            texts: Text of every trial.

        Raises:
            ValueError: A text is not a trial.
        """
        trials: list[Trial] = []
        for start in range(0, len(texts), _AT_ONCE):
            some = texts[start : start + _AT_ONCE]
            try:
                found = _DECODER_OF_MANY.decode(f"[{','.join(some)}]".encode())
            except msgspec.ValidationError:
                found = [Trial.decode(text) for text in some]
            if len(found) != len(some):
                raise ValueError("a text is not exactly one trial")
            trials += found
        return trials


class Changes(TypedDict, total=False):
    """Fields of a `Trial`, as `Trial.with_` takes them."""

    number: int
    proposal: Proposal
    state: State
    seed: int
    metrics: Mapping[str, float]
    costs: Mapping[str, float]
    measurements: tuple[Measurement, ...]
    artifacts: Mapping[str, str]
    checksums: Mapping[str, str]
    failure: Failure | None
    reason: str | None
    copied_from: int | None
    seconds: float
    edits: tuple[JsonObject, ...]
    stages: Mapping[str, Mapping[str, float]]
    dropped: tuple[str, ...]
    label: str


#: Number of trials that are decoded in one go.
_AT_ONCE = 1000
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Trial)
_DECODER_OF_MANY = msgspec.json.Decoder(list[Trial])


def _has_odd(metrics: Mapping[str, float]) -> bool:
    return not all(map(math.isfinite, metrics.values()))


def _say(metrics: Mapping[str, float]) -> Numbers:
    said: dict[str, float | str] = {
        name: value if math.isfinite(value) else str(float(value)) for name, value in metrics.items()
    }
    return cast("Numbers", said)  # for the file alone


def _heard(value: object) -> object:
    """The data of a trial with numbers instead of the texts for those that are not finite."""
    if not isinstance(value, dict):
        return value
    data = dict(value)
    for name in ("metrics", "costs"):
        data[name] = _numbers(data.get(name, {}))
    if isinstance(data.get("stages"), dict):
        data["stages"] = {name: _numbers(metrics) for name, metrics in data["stages"].items()}
    if isinstance(data.get("measurements"), list):
        data["measurements"] = [
            [item[0], _numbers(item[1]), *item[2:]] if isinstance(item, list) and len(item) > 1 else item
            for item in data["measurements"]
        ]
    return data


def _numbers(metrics: object) -> object:
    if not isinstance(metrics, dict):
        return metrics
    return {name: float(value) if value in ("nan", "inf", "-inf") else value for name, value in metrics.items()}

"""The plain records that cross every border: frozen, hashable where it matters, with an exact JSON round trip.

Nothing here imports more than the standard library. Mappings inside records are plain dictionaries that nobody
changes after construction.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

from nasplug.contract.errors import SpecError

Scalar = str | int | float | bool | None
Genotype = Scalar | tuple["Genotype", ...]
Direction = Literal["max", "min"]
State = Literal["waiting", "running", "complete", "pruned", "failed"]

FINISHED: frozenset[str] = frozenset({"complete", "pruned", "failed"})
#: Why a trial failed. `crash` is a worker process that died, `metric` a result that is missing or not finite.
FAILURE_KINDS: tuple[str, ...] = ("build", "shape", "nan", "oom", "timeout", "crash", "metric", "data", "error")


def freeze(value: Any) -> Genotype:
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


@dataclass(frozen=True, slots=True)
class Architecture:
    """A point of a search space.

    Attributes:
        space: Name of the space, which alone can interpret the genotype.
        genotype: Nested tuples of JSON scalars.
        key: Canonical name inside the space: equal for architectures that build the same network, as far as the
            space can tell. Equality and hash use `(space, key)`.
    """

    space: str = field(compare=True)
    genotype: Genotype = field(compare=False)
    key: str = field(compare=True)

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"space": self.space, "genotype": self.genotype, "key": self.key}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`."""
        return cls(data["space"], freeze(data["genotype"]), data["key"])


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


@dataclass(frozen=True, slots=True)
class Budget:
    """How much training one trial may have. `epochs` counts from the first epoch of the oldest ancestor."""

    epochs: int = 1

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise SpecError(f"a budget of {self.epochs} epochs is negative", where="budget.epochs")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial failed: a kind out of :data:`FAILURE_KINDS`, one readable line, and the traceback for authors."""

    kind: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a strategy wants evaluated.

    Attributes:
        architecture: The network.
        hyperparameters: Handed to the task's module as keyword arguments; may be evolved by the strategy.
        budget: None means the budget of the run.
        parent: Number of a trial whose weights and optimiser state this one continues (promotion).
        info: Provenance for humans and for the strategy itself: generation, rung, parent individual. JSON data.
        failure: Why there is nothing to train, if the strategy failed at its own work for this trial, such as the
            training of a supernet. The trial is recorded as failed for this reason and never runs.
    """

    architecture: Architecture
    hyperparameters: Mapping[str, Scalar] = field(default_factory=dict)
    budget: Budget | None = None
    parent: int | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    failure: Failure | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data: dict[str, Any] = {"architecture": self.architecture.to_json()}
        if self.hyperparameters:
            data["hyperparameters"] = dict(self.hyperparameters)
        if self.budget is not None:
            data["epochs"] = self.budget.epochs
        if self.parent is not None:
            data["parent"] = self.parent
        if self.info:
            data["info"] = dict(self.info)
        if self.failure is not None:
            data["failure"] = asdict(self.failure)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`."""
        epochs, failure = data.get("epochs"), data.get("failure")
        return cls(
            architecture=Architecture.from_json(data["architecture"]),
            hyperparameters=data.get("hyperparameters", {}),
            budget=None if epochs is None else Budget(epochs),
            parent=data.get("parent"),
            info=data.get("info", {}),
            failure=None if failure is None else Failure(**failure),
        )

    def identity(self) -> tuple[Any, ...]:
        """Two proposals with equal identity describe the same training (up to the random seed)."""
        hyperparameters = json.dumps(dict(self.hyperparameters), sort_keys=True) if self.hyperparameters else ""
        epochs = None if self.budget is None else self.budget.epochs
        return (self.architecture.space, self.architecture.key, hyperparameters, epochs, self.parent)


@dataclass(frozen=True, slots=True)
class Measurement:
    """Several metrics at one step (epoch) of a training."""

    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluator answers.

    Attributes:
        metrics: The result of the training, among them every objective that is not a cost.
        measurements: Metrics per step, in order.
        artifacts: Name to path, relative to the study's folder: `weights`, `checkpoint`.
        network: The trained network, for costs that need trained weights. Never crosses a process border.
        pruned: Why the training was stopped early by a `report` hook, or None.
    """

    metrics: Mapping[str, float]
    measurements: tuple[Measurement, ...] = ()
    artifacts: Mapping[str, str] = field(default_factory=dict)
    network: Any = None
    pruned: str | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One proposal and what became of it.

    Attributes:
        number: Position in the study, from 0.
        proposal: What was asked for.
        state: `waiting running complete pruned failed`.
        seed: Seed of everything random inside the trial, derived from (study seed, number).
        metrics: What the evaluator answered.
        costs: What the cost plugins answered.
        measurements: Metrics per step.
        artifacts: Name to path, relative to the study's folder.
        checksums: SHA-256 of artifacts by name, checked whenever one is read.
        failure: Set exactly when the state is `failed`.
        reason: Why a trial was pruned (a constraint, a stopper), for humans.
        copied_from: Number of an earlier trial with the same identity whose results these are.
        seconds: Wall time of the evaluation.
    """

    number: int
    proposal: Proposal
    state: State = "waiting"
    seed: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    measurements: tuple[Measurement, ...] = ()
    artifacts: Mapping[str, str] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)
    failure: Failure | None = None
    reason: str | None = None
    copied_from: int | None = None
    seconds: float = 0.0

    @property
    def architecture(self) -> Architecture:
        """The proposed architecture."""
        return self.proposal.architecture

    @property
    def hyperparameters(self) -> Mapping[str, Scalar]:
        """The proposed hyperparameters."""
        return self.proposal.hyperparameters

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to this trial."""
        return self.state in FINISHED

    @property
    def values(self) -> Mapping[str, float]:
        """Costs and metrics under one roof, as objectives and constraints see them."""
        return {**self.costs, **self.metrics} if self.costs else self.metrics

    def with_(self, **changes: Any) -> Trial:
        """A changed copy."""
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON; empty fields are left out."""
        data: dict[str, Any] = {"number": self.number, "proposal": self.proposal.to_json(), "state": self.state}
        for name in ("seed", "metrics", "costs", "artifacts", "checksums", "reason", "copied_from", "seconds"):
            value = getattr(self, name)
            if value or (name == "copied_from" and value is not None):
                data[name] = value
        if self.measurements:
            data["measurements"] = [[m.step, m.metrics] for m in self.measurements]
        if self.failure is not None:
            data["failure"] = {
                "kind": self.failure.kind,
                "message": self.failure.message,
                "traceback": self.failure.traceback,
            }
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`."""
        failure = data.get("failure")
        return cls(
            number=data["number"],
            proposal=Proposal.from_json(data["proposal"]),
            state=data["state"],
            seed=data.get("seed", 0),
            metrics=data.get("metrics", {}),
            costs=data.get("costs", {}),
            measurements=tuple([Measurement(step, metrics) for step, metrics in data.get("measurements", ())]),
            artifacts=data.get("artifacts", {}),
            checksums=data.get("checksums", {}),
            failure=None if failure is None else Failure(**failure),
            reason=data.get("reason"),
            copied_from=data.get("copied_from"),
            seconds=data.get("seconds", 0.0),
        )

"""What Python callers may give for a part of a search, as types: a name with arguments, or a ready object.

A hook may take fewer arguments than it is offered, so that of a strategy and an evaluator only the answer counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from nasplug.contract.jsondata import JsonObject
from nasplug.contract.protocols import Executor, SearchSpace, Task
from nasplug.contract.records import Evaluation, Proposal
from nasplug.contract.tracker import Tracker
from nasplug.plugins.component import Component


class Proposes(Protocol):
    """An object with the hook `propose`."""

    @property
    def propose(self) -> Callable[..., list[Proposal] | None]: ...  # noqa: D102


class Evaluates(Protocol):
    """An object with the hook `evaluate`."""

    @property
    def evaluate(self) -> Callable[..., Evaluation | None]: ...  # noqa: D102


#: A slug, a component, or a mapping: `{slug: {...}}` or `{class_path: ..., init_args: {...}}`.
Named: TypeAlias = str | Component | JsonObject

SpaceLike: TypeAlias = Named | SearchSpace
TaskLike: TypeAlias = Named | Task
StrategyLike: TypeAlias = Named | Proposes
EvaluatorLike: TypeAlias = Named | Evaluates
ExecutorLike: TypeAlias = Named | Executor
#: `timm:NAME`, a path of a function, a mapping of both or of a genotype, or the function itself.
BaselineLike: TypeAlias = Named | Callable[..., object]
TrackerLike: TypeAlias = Named | Tracker

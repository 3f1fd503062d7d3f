"""The kinds of components that packages announce, and which type hints ask for one of them."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T", bound=type)

#: What can be announced, and what each kind is for.
KINDS: dict[str, str] = {
    "strategy": "proposes architectures",
    "space": "the set of architectures a search may visit",
    "task": "data, and how to train and score a network on them",
    "data": "a source of images and labels",
    "evaluator": "turns a proposal into metrics",
    "cost": "prices a candidate",
    "target": "hardware a network can run on",
    "wrapper": "transforms every network or the data of every trial",
    "stopper": "stops hopeless trainings early",
    "callback": "a Lightning callback for every trial's Trainer",
    "executor": "runs trials somewhere: in this process, in others, on other machines",
    "tracker": "follows a run and writes it down elsewhere",
    "exporter": "writes a found network in a format",
    "command": "a subcommand of the command line",
}

#: Methods that a component of a kind has, one of each group.
METHODS: dict[str, tuple[tuple[str, ...], ...]] = {
    "strategy": (("propose",),),
    "space": (("architecture",), ("validate",), ("sample",), ("build",)),
    "task": (("datamodule",), ("module",), ("check_hyperparameters",)),
    "data": (("load",),),
    "evaluator": (("evaluate",),),
    "cost": (("cost",),),
    "target": (("hardware_target",),),
    "wrapper": (("build", "configure_data", "inherit", "edit"),),
    "stopper": (("should_prune", "configure_callbacks"),),
    "callback": (("configure_callbacks", "on_train_start"),),
    "executor": (("start",), ("submit",), ("finished",), ("close",)),
    "tracker": (("observed",),),
    "exporter": (("export",),),
}
#: What a plugin in a user's own Trainer may be: any of these.
TRAINER = ("wrapper", "callback", "cost", "stopper")
METHODS["plugin"] = (tuple(name for kind in TRAINER for group in METHODS[kind] for name in group),)

_KIND_OF_TYPE: dict[type, str] = {}


def component_type(kind: str) -> Callable[[T], T]:
    """Declares that constructor parameters annotated with the decorated class take components of a kind.

    With `def __init__(self, inner: Strategy)`, a specification may then write `inner: random`.

    Args:
        kind: One of `KINDS`.
    """
    if kind not in KINDS:
        raise ValueError(kind)

    def declare(cls: T) -> T:
        _KIND_OF_TYPE[cls] = kind
        return cls

    return declare


def kind_of(hint: object) -> str | None:
    """Returns the kind that a type hint asks for, looking through `X | None` and `list[X]`; None for other hints."""
    if isinstance(hint, type) and hint in _KIND_OF_TYPE:
        return _KIND_OF_TYPE[hint]
    for part in typing.get_args(hint):
        kind = kind_of(part)
        if kind is not None:
            return kind
    return None

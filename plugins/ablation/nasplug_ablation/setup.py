"""How the variants of a study are trained, and what stands around them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.jsondata import Json, JsonObject


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What all trainings of a study share beside module and data.

    Attributes:
        callbacks: Callbacks of every training.
        trainer: Options of Lightning's Trainer.
        evaluator: Evaluator in place of Lightning's with the result of the last epoch.
        build: Further wrappers of networks and data.
        run: Options of the run, as in a specification of a search: `workers`, `device`, `storage`, ...
        plugins: Paths of single-file plugins.

    Raises:
        SpecError: There are options of the Trainer and an evaluator, which has its own.
    """

    callbacks: object = None
    trainer: JsonObject | None = None
    evaluator: object = None
    build: Sequence[object] = ()
    run: Mapping[str, Json] = field(default_factory=dict)
    plugins: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.evaluator is not None and self.trainer:
            raise SpecError(
                "there are options of the Trainer and an evaluator",
                where="trainer",
                fix="give the evaluator its own: evaluator: {lightning: {trainer: {...}}}",
            )

    @classmethod
    def of(cls, given: Setup | Mapping[str, object] | None) -> Setup:
        """Returns a setup that is given as plain data too.

        Args:
            given: Setup, its values by name, or None for what holds without one.

        Raises:
            SpecError: A name is unknown.
        """
        if given is None or isinstance(given, Setup):
            return given or cls()
        for name in given:
            if name not in NAMES:
                raise SpecError(f"a setup has no {name!r}", where="setup", fix=did_you_mean(str(name), NAMES))
        return cls(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]

    @property
    def training(self) -> object:
        """The evaluator, as a specification names it."""
        if self.evaluator is not None:
            return self.evaluator
        options: dict[str, object] = {"score": "last", "keep": "none"}
        return {"lightning": {**options, "trainer": dict(self.trainer)} if self.trainer else options}


#: Names of the values of a setup, which are keys of a specification too.
NAMES = tuple(item.name for item in dataclasses.fields(Setup))


def grouped(flat: Mapping[str, object]) -> dict[str, object]:
    """Returns arguments of a study, with those that belong to its setup in one.

    Args:
        flat: Arguments and values of the setup side by side, as a specification has them.
    """
    own = {name: value for name, value in flat.items() if name in NAMES}
    rest = {name: value for name, value in flat.items() if name not in NAMES}
    return {**rest, "setup": own} if own else rest

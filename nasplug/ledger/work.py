"""Work that a strategy needs before it can propose: supernets, surrogates, embedders. Trained by the executor."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from nasplug.contract.errors import PluginError
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.records import Failure, Trial
from nasplug.contract.wording import plural


class Work(msgspec.Struct, frozen=True, omit_defaults=True):
    """One piece of work, described by plain data.

    Attributes:
        function: Function to call, as `"package.module:function"`: `function(run, **arguments)` gets a
            `nasplug.evaluate.workrun.WorkRun` and returns JSON data; what is larger goes into files below
            `run.folder`.
        arguments: Keyword arguments, JSON data.
        trials: Number of finished trials that the work may see as `run.study.trials`; it is part of what the work is.
        time_limit: Seconds it may take; needs an executor with processes.
        history: Digest of those trials, filled in by `study.work`: in a nested study they are others than outside.
    """

    function: str
    arguments: JsonObject = {}
    trials: int = 0
    time_limit: float | None = None
    history: str = ""

    @property
    def key(self) -> str:
        """Name of the outcome: equal work has equal outcomes, and is done once.

        Raises:
            PluginError: The arguments are not JSON data.
        """
        try:
            facts = [self.function, self.arguments, self.trials, self.history]
            text = json.dumps(facts, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise PluginError(
                "the arguments of work are JSON data", where=f"work {self.function!r}", why=str(error)
            ) from error
        name = self.function.rpartition(":")[2]
        return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a piece of work.

    Attributes:
        key: Key of the work.
        result: Return value of the function; None if it failed with nothing to return.
        failure: Reason why the work failed, or None.
        checksums: SHA-256 of the files that it left below its folder, by path relative to it.
        seconds: Wall time.
    """

    key: str
    result: Any = None
    failure: Failure | None = None
    checksums: Mapping[str, str] = {}
    seconds: float = 0.0


class Request(msgspec.Struct, frozen=True):
    """Work that was asked for, with the trials that it may see."""

    work: Work
    trials: tuple[Trial, ...] = ()


class Works:
    """Outcomes by key, and what was asked for and is not done. Shared by a study and those nested in it."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.requested: dict[str, Request] = {}

    def ask(self, work: Work, trials: Sequence[Trial]) -> Outcome | None:
        """Returns the outcome if there is one; otherwise asks for it and returns None.

        Args:
            work: Work to do.
            trials: Finished trials of the study that asks, at least `work.trials` of them.

        Raises:
            PluginError: There are fewer trials than the work is to see.
        """
        if work.trials > len(trials):
            raise PluginError(
                f"work asks for {plural(work.trials, 'finished trial')}, but there are {len(trials)}",
                where=f"work {work.function!r}",
            )
        seen = tuple(trials[: work.trials])
        if seen:
            work = msgspec.structs.replace(work, history=_digest(seen))
        key = work.key
        found = self.outcomes.get(key)
        if found is None:
            self.requested.setdefault(key, Request(work, seen))
        return found

    def answer(self, outcome: Outcome) -> None:
        """Takes an outcome; the next call of `ask` gets it."""
        self.requested.pop(outcome.key, None)
        self.outcomes[outcome.key] = outcome


def _digest(trials: tuple[Trial, ...]) -> str:
    """Digest of what was proposed, which decides the results; measured times in them differ from run to run."""
    text = json.dumps([[trial.proposal.to_json(), trial.seed] for trial in trials], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]

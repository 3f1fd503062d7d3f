"""Every error a user can meet: what happened, where, why, and what to do about it.

The command line prints the message without a traceback and exits with the class's `exit_code`: 2 for bad input, 3 for
a broken environment or file. Library users catch `NasplugError` or one of its children.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Self


class NasplugError(Exception):
    """Root of all errors raised on purpose.

    Args:
        what: Statement of what happened, one sentence without a full stop at the end being required.
        where: The plugin, file, key or trial it happened in.
        why: The cause, if it is known.
        fix: Remedy: what the reader can do now.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None) -> None:
        self.what, self.where, self.why, self.fix = what, where, why, fix
        super().__init__(self._message())

    def _message(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.why:
            parts.append(f"Why: {self.why}")
        if self.fix:
            parts.append(f"Do: {self.fix}")
        return "\n".join(parts)

    def within(self, context: str) -> Self:
        """Returns the error itself, with `context` put before where it happened, such as the plugin that was asked."""
        if context not in (self.where or ""):
            self.where = f"{context}, {self.where}" if self.where else context
            self.args = (self._message(),)
        return self

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process borders; the default would call the constructor with the finished message."""
        return _rebuild, (type(self), str(self), self.__dict__)


def _rebuild(cls: type[NasplugError], message: str, state: dict[str, object]) -> NasplugError:
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class SpecError(NasplugError):
    """A run specification that cannot be run: unknown key, wrong type, impossible composition."""


class UnknownNameError(SpecError):
    """A slug that no installed plugin registers, or a key that does not exist."""


class PluginError(NasplugError):
    """A plugin breaks the contract: clashing names, wrong return types, a cost key outside its namespace."""


class PluginImportError(PluginError):
    """A plugin or a registered component could not be imported."""

    exit_code = 3


class TrustError(NasplugError):
    """A file asks for code from outside the installed plugins, and nobody said that the file is trusted."""


class MissingExtraError(NasplugError):
    """An optional library is needed and not installed."""

    exit_code = 3


class SpaceError(NasplugError):
    """A genotype outside its search space, or a space without a capability that is asked for."""


class TaskError(NasplugError):
    """A task that cannot train this network or take these hyperparameters."""


class SurgeryError(NasplugError):
    """A change of a network's channels that cannot be made, or a network whose channels cannot be followed."""


class DataError(NasplugError):
    """Data that are missing, truncated or not what their format promises."""


class StudyError(NasplugError):
    """A question a study cannot answer, such as the best of no trials."""


class StorageError(StudyError):
    """A study file that cannot be read, written or locked."""

    exit_code = 3


class ReplayError(StudyError):
    """A resumed run proposes something else than the recorded run did."""

    exit_code = 3


class TrialError(NasplugError):
    """Raised inside a trial to fail it with a stated kind, e.g. a loss that is not finite.

    Args:
        kind: One of `nasplug.contract.records.FAILURE_KINDS`.
        what: Message, as for `NasplugError`.
    """

    def __init__(
        self,
        kind: str,
        what: str,
        *,
        where: str | None = None,
        why: str | None = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(what, where=where, why=why, fix=fix)
        self.kind = kind


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns a sentence with the nearest known word, and the list of known words if it is short.

    Args:
        word: Word as written.
        known: Words that could have been meant.
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    if not names:
        return f"{hint}none are known"
    listed = ", ".join(names) if len(names) <= 24 else ", ".join(names[:24]) + ", …"
    return f"{hint}known: {listed}"

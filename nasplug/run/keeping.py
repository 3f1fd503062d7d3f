"""Which files of trials stay: those of the best, of the front, or all."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection

from nasplug.contract.errors import SpecError
from nasplug.contract.records import Trial
from nasplug.ledger import pareto
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.storage import Storage
from nasplug.ledger.view import StudyView


def read_keep(text: str) -> int | None:
    """Reads what to keep.

    Returns:
        How many of the best trials; 0 for the front, None for all.

    Raises:
        SpecError: It is neither `all`, `front` nor `best N`.
    """
    if text in ("all", "front"):
        return None if text == "all" else 0
    match = re.fullmatch(r"best ([1-9]\d{0,8})", text)
    if match is None:
        raise SpecError(f"cannot keep {text!r}", where="run.keep", fix="write all, front, or best N such as best 10")
    return int(match[1])


class Keeper:
    """Deletes files of trials that are not among the best any more.

    A trial that fell behind never comes back, as later trials only add better ones; so what is kept in the end does not
    depend on interruptions. Files that a pending trial inherits, or copies, stay until it is finished. Checkpoints of a
    strategy that continues earlier trials stay altogether, since nobody else knows which of them it will continue;
    a strategy that starts from earlier weights may say which with `needs_weights`. What such a strategy proposes once
    more after its files were deleted is trained again, see `shares_files`.

    Args:
        keep: Rule for the files that stay, as in `run.keep`.
        ledger: The trials.
        storage: Storage of the records.
        checkpoints: Whether checkpoints must stay.
        needs: Function of a study that gives the numbers of trials whose weights the strategy may still start from.
    """

    def __init__(
        self,
        keep: str,
        ledger: Ledger,
        storage: Storage,
        *,
        checkpoints: bool,
        needs: Callable[[StudyView], Collection[int]] | None = None,
    ) -> None:
        self._count, self._ledger, self._storage, self._checkpoints = read_keep(keep), ledger, storage, checkpoints
        self._asked = needs
        self._held: dict[int, Trial] | None = None

    def observed(self, trial: Trial) -> None:
        """Takes note of the last finished trial, and deletes what is not to be kept."""
        if self._count is None:
            return
        if self._held is None:  # the first call after a resume: all that is there
            self._held = {item.number: item for item in self._ledger.view.trials if self._droppable(item)}
        elif self._droppable(trial):
            self._held[trial.number] = trial
        kept, needed = self._kept(), self._needed()
        for number in [number for number in self._held if number not in kept and number not in needed]:
            self._drop(self._held.pop(number))

    def shares_files(self, trial: Trial) -> bool:
        """Whether a copy of a trial has all that the copy is for.

        A strategy with `needs_weights` may want the weights of what it proposes: a copy of a trial whose files were
        deleted would have none.

        Args:
            trial: Trial whose results a proposal of the same identity would get, finished or pending.
        """
        return self._asked is None or not trial.dropped

    def _droppable(self, trial: Trial) -> list[str]:
        return [name for name in trial.artifacts if name != "checkpoint" or not self._checkpoints]

    def _kept(self) -> set[int]:
        """Numbers of the trials to keep; for a copy, of the trial whose files it shares as well."""
        view = self._ledger.view
        held = [trial for trial in (self._held or {}).values() if view.is_candidate(trial)]
        if self._count:
            best = sorted(held, key=lambda trial: pareto.best_key(trial, view.objectives), reverse=True)
            kept = best[: self._count]
        else:
            kept = pareto.pareto_front(held, view.objectives)
        return {trial.number for trial in kept} | {t.copied_from for t in kept if t.copied_from is not None}

    def _needed(self) -> set[int]:
        """Numbers of trials whose files a pending trial will read or share, or the strategy may still start from.

        Of a copy, the trial whose files it shares as well.
        """
        view = self._ledger.view
        needed = set[int]() if self._asked is None else set(self._asked(view))
        for trial in view.pending:
            needed |= {number for number in (trial.proposal.parent, trial.copied_from) if number is not None}
        finished = {trial.number: trial.copied_from for trial in view.trials if trial.copied_from is not None}
        return needed | {finished[number] for number in needed if number in finished}

    def _drop(self, trial: Trial) -> None:
        """First the record, then the files: whoever is killed in between leaves files that `nasplug clean` finds."""
        names = self._droppable(trial)
        changed = trial.with_(
            artifacts={name: path for name, path in trial.artifacts.items() if name not in names},
            checksums={name: value for name, value in trial.checksums.items() if name not in names},
            dropped=tuple(names),
        )
        self._ledger.replace(changed)
        self._storage.write([changed])
        if trial.copied_from is not None:
            return  # the files are those of its source
        folder = self._ledger.view.artifacts()
        for name in names:
            path = folder / trial.artifacts[name]
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

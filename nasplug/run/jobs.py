"""What an executor gets: plain records only."""

from __future__ import annotations

import hashlib

import msgspec

from nasplug.contract.records import Measurement, Trial
from nasplug.ledger.work import Outcome, Work


class Job(msgspec.Struct, frozen=True):
    """One trial, or one piece of work.

    Attributes:
        trial: Trial to run; None for work.
        work: Work to do; None for a trial.
        history: Finished trials that it may know.
        parent: Trial that the trial inherits from.
        rehearsal: Trials to try for one batch, in place of a trial of the study; `trial` is the first of them.
        owner: Plugin that asked for the work; empty for the strategy.
    """

    trial: Trial | None = None
    work: Work | None = None
    history: tuple[Trial, ...] = ()
    parent: Trial | None = None
    rehearsal: tuple[Trial, ...] = ()
    owner: str = ""

    @property
    def key(self) -> int | str:
        """Number of the trial, or key of the work."""
        if self.trial is not None:
            return self.trial.number
        assert self.work is not None
        return self.work.key

    @property
    def digest(self) -> str:
        """Name of the job among those of its study, equal in another process that submits the same job."""
        trials = [(one.number, one.seed, one.proposal) for one in (self.trial, self.parent) if one is not None]
        known = [one.number for one in (*self.history, *self.rehearsal)]
        said = (trials, None if self.work is None else self.work.key, known)
        return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()


#: What became of a job.
Done = Trial | Outcome


class Progress(msgspec.Struct, frozen=True):
    """What a running piece of work says of itself.

    Attributes:
        key: Key of the work.
        share: Done part, between 0 and 1.
        metrics: Metrics measured so far.
    """

    key: str
    share: float
    metrics: dict[str, float] = {}


#: What running jobs say: measurements of trials, progress of work.
Message = Measurement | Progress

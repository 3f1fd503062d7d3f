"""What the queue is made of: trainings, with what they need and how long they are expected to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Settings:
    """What all trainings of a campaign are told.

    Attributes:
        out: Folder of the campaign.
        data: Folder of the data files.
        device: `cpu` or `cuda`.
        scale: Share of images and epochs; 1 is the real thing.
        slots: Trainings at the same time at most.
    """

    out: Path
    data: Path
    device: str = "cuda"
    scale: float = 1.0
    slots: int = 12

    @property
    def work(self) -> Path:
        """Where trainings keep what they go on from."""
        return self.out / "work"


@dataclass(frozen=True)
class Entry:
    """One training, or another piece of work that is done whole.

    Attributes:
        experiment: Experiment that it is part of; one result is made of each experiment.
        name: Unique in the experiment.
        task: `module:function` in this package; called with the arguments and the settings, it returns a JSON object.
        arguments: JSON object, kept in the record: other arguments are other work.
        seconds: Expected, before anything is measured.
        family: Entries of the same family take equally long.
        needs: `experiment/name` of entries that must be done before.
        files: Names of the data files that it reads.
        copies: So many at the same time, with nothing beside them; the results are a list.
        alone: Nothing else runs at the same time.
        goes_on: If it is ended, it later goes on where it was; so it is started however little time is left.
        weights: File below the folder of the campaign that the first of `needs` wrote; it does not start without it.
        packed: Whether as many run at the same time as the timings of packed trainings say; otherwise as many as there
            are slots.
    """

    experiment: str
    name: str
    task: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 60.0
    family: str = ""
    needs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    copies: int = 1
    alone: bool = False
    goes_on: bool = False
    weights: str = ""
    packed: bool = False

    @property
    def key(self) -> str:
        """Unique in the campaign."""
        return f"{self.experiment}/{self.name}"


def queue(settings: Settings) -> list[Entry]:
    """All entries, the most valuable first."""
    from campaign_tasks import checks, covid, folds, growth, infonas, precision, quantisers, segmentation, studies

    return [
        *checks.entries(settings),
        *growth.entries(settings),
        *quantisers.entries(settings),
        *precision.entries(settings),
        *studies.entries(settings),
        *segmentation.entries(settings),
        *folds.entries(settings),
        *covid.entries(settings),
        *infonas.entries(settings),
    ]

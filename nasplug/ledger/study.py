"""The study as a user holds it: what `nasplug.search` returns and `nasplug.load_study` opens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nasplug.contract.errors import StudyError
from nasplug.contract.labels import shortened
from nasplug.contract.protocols import HardwareTarget, Task
from nasplug.contract.records import BASELINE, Trial
from nasplug.ledger.view import Book, Setting, StudyView

if TYPE_CHECKING:
    from torch import nn

    from nasplug.ledger.comparison import AgainstBaseline
    from nasplug.plugins.component import Component
    from nasplug.report.section import Section


class Opened(Protocol):
    """A composed run, as far as a study needs one to build networks."""

    @property
    def task(self) -> Task | None: ...  # noqa: D102
    @property
    def target(self) -> HardwareTarget | None: ...  # noqa: D102

    def network(self, study: StudyView, trial: Trial) -> nn.Module:
        """Builds the trial's network as it ended, through the space, all wrappers and its edits."""

    def sections(self, study: Study) -> Iterator[tuple[str, Callable[[], list[Section]]]]:
        """Returns names of plugins that add to the report, and functions that give what each adds."""

    def export(self, study: Study, trial: Trial, folder: Path, formats: Sequence[str]) -> dict[str, Path]:
        """Writes a trial's network to files; returns each path by what it is."""

    def editors(self) -> list[tuple[str, Component]]:
        """Returns kind and component of the plugins outside `build` that can repeat edits."""


class Study(StudyView):
    """The trials of a search, with their networks.

    Args:
        setting: Subject of the study.
        book: The entries.
        opened: Composes the run, which imports torch; called when a task or a network is first asked for.
    """

    def __init__(self, setting: Setting, book: Book, opened: Callable[[], Opened] | None = None) -> None:
        super().__init__(setting, book)
        self._compose = opened
        self._composed: Opened | None = None
        self._kept: list[object] = []
        #: Network that the trials are compared with, trained as they were; None if the run has none.
        self.baseline: Trial | None = None

    @cached_property
    def against(self) -> AgainstBaseline:
        """What its trials have over its baseline."""
        from nasplug.ledger.comparison import AgainstBaseline

        return AgainstBaseline(self)

    def keep_alive(self, owner: object) -> None:
        """Keeps an object for as long as the study lives, such as the owner of a temporary folder."""
        self._kept.append(owner)

    @property
    def composed(self) -> Opened | None:
        """The composed run, if it was made already."""
        return self._composed

    def opened(self) -> Opened | None:
        """Returns the composed run, made on first use; None if the study was opened for its trials only."""
        if self._composed is None and self._compose is not None:
            self._composed = self._compose()
        return self._composed

    @property
    def task(self) -> Task | None:
        """The task, or None for a search on a table."""
        opened = self.opened()
        return super().task if opened is None else opened.task

    @property
    def target(self) -> HardwareTarget | None:
        """The hardware target, if any."""
        opened = self.opened()
        return super().target if opened is None else opened.target

    def build(self, trial: Trial) -> nn.Module:
        """Returns the trial's untrained network as it ended: through the space, all configured wrappers and its edits.

        Raises:
            StudyError: There is no task to build a network for.
        """
        opened = self.opened()
        if opened is not None:
            return opened.network(self, trial)
        if "unavailable" in self.meta:
            raise StudyError("this study was opened without its plugins", why=str(self.meta["unavailable"]))
        if self.task is None:
            raise StudyError("there is no task to build a network for")
        if trial.edits:
            raise StudyError(
                f"the network of trial {trial.number} changed while it trained, and no plugin here can repeat that",
                fix="open the study with nasplug.load_study",
            )
        return self.space.build(trial.architecture, self.task)

    def network(self, trial: Trial) -> nn.Module:
        """Returns the trial's network with its trained weights.

        Raises:
            StudyError: No weights were kept, or they are not those that the trial wrote.
        """
        from nasplug.evaluate.weights import load_weights

        number = trial.number if trial.copied_from is None else trial.copied_from
        source = trial if number == BASELINE else self.trial(number)
        return load_weights(self, source, self.build(source))

    def __repr__(self) -> str:
        if not self.candidates():
            return super().__repr__()
        best = self.best
        return f"{super().__repr__()[:-1]}; best trial {best.number}: {shortened(self.label(best))})"

    def _repr_html_(self) -> str:
        """The study in a notebook: its best trials as a table."""
        from nasplug.report.notebook import study_html

        return study_html(self)

    def export(
        self, folder: str | Path, trial: Trial | None = None, formats: Sequence[str] = ("bundle",)
    ) -> dict[str, Path]:
        """Writes a trial's network to files, as `nasplug export` does.

        Args:
            folder: Folder to write into, made if it is missing.
            trial: Trial whose network leaves; None takes the best.
            formats: Names of formats: `bundle`, `onnx`, `program`, `folder`, `model_card`, `monai_bundle`, or those
                of plugins.

        Returns:
            Path by what it is, such as `{"weights": ..., "architecture": ...}`.

        Raises:
            UnknownNameError: A format is unknown.
            StudyError: No weights were kept, or the study has no task.
            NasplugError: The network cannot be written in a format.
        """
        opened = self.opened()
        if opened is None:
            raise StudyError("this study was opened for its trials only", fix="open it with nasplug.load_study")
        return opened.export(self, self.best if trial is None else trial, Path(folder), formats)

    def report(self, path: str | Path, *, beside: Sequence[Study] = ()) -> Path:
        """Writes the report: one self-contained HTML page. Needs the extra `report`.

        Args:
            path: Path of the page.
            beside: Further studies to show side by side with this one.
        """
        from nasplug.report.page import write_report

        return write_report([self, *beside], Path(path))

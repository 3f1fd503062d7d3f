"""What a running search shows in a notebook: one bar that is updated in place."""

from __future__ import annotations

import io
import sys
import time
from typing import Protocol

from nasplug.cli.progress import LiveDisplay
from nasplug.contract.records import Trial
from nasplug.contract.tracker import Plan
from nasplug.ledger.view import StudyView

#: Seconds between two updates.
EVERY = 0.3


class _Handle(Protocol):
    def update(self, shown: object) -> None: ...


def in_notebook() -> bool:
    """Returns whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


class Shown:
    """HTML for the front end of a notebook, and the same as text for others.

    Args:
        html: The HTML.
        text: The text.
    """

    def __init__(self, html: str, text: str) -> None:
        self._html, self._text = html, text

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return self._text


class NotebookDisplay(LiveDisplay):
    """Shows a run in a notebook; hints stand below the bar."""

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__(Console(file=io.StringIO(), force_terminal=False, force_jupyter=False))
        self._handle: _Handle | None = None
        self._updated = 0.0
        self._hints: list[str] = []

    def started(self, study: StudyView, plan: Plan) -> None:
        """Makes the bar."""
        super().started(study, plan)
        from IPython.display import display

        self._handle = display(self._shown_now(), display_id=True)

    def observed(self, trial: Trial) -> None:
        """A trial is finished."""
        super().observed(trial)
        self._update()

    def noted(self, hint: str) -> None:
        """Keeps a hint of the run."""
        self._hints.append(hint)
        self._update(now=True)

    def ended(self) -> None:
        """Shows the end."""
        super().ended()
        self._update(now=True)

    def _update(self, *, now: bool = False) -> None:
        if self._handle is not None and (now or time.monotonic() - self._updated >= EVERY):
            self._updated = time.monotonic()
            self._handle.update(self._shown_now())

    def _shown_now(self) -> Shown:
        import html

        from nasplug.report.notebook import progress_html

        done, total, words, best = self.state()
        hints = "".join(f"<div>note: {html.escape(hint)}</div>" for hint in self._hints)
        lines = [f"{done}/{total}" if total else str(done), words, f"best: {best}", *self._hints]
        return Shown(progress_html(done, total, words, best) + hints, "\n".join(lines))

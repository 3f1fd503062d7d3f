"""A study in W&B: a run for the study and one for each trial, in one group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from nasplug.builtin.tracking.nested import NestedRuns
from nasplug.contract.errors import SpecError
from nasplug.contract.records import Scalar

if TYPE_CHECKING:
    from wandb import Run


class WandbTracker(NestedRuns["Run"]):
    """Writes into a project. W&B groups where others nest: the study is the group, and its own run has type `study`.

    Args:
        project: Name of the project.
        study: Name of the group; None takes the name of the study file.
        mode: `online`, `offline`, or `disabled`.
        folder: Folder of W&B's files.
    """

    package = "wandb"

    def __init__(
        self, project: str = "nasplug", study: str | None = None, mode: str = "online", folder: str | None = None
    ) -> None:
        super().__init__(study)
        if mode not in ("online", "offline", "disabled"):
            raise SpecError(f"expected online, offline or disabled, got {mode!r}", where="tracker wandb, mode")
        self.project, self.mode, self.folder = project, mode, folder
        self._group = self._identifier = ""

    def open_parent(self, name: str, identifier: str, facts: Mapping[str, Scalar]) -> Run:
        """Opens the run of the study; a resumed study goes on with the one it had."""
        self._group, self._identifier = name, identifier
        return self._opened(name, identifier, "study", facts)

    def open_child(self, parent: Run, name: str, facts: Mapping[str, Scalar]) -> Run:
        """Opens a run in the group of the study."""
        return self._opened(name, f"{self._identifier}-{name}", "trial", facts)

    def log(self, run: Run, values: Mapping[str, float], step: int) -> None:
        """Writes values with their step."""
        run.log({**values, "step": step})

    def close(self, run: Run, state: str, reason: str) -> None:
        """Ends a run."""
        run.summary["state"] = state
        if reason:
            run.summary["reason"] = reason
        run.finish(exit_code=0 if state in ("complete", "pruned") else 1)

    def _opened(self, name: str, identifier: str, kind: str, facts: Mapping[str, Scalar]) -> Run:
        import wandb

        mode: Literal["online", "offline", "disabled"] = self.mode  # type: ignore[assignment]
        return wandb.init(
            project=self.project,
            group=self._group,
            job_type=kind,
            name=name,
            id=identifier,
            resume="allow",
            config=dict(facts),
            mode=mode,
            dir=self.folder,
            reinit="create_new",
        )

"""The data of a trial or of work: what the task gives, as all wrappers change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.errors import PluginError, StudyError

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule

    from nasplug.evaluate.trialrun import TrialRun
    from nasplug.evaluate.workrun import WorkRun
    from nasplug.plugins.manager import Manager


def task_data(run: TrialRun | WorkRun) -> LightningDataModule:
    """Returns the data of the task.

    Args:
        run: The trial, or the piece of work, that trains on it.

    Raises:
        StudyError: The run has no task.
    """
    if run.task is None:
        raise StudyError("this run has no task, so that there is no data", fix="add `task:`")
    return run.task.datamodule()


def wrapped_data(run: TrialRun | WorkRun, manager: Manager | None) -> LightningDataModule:
    """Returns a fresh `LightningDataModule`, as the task gives it and all wrappers change it.

    Args:
        run: The trial, or the piece of work, that trains on it.
        manager: Plugins to ask; without, the task answers alone.

    Raises:
        StudyError: The run has no task.
        PluginError: A wrapper answers something else.
    """
    if manager is None:
        return task_data(run)
    data: LightningDataModule = manager.hook.configure_data(run=run)
    if not hasattr(data, "train_dataloader"):
        raise PluginError(
            f"the answer is {data!r:.100}, not a LightningDataModule",
            where=manager.names("configure_data"),
            fix="a wrapper returns the module that it got, or another one",
        )
    return data

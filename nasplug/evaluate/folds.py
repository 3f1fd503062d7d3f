"""Cross-validation: one training for each fold of a task, each a stage of the trial."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from nasplug.contract.errors import SpecError, TrialError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.protocols import Task
from nasplug.contract.records import Evaluation, Measurement
from nasplug.contract.wording import plural
from nasplug.evaluate.lightning import Keep, LightningEvaluator
from nasplug.evaluate.loggers import LoggerLike
from nasplug.evaluate.scoring import ScoreName
from nasplug.evaluate.stages import Stage
from nasplug.evaluate.trialrun import TrialRun

if TYPE_CHECKING:
    from torch import nn


@runtime_checkable
class HasFolds(Protocol):
    """A task whose data are divided into folds.

    Attributes:
        folds: Number of folds.
    """

    @property
    def folds(self) -> int: ...  # noqa: D102

    def fold(self, index: int) -> Task:
        """The task of one fold: its data module validates on that fold and trains on the others."""


class FoldRun(TrialRun):
    """One fold of a trial, as the evaluator sees a trial.

    Args:
        run: The whole trial.
        stage: The stage of the fold.
        task: The task of the fold.
        network: Network to train; None builds a new one.
    """

    def __init__(self, run: TrialRun, stage: Stage, task: Task, network: nn.Module | None = None) -> None:
        trial = run.trial.with_(seed=stage.seed)
        super().__init__(
            trial,
            run.study,
            manager=run._manager,
            parent=run.parent,
            device=run.device,
            threads=run.threads,
        )
        self._whole, self._stage, self._task, self._given = run, stage, task, network

    @property
    def task(self) -> Task:
        """The task of the fold."""
        return self._task

    @cached_property
    def network(self) -> nn.Module:
        """The network of the fold."""
        return self._whole.rebuilt(self.trial) if self._given is None else self._given

    @property
    def folder(self) -> Path:
        """Folder of the fold's files."""
        return self._stage.folder

    def report(self, measurement: Measurement) -> str | None:
        """Shows a step to whoever watches, and asks the pruners."""
        return self._stage.report(measurement.step, measurement.metrics)


class CrossValidation(LightningEvaluator):
    """Trains a network on every fold of a task, and answers the mean of each metric over the folds.

    Each fold is a stage with a seed, initial weights and results of its own: a trial that is interrupted goes on with
    the next one. Beside the mean of a metric stands its standard deviation over the folds, as `NAME_std`. A pruner that
    ends one fold ends the trial. The weights of every fold are kept as `weights-fold-0` and so on; those of the first
    one are the trial's `weights`.

    Args:
        folds: Folds to train; None means all.
        score: Epochs that make the result of a fold; see the evaluator `lightning`.
        window: Number of last epochs that count; None means all.
        keep: Weights to write: those of the best epoch that counts, of the last one, or none.
        precision: The Trainer's: 32-true, 16-mixed, bf16-mixed, ...
        trainer: Further options of the Trainer.
        loggers: Loggers of Lightning by name.

    Raises:
        SpecError: An unknown option, or folds that are not different numbers from 0.
    """

    one_process_per_device = False

    def __init__(
        self,
        folds: list[int] | None = None,
        score: ScoreName = "best",
        window: int | None = None,
        keep: Keep = "best",
        precision: str = "32-true",
        trainer: JsonObject | None = None,
        loggers: Sequence[LoggerLike] = (),
    ) -> None:
        super().__init__(score, window, keep, precision, trainer, loggers)
        if folds is not None and (not folds or min(folds) < 0 or len(set(folds)) != len(folds)):
            raise SpecError(f"folds is {folds}", where="evaluator.folds", fix="list different numbers from 0")
        self.folds = folds

    @hookimpl
    def evaluate(self, run: TrialRun) -> Evaluation:
        """Trains all folds.

        Raises:
            SpecError: The task has no folds, or fewer than were asked for.
            TrialError: The network changes its structure, or a fold fails as a trial may.
        """
        task = run.task
        if not isinstance(task, HasFolds):
            raise SpecError(
                f"the task {type(task).__name__} has no folds",
                where="evaluator: cross_validation",
                fix="take a task with `folds`, such as segmentation, or the evaluator `lightning`",
            )
        chosen = range(task.folds) if self.folds is None else self.folds
        if task.folds < 2 or max(chosen) >= task.folds:
            raise SpecError(
                f"the task has {plural(task.folds, 'fold')}, and {list(chosen)} were asked for",
                where="evaluator: cross_validation",
                fix="set the task's folds.count, such as 5",
            )
        if run.trial.proposal.inherits is not None:
            raise TrialError("error", "a cross-validation starts from new weights", where=f"trial {run.number}")
        results: list[Mapping[str, float]] = []
        files: dict[str, Path] = {}
        network: nn.Module | None = None
        for index in chosen:
            with run.stage(f"fold-{index}") as stage:
                if not stage.finished:
                    own = FoldRun(run, stage, task.fold(index), None if results else run.network)
                    found = super().evaluate(own)
                    if found.edits:
                        raise TrialError(
                            "structure",
                            "the network changed its structure in one fold",
                            where=f"trial {run.number}",
                            fix="cross-validate networks that keep theirs",
                        )
                    if found.pruned is not None:
                        return Evaluation(found.metrics, pruned=found.pruned)
                    stage.finish(found.metrics)
                    network = own.network if network is None else network
                results.append(stage.metrics)
                weights = stage.folder / "weights.safetensors"
                if weights.is_file():
                    files[f"weights-fold-{index}"] = weights
        artifacts = {name: run.artifact(path) for name, path in files.items()}
        if files:
            artifacts = {"weights": next(iter(artifacts.values())), **artifacts}
        return Evaluation(_means(results), tuple(run.measurements), artifacts, network)


def _means(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean and standard deviation of every metric that all folds have."""
    found: dict[str, float] = {}
    for name in results[0]:
        values = [result[name] for result in results if name in result]
        if len(values) < len(results):
            continue
        mean = sum(values) / len(values)
        found[name] = mean
        if len(values) > 1:
            spread = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
            found[f"{name}_std"] = math.sqrt(spread) if math.isfinite(spread) else math.nan
    return found

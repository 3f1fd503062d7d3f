"""One trial on its way, as hooks of a worker see it: network, data, seeds, device, folder, live report, stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.checks import check_json
from nasplug.contract.errors import PluginError, SpecError, StudyError, TrialError
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.records import Budget, Measurement, Trial
from nasplug.evaluate.answers import check_callbacks, check_measurement, check_reason
from nasplug.evaluate.ranks import Ranks, devices_of
from nasplug.evaluate.settling import settled
from nasplug.evaluate.stages import Stage, read_stage
from nasplug.evaluate.wrapped import wrapped_data
from nasplug.ledger.rng import derived_seed, stream
from nasplug.ledger.view import StudyView
from nasplug.plugins.manager import Manager

if TYPE_CHECKING:
    import numpy as np
    from pytorch_lightning import Callback, LightningDataModule
    from torch import Tensor, nn

    from nasplug.contract.protocols import HardwareTarget, SearchSpace, Task

Emit = Callable[[int, Measurement], None]


class TrialRun:
    """One trial on its way through a worker.

    Args:
        trial: Trial to run.
        study: Study as known when the trial was proposed.
        manager: Plugins to ask; without, the space builds and the task gives the data.
        parent: Earlier trial that this one inherits from.
        device: Device of the trial: `cpu`, `cuda`, `cuda:1`, `cuda:0,1` for several, or `auto`.
        threads: Threads of torch.
        keeps_checkpoints: Whether the training may be continued later, so that the optimiser's state must be kept.
        emit: Shows a measurement to whoever watches.
        ranks: Place of this process among those that train the trial together, one for each device; None for a trial
            in one process.

    Attributes:
        ranks: That place.
        measurements: Measurements reported so far.
        edits: Changes of the network's structure so far.
        stages: Stages by name, those that are still open or were pruned included.
        hints: Sentences about what an evaluator noticed in a rehearsal, for the message if a metric is missing.
    """

    def __init__(
        self,
        trial: Trial,
        study: StudyView,
        *,
        manager: Manager | None = None,
        parent: Trial | None = None,
        device: str = "cpu",
        threads: int = 1,
        keeps_checkpoints: bool = False,
        emit: Emit | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        self.ranks = ranks or Ranks()
        self.trial, self.study, self.parent = trial, study, parent
        self.device, self.threads, self.keeps_checkpoints = device, threads, keeps_checkpoints
        self.measurements: list[Measurement] = []
        self.edits: list[JsonObject] = []
        self.stages: dict[str, Stage] = {}
        self.hints: list[str] = []
        self._manager = None if manager is None else manager.of_trial(trial.hyperparameters)
        self._emit = emit

    # -- what it is about ----------------------------------------------------------------------------------------

    @property
    def number(self) -> int:
        """Number of the trial."""
        return self.trial.number

    @property
    def space(self) -> SearchSpace:
        """The search space."""
        return self.study.space

    @property
    def task(self) -> Task:
        """The task.

        Raises:
            StudyError: The run has none.
        """
        if self.study.task is None:
            raise StudyError("this run has no task", where=f"trial {self.number}", fix="add `task:`")
        return self.study.task

    @property
    def target(self) -> HardwareTarget | None:
        """The hardware target, if any."""
        return self.study.target

    @property
    def budget(self) -> Budget:
        """The trial's own budget, or the run's."""
        return self.study.budget_of(self.trial)

    # -- network and data ----------------------------------------------------------------------------------------

    @cached_property
    def network(self) -> nn.Module:
        """The network, built once through the space and all wrappers; costs and evaluator see the very same one.

        A trial whose network has changed already, as in a retraining, gets it as it ended.
        """
        from nasplug.run.seeding import seed_everything

        seed_everything(self.trial.seed)
        if self._manager is None:
            return self.space.build(self.trial.architecture, self.task)
        built = self._manager.hook.build(run=self)
        if built is None or isinstance(built, (str, bytes, int, float, dict, list, tuple, set, Path)):
            raise PluginError(
                f"the answer is {built!r:.100}, not a network",
                where=self._manager.names("build"),
                fix="return a module",
            )
        return edited(settled(built, self.study.task), self.trial, self._manager)

    def rebuilt(self, trial: Trial) -> nn.Module:
        """Returns the network of a trial built anew, with the changes that it recorded.

        Args:
            trial: This trial, with all of its edits.
        """
        return TrialRun(trial, self.study, manager=self._manager, parent=self.parent).network

    def data(self) -> LightningDataModule:
        """Returns a fresh `LightningDataModule`, as the task gives it and all wrappers change it."""
        return wrapped_data(self, self._manager)

    def callbacks(self) -> list[Callback]:
        """Returns Lightning callbacks of all plugins, in the order of the specification."""
        answers = [] if self._manager is None else self._manager.hook.configure_callbacks(run=self)
        where = "" if self._manager is None else self._manager.names("configure_callbacks")
        return check_callbacks(list(reversed(answers)), where)

    def inherit(self, network: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Fits the weights of the parent to a network.

        Args:
            network: Untrained network, changed in place.
            weights: Tensor by name.

        Raises:
            TrialError: No plugin takes them.
        """
        ask = None if self._manager is None else self._manager.hook.inherit
        if ask is None or not ask(run=self, network=network, weights=weights):
            raise TrialError(
                "shape",
                f"the weights of trial {self.trial.proposal.parent} do not fit its network",
                where=f"trial {self.number}",
                why="no plugin with the hook `inherit` takes them, and their names or shapes differ",
                fix="add a plugin that fits them: `build: [inherit.overlap]` copies what both networks have",
            )

    def edit(self, record: JsonObject) -> None:
        """Says that the structure of the network was changed, in a way that the hook `edit` can repeat.

        Args:
            record: Record of the change; JSON data.

        Raises:
            PluginError: The record is not JSON data.
            SpecError: The network trains on several devices.
        """
        where = f"trial {self.number}, run.edit"
        if self.ranks.several:
            raise SpecError(
                "a network on several devices cannot change its structure while it trains",
                where=where,
                why="the processes that train it exchange the gradients of the parameters that it began with",
                fix="give a trial one GPU (run.gpus: 1) and let more of them run side by side (run.workers)",
            )
        if not isinstance(record, Mapping):
            raise PluginError(f"a change of structure is a mapping, not {record!r:.100}", where=where)
        check_json(dict(record), "the change of structure", where)
        self.edits.append(dict(record))

    # -- randomness ----------------------------------------------------------------------------------------------

    def seed(self, role: str = "") -> int:
        """Returns the trial's seed, or one derived from it.

        Args:
            role: Purpose of the seed, such as `fold-1`; empty for the trial's own.
        """
        return derived_seed(self.trial.seed, role, 0) if role else self.trial.seed

    def rng(self, role: str, index: int = 0) -> np.random.Generator:
        """Returns a random stream keyed by (seed of the trial, role, index)."""
        return stream(self.trial.seed, role, index)

    # -- files ---------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """Folder of the trial's files; made on first use."""
        return self.study.artifacts(self.trial)

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices of the trial, one name each: `("cuda:0", "cuda:1")` for a trial with two GPUs."""
        return devices_of(self.device)

    def artifact(self, path: Path) -> str:
        """Returns the name under which a file of the trial stands in `Evaluation.artifacts`."""
        return path.relative_to(self.study.artifacts()).as_posix()

    # -- live report ---------------------------------------------------------------------------------------------

    def report(self, measurement: Measurement) -> str | None:
        """Shows a step to whoever watches, and asks the pruners.

        Args:
            measurement: The new step.

        Returns:
            The reason to stop, or None.
        """
        measurement = check_measurement(measurement, f"trial {self.number}, run.report")
        if self._emit is not None:
            self._emit(self.number, measurement)
        reason: str | None = None
        if self._manager is not None:
            answer = self._manager.hook.should_prune(run=self, measurement=measurement)
            reason = check_reason(answer, self._manager.names("should_prune"))
        self.measurements.append(measurement)
        return reason

    # -- stages --------------------------------------------------------------------------------------------------

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Opens one of several fits that the trial consists of, such as a fold or a task of a sequence.

        What a finished stage measured is kept: a trial that is interrupted and run again finds it there. A stage that a
        pruner ends, as `stage.report` says, is left without a result, with `return Evaluation(..., pruned=reason)`.

        Example:
            >>> def evaluate(run):
            ...     for fold in range(3):
            ...         with run.stage(f"fold-{fold}") as stage:
            ...             if not stage.finished:
            ...                 stage.finish({"dice": train(run, stage.seed, fold)})

        Args:
            name: Name of the stage, unique in the trial.

        Raises:
            PluginError: The name was used already, or the stage ended without `finish` and nobody pruned it.
        """
        if name in self.stages:
            raise PluginError(f"the stage {name!r} is opened twice", where=f"trial {self.number}")
        stage = read_stage(self.folder, name, self.trial) or Stage(name, self.folder, self.trial)
        self.stages[name] = stage
        stage.follow(self.report)
        if stage.finished:
            self.measurements += [m for m in stage.measurements if m not in self.measurements]
        yield stage
        if not stage.finished and stage.pruned is None:
            raise PluginError(
                f"the stage {name!r} ended without a result", where=f"trial {self.number}", fix="call stage.finish(...)"
            )


def edited(network: nn.Module, trial: Trial, manager: Manager) -> nn.Module:
    """Returns a freshly built network with the changes that the trial recorded; surgery repeats its own.

    Raises:
        StudyError: No plugin can repeat one of them.
    """
    for of_channels, group in groupby(trial.edits, key=lambda record: "surgery" in record):
        records = list(group)
        if of_channels:
            from nasplug.surgery import repeat

            network = repeat(network, records)
            continue
        for record in records:
            changed = manager.hook.edit(network=network, edit=record)
            if changed is None:
                raise StudyError(
                    f"no plugin can repeat the change {dict(record)!r:.200} of the network",
                    where=f"trial {trial.number}",
                    fix="open the study with the plugins that it was made with",
                )
            network = changed
    return network

"""One trial from proposal to result: price, check, build, evaluate, price again. Runs wherever the executor says."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from nasplug.contract.errors import MissingExtraError, NasplugError, PluginError, SpecError, StorageError, TrialError
from nasplug.contract.records import BASELINE, Changes, Evaluation, Failure, Trial
from nasplug.cost.candidate import Candidate
from nasplug.evaluate.answers import check_evaluation
from nasplug.evaluate.ranks import Ranks, devices_of
from nasplug.evaluate.trialrun import TrialRun
from nasplug.evaluate.workrun import WorkRun, carry_out
from nasplug.ledger.artifacts import checksum
from nasplug.ledger.work import Outcome
from nasplug.plugins.watchdog import WORK, OverdueError, Watchdog
from nasplug.run.assemble import Assembly
from nasplug.run.interruption import Interruption
from nasplug.run.jobs import Done, Job, Message, Progress
from nasplug.run.pricing import price
from nasplug.run.rehearsal import rehearse
from nasplug.run.seeding import seed_everything

#: Called with the key of a running job, and what it says.
Emit = Callable[[int | str, Message], None]

#: Errors that would meet every candidate alike. Recorded as failed trials, they would waste the rest of the budget.
NOT_THE_CANDIDATE = (PluginError, SpecError, MissingExtraError, StorageError)


class Worker:
    """Runs jobs one after the other in this process.

    Args:
        assembly: The configured plugins.
        folder: Folder of artifacts; None for a temporary one.
        keeps_checkpoints: Whether optimiser states are kept for later continuation.
        device: Device of this worker; None for that of the specification.
        interruption: Whether the person pressed Ctrl-C; without, `KeyboardInterrupt` is the candidate's own.
        ranks: Place of this process among those of its trials; None for trials in one process.
    """

    def __init__(
        self,
        assembly: Assembly,
        folder: Path | None,
        *,
        keeps_checkpoints: bool = False,
        device: str | None = None,
        interruption: Interruption | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        self.ranks = ranks
        self.assembly, self.folder, self.keeps_checkpoints = assembly, folder, keeps_checkpoints
        self.device = device or assembly.spec.run.device
        self._interruption = interruption or Interruption()
        self._home = _current_folder()

    def run(self, job: Job, emit: Emit | None = None) -> Done:
        """Runs a job; every problem of the candidate, or of the work, ends as a failure with its reason.

        Args:
            job: A trial or work, with what it may know.
            emit: Callback for what the running job says.

        Raises:
            PluginError: A plugin breaks the contract; that is not the candidate's fault, so the run stops.
            StorageError: The disk is full; likewise.
            SpecError: The specification asks for what is not there, such as a GPU; likewise.
            MissingExtraError: A library is not installed; likewise.
            TaskError: A rehearsal failed for a reason that would meet every trial.
        """
        if job.rehearsal:
            return rehearse(self.assembly, job.rehearsal, devices_of(self.device)[0], NOT_THE_CANDIDATE)
        if job.trial is not None and job.trial.number == BASELINE:
            return self._baseline(job, emit)
        return self._trial(job, emit) if job.work is None else self._work(job, emit)

    def close(self) -> None:
        """Does nothing: it has started nothing."""

    def accompany(self, job: Job, place: Path) -> Failure | None:
        """Takes part in the training of a trial whose first process is another one.

        Args:
            job: The trial, with what it may know.
            place: File through which the processes find each other.

        Returns:
            The failure of this process, or None.

        Raises:
            NasplugError: As for `run`.
        """
        assert job.trial is not None
        assert self.ranks is not None
        ranks, known = replace(self.ranks, place=place), Changes()
        assembly = self.assembly.of_baseline() if job.trial.number == BASELINE else self.assembly
        self._guarded(
            f"trial {job.trial.number}",
            known,
            lambda: assembly.manager.hook.evaluate(run=self._seeded(assembly, job, None, ranks)),
        )
        return known.get("failure")

    def _baseline(self, job: Job, emit: Emit | None) -> Trial:
        """Trains the network to compare with; whatever is wrong with it must not end the search."""
        trial = job.trial
        assert trial is not None
        try:
            worker = Worker(
                self.assembly.of_baseline(),
                self.folder,
                device=self.device,
                interruption=self._interruption,
                ranks=self.ranks,
            )
            return worker._trial(job, emit)
        except StorageError:
            raise
        except NasplugError as error:
            return trial.with_(**failure("error", error))

    def _trial(self, job: Job, emit: Emit | None) -> Trial:
        assert job.trial is not None
        started = time.perf_counter()
        known: Changes = {}
        self._guarded(f"trial {job.trial.number}", known, lambda: self._evaluate(job, emit, known))
        known["seconds"] = time.perf_counter() - started
        return job.trial.with_(**known)

    def _work(self, job: Job, emit: Emit | None) -> Outcome:
        work = job.work
        assert work is not None
        started = time.perf_counter()
        ledger = self.assembly.ledger(folder=self.folder)
        ledger.restore(job.history)
        key = work.key

        watchdog = self.assembly.manager.watchdog or Watchdog(0.0)
        owner = job.owner or f"strategy:{self.assembly.spec.strategy.name}"

        def say(share: float, metrics: Mapping[str, float]) -> None:
            watchdog.alive(call)
            if emit is not None:
                emit(key, Progress(key, share, dict(metrics)))

        run = WorkRun(
            work,
            ledger.view,
            device=devices_of(self.device)[0],
            threads=self.assembly.spec.run.threads,
            manager=self.assembly.manager,
            emit=say,
        )
        known: Changes = {}
        done: list[Outcome] = []

        def train() -> None:
            seed_everything(run.seed())
            done.append(carry_out(run))

        with watchdog.watching(owner, f"{WORK} {work.function}") as call:
            self._guarded(f"work {key}", known, train)
        if done:
            return done[0]
        return Outcome(key, None, known["failure"], seconds=time.perf_counter() - started)

    def _guarded(self, what: str, known: Changes, run: Callable[[], None]) -> None:
        """Turns whatever a candidate raises into the fields of a failure, and puts back what it may have changed."""
        try:
            run()
        except (*NOT_THE_CANDIDATE, OverdueError):
            raise
        except MemoryError as error:
            known |= self._failure("oom", error)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):  # every later trial would fail for the same reason
                raise StorageError(
                    "the disk is full",
                    where=str(error.filename or self.folder),
                    why=f"while keeping the files of {what}; all earlier trials are safe",
                    fix="free some space and run the same command again: it resumes",
                ) from error
            known |= self._failure(_kind(error), error)
        except Exception as error:
            known |= self._failure(_kind(error), error)
        except BaseException as error:
            # `sys.exit()` and the like end the trial that says so, not the search; only the person may do that.
            if self._interruption.happened:
                raise
            known |= self._failure("error", error)
        finally:
            if self._home is not None and _current_folder() != self._home:
                with contextlib.suppress(OSError):  # where a candidate went must not be where the next one starts
                    os.chdir(self._home)

    def _failure(self, kind: str, error: BaseException) -> Changes:
        """The fields of a failed trial; a plugin that is not the candidate's own is named."""
        found = self.assembly.manager.blame(error)
        if found is None or isinstance(error, TrialError) or found[1] == "evaluate" or found[0] == "space":
            return failure(kind, error)
        return failure(kind, error, plugin=f"{found[0]}, hook {found[1]}")

    def _evaluate(self, job: Job, emit: Emit | None, known: Changes) -> None:
        """Fills `known` with fields of the finished trial, so that a failure keeps what was found before it."""
        assembly = self.assembly
        run = self._seeded(assembly, job, emit, self.ranks)
        trial = run.trial
        known["edits"] = trial.edits
        candidate = assembly.candidate(run) if assembly.costs else None
        if candidate is not None:
            known["costs"] = price(assembly.costs, candidate, assembly.target, trained=False, known={})
            broken = _broken(known["costs"], assembly)
            if broken:
                known["state"], known["reason"] = "pruned", f"constraint: {broken}"
                return
        try:
            evaluation: Evaluation | None = assembly.manager.hook.evaluate(run=run)
        finally:
            known["measurements"] = tuple(run.measurements)
            if run.stages:
                known["stages"] = {name: dict(stage.metrics) for name, stage in run.stages.items() if stage.finished}
            known["edits"] = trial.edits + tuple(run.edits)
        if not isinstance(evaluation, Evaluation):
            raise PluginError(
                f"no evaluator answered trial {trial.number} (got {evaluation!r:.200})",
                where=assembly.manager.names("evaluate"),
                fix="configure an evaluator that answers every trial of this space",
            )
        self._take(run, candidate, evaluation, known)

    def _seeded(self, assembly: Assembly, job: Job, emit: Emit | None, ranks: Ranks | None) -> TrialRun:
        """The trial of a job as hooks see it, after all generators were seeded."""
        trial = job.trial
        assert trial is not None
        ledger = assembly.ledger(folder=self.folder)
        ledger.restore(job.history)
        if job.parent is not None:
            ledger.book.by_number.setdefault(job.parent.number, job.parent)
        if job.parent is not None and job.parent.edits and _continues(trial) and not trial.edits:
            trial = trial.with_(edits=job.parent.edits)  # what is continued is the network as it ended there
        ledger.propose(trial)
        run = TrialRun(
            trial,
            ledger.view,
            manager=assembly.manager,
            parent=job.parent,
            device=self.device,
            threads=assembly.spec.run.threads,
            keeps_checkpoints=self.keeps_checkpoints,
            emit=emit,
            ranks=ranks,
        )
        seed_everything(trial.seed)
        return run

    def _take(self, run: TrialRun, candidate: Candidate | None, evaluation: Evaluation, known: Changes) -> None:
        """Takes over what the evaluator answered, and asks the costs that are due after it."""
        assembly = self.assembly
        evaluation = check_evaluation(evaluation, assembly.manager.names("evaluate"))
        known["metrics"] = dict(evaluation.metrics)
        known["measurements"] = tuple(evaluation.measurements) or tuple(run.measurements)
        known["artifacts"] = dict(evaluation.artifacts)
        if evaluation.artifacts:
            where = assembly.manager.names("evaluate")
            known["checksums"] = _checksums(run.study.artifacts(), evaluation.artifacts, where)
        edits = tuple(evaluation.edits) or tuple(run.edits)
        known["edits"] = run.trial.edits + edits
        trained = None if candidate is None else candidate.of_network(evaluation.network)
        if trained is not None and edits:  # what was priced before training is not the network that there is now
            if evaluation.network is None:
                raise PluginError(
                    f"trial {run.number} changed its network and does not say which one it ended as",
                    where=assembly.manager.names("evaluate"),
                    fix="answer Evaluation(..., network=...) with the trained network, which is priced again",
                )
            known["costs"] = price(assembly.costs, trained, assembly.target, trained=False, known={})
        if evaluation.pruned is not None:
            known["state"], known["reason"] = "pruned", evaluation.pruned
            return
        if trained is not None and any(plugin.needs_trained_weights for plugin in assembly.costs):
            costs = known["costs"]
            known["costs"] = {**costs, **price(assembly.costs, trained, assembly.target, trained=True, known=costs)}
        self._check_objectives({**known["costs"], **known["metrics"]} if "costs" in known else known["metrics"])
        known["state"] = "complete"

    def _check_objectives(self, values: Mapping[str, float]) -> None:
        for objective in self.assembly.spec.objectives:
            value = values.get(objective.name)
            if value is None:
                raise TrialError(
                    "metric",
                    f"the objective {objective.name!r} was not reported",
                    why=f"reported: {', '.join(sorted(values)) or 'nothing'}",
                    fix="log it in the LightningModule, or name another objective",
                )
            if not math.isfinite(value):
                raise TrialError("nan", f"the objective {objective.name!r} is {value}")


def _current_folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 (a string compares faster, and this is done for every trial)
    except OSError:
        return None


def _continues(trial: Trial) -> bool:
    inherits = trial.proposal.inherits
    return inherits is not None and inherits.mode == "training"


def _checksums(folder: Path, artifacts: Mapping[str, str], where: str) -> dict[str, str]:
    """The SHA-256 of every artifact, so that nobody reads another one for it later."""
    missing = [name for name, path in artifacts.items() if not (folder / path).exists()]
    if missing:
        raise PluginError(
            f"the evaluation names the artifact {missing[0]!r}, but {artifacts[missing[0]]!r} was not written",
            where=where,
            fix="write the file below run.folder, and name it with run.artifact(path)",
        )
    return {name: checksum(folder / path) for name, path in artifacts.items()}


def failure(kind: str, error: BaseException, *, plugin: str = "") -> Changes:
    """Returns the fields of a failed trial.

    Args:
        kind: One of `FAILURE_KINDS`.
        error: Error that was raised.
        plugin: Plugin and hook that raised it, if it is not the candidate's fault.
    """
    text = str(error) if isinstance(error, NasplugError) else f"{type(error).__name__}: {error}"
    if plugin and not isinstance(error, NasplugError):
        text = f"{plugin}: {text}"
    trace = "".join(traceback.format_exception(error))
    return {"state": "failed", "failure": Failure(kind, " ".join(text.split())[:2000], trace[-8000:], plugin)}


def _kind(error: Exception) -> str:
    if isinstance(error, TrialError):
        return error.kind
    name, text = type(error).__name__, str(error).lower()
    if name == "OutOfMemoryError" or "out of memory" in text or "can't allocate memory" in text:
        return "oom"
    if "shape" in text or "size mismatch" in text or "kernel size can't be greater" in text:
        return "shape"
    return "error"


def _broken(costs: Mapping[str, float], assembly: Assembly) -> str:
    """The constraints on already known costs that are broken, as text."""
    return "; ".join(
        f"{constraint}, and it is {costs[constraint.name]:g}"
        for constraint in assembly.spec.constraints
        if constraint.name in costs and constraint.violation(costs) > 0
    )

"""One trial from proposal to result: price, check, build, evaluate, price again. Runs wherever the executor says."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasplug.contract.errors import MissingExtraError, NasplugError, PluginError, SpecError, StorageError, TrialError
from nasplug.contract.records import Evaluation, Failure, Measurement, Trial
from nasplug.cost.candidate import Candidate
from nasplug.ledger.artifacts import checksum
from nasplug.run.assemble import Assembly
from nasplug.run.interruption import watching
from nasplug.run.pricing import price
from nasplug.run.seeding import seed_everything

Emit = Callable[[int, Measurement], None]

#: Errors that would meet every candidate alike. Recorded as failed trials, they would waste the rest of the budget.
NOT_THE_CANDIDATE = (PluginError, SpecError, MissingExtraError, StorageError)


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker gets: plain records only.

    Attributes:
        trial: The trial to run.
        history: Finished trials that were known when it was proposed; empty unless a plugin answers `report`.
        parent: The trial it continues, if any.
    """

    trial: Trial
    history: tuple[Trial, ...] = ()
    parent: Trial | None = None


class Worker:
    """Runs trials one after the other in this process.

    Args:
        assembly: The configured plugins.
        folder: Where artifacts go; None for a temporary folder.
        keeps_checkpoints: Whether optimiser states are kept for later continuation.
    """

    def __init__(self, assembly: Assembly, folder: Path | None, *, keeps_checkpoints: bool = False) -> None:
        self.assembly = assembly
        self.folder = folder
        self.keeps_checkpoints = keeps_checkpoints

    def run(self, job: Job, emit: Emit | None = None) -> Trial:
        """Evaluates one trial; every problem of the candidate ends as a failed trial with its reason.

        Args:
            job: The trial with what it may know.
            emit: Called with (trial number, measurement) at every reported step.

        Raises:
            PluginError: A plugin breaks the contract; that is no fault of the candidate, so the run stops.
            StorageError: The disk is full; likewise.
            SpecError: The specification asks for what is not there, such as a GPU; likewise.
            MissingExtraError: A library is not installed; likewise.
        """
        started = time.perf_counter()
        known: dict[str, Any] = {}
        folder = os.path.realpath(".")
        try:
            with watching() as interruption:
                self._run(job, emit, known)
        except NOT_THE_CANDIDATE:
            raise
        except MemoryError as error:
            known |= failure("oom", error)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):  # every later trial would fail for the same reason
                raise StorageError(
                    "the disk is full",
                    where=str(error.filename or self.folder),
                    why=f"while keeping the files of trial {job.trial.number}; all earlier trials are safe",
                    fix="free some space and run the same command again: it resumes",
                ) from error
            known |= failure(_kind(error), error)
        except Exception as error:
            known |= failure(_kind(error), error)
        except BaseException as error:
            # `sys.exit()` and the like end the trial that says so, not the search; only the person may do that.
            if interruption.happened:
                raise
            known |= failure("error", error)
        finally:
            with contextlib.suppress(OSError):  # where a candidate went must not be where the next one starts
                os.chdir(folder)
        return job.trial.with_(**known, seconds=time.perf_counter() - started)

    def _run(self, job: Job, emit: Emit | None, known: dict[str, Any]) -> None:
        """Fills `known` with fields of the finished trial, so that a failure keeps what was found before it."""
        assembly, trial = self.assembly, job.trial
        study = assembly.study(folder=self.folder)
        for earlier in job.history:
            study._observe(earlier)
        if job.parent is not None:
            study._by_number[job.parent.number] = job.parent
        study._propose(trial)
        study.context = TrialContext(self, emit)
        study._builder = _build_once(assembly)
        seed_everything(trial.seed)

        candidate = None
        if assembly.costs:
            candidate = Candidate(
                lambda: study.build(trial),
                tuple(assembly.task.input_shape) if assembly.task is not None else (),
                architecture=trial.architecture,
                space=assembly.space,
                task=assembly.task,
                transformed=bool(assembly.spec.build),
            )
            known["costs"] = price(assembly.costs, candidate, assembly.target, trained=False, known={})
            broken = _broken(known["costs"], assembly)
            if broken:
                known.update(state="pruned", reason=f"constraint: {broken}")
                return

        evaluation: Evaluation | None = assembly.manager.hook.evaluate(study=study, trial=trial)
        if not isinstance(evaluation, Evaluation):
            raise PluginError(
                f"no evaluator answered trial {trial.number} (got {evaluation!r})",
                where="evaluate",
                fix="configure an evaluator that answers every trial of this space",
            )
        known["metrics"] = {name: float(value) for name, value in evaluation.metrics.items()}
        known["measurements"] = tuple(evaluation.measurements)
        known["artifacts"] = dict(evaluation.artifacts)
        known["checksums"] = _checksums(study.artifacts(), evaluation.artifacts)
        if evaluation.pruned is not None:
            known.update(state="pruned", reason=evaluation.pruned)
            return
        if candidate is not None and any(plugin.needs_trained_weights for plugin in assembly.costs):
            trained = Candidate(
                lambda: evaluation.network,
                candidate.input_shape,
                architecture=trial.architecture,
                space=assembly.space,
                task=assembly.task,
                trained=True,
            )
            costs = known["costs"]
            known["costs"] = costs | price(assembly.costs, trained, assembly.target, trained=True, known=costs)
        self._check_objectives({**known.get("costs", {}), **known["metrics"]})
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


class TrialContext:
    """What the evaluator may use beyond the study: live reporting and run options. Reached as `study.context`."""

    def __init__(self, worker: Worker, emit: Emit | None) -> None:
        self._worker, self._emit = worker, emit
        self.device: str = worker.assembly.spec.run.device
        self.threads: int = worker.assembly.spec.run.threads
        self.keeps_checkpoints: bool = worker.keeps_checkpoints

    def report(self, study: Any, trial: Trial, measurement: Measurement) -> str | None:
        """Shows a step to the user and asks the stoppers.

        Args:
            study: The study.
            trial: The trial with its earlier measurements.
            measurement: The new step.

        Returns:
            The reason to stop, or None.
        """
        if self._emit is not None:
            self._emit(trial.number, measurement)
        if not self._worker.assembly.needs_history:
            return None
        reason: str | None = self._worker.assembly.manager.hook.report(
            study=study, trial=trial, measurement=measurement
        )
        return reason

    def callbacks(self, study: Any, trial: Trial) -> list[Any]:
        """Lightning callbacks of all plugins, in the order of the specification."""
        answers = self._worker.assembly.manager.hook.configure_callbacks(study=study, trial=trial)
        return [callback for answer in reversed(answers) for callback in answer or ()]


def _build_once(assembly: Assembly) -> Callable[[Any, Trial], Any]:
    """Costs and evaluator must see one and the same network, and building it must not depend on who asks first."""
    built: dict[int, Any] = {}

    def build(study: Any, trial: Trial) -> Any:
        if trial.number not in built:
            seed_everything(trial.seed)
            built[trial.number] = assembly.manager.hook.build(study=study, trial=trial)
        return built[trial.number]

    return build


def _checksums(folder: Path, artifacts: Mapping[str, str]) -> dict[str, str]:
    """The SHA-256 of every artifact, so that nobody reads another one for it later."""
    missing = [name for name, path in artifacts.items() if not (folder / path).exists()]
    if missing:
        raise PluginError(
            f"the evaluation names the artifact {missing[0]!r}, but {artifacts[missing[0]]!r} was not written",
            where="evaluate",
            fix="write the file below study.artifacts(trial), and name it relative to study.artifacts()",
        )
    return {name: checksum(folder / path) for name, path in artifacts.items()}


def failure(kind: str, error: BaseException) -> dict[str, Any]:
    """The fields of a failed trial."""
    text = str(error) if isinstance(error, NasplugError) else f"{type(error).__name__}: {error}"
    trace = "".join(traceback.format_exception(error))
    return {"state": "failed", "failure": Failure(kind, " ".join(text.split())[:2000], trace[-8000:])}


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

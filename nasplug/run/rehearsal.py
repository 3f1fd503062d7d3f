"""One batch before the first trial: mistakes that would meet every trial are found before the budget is spent.

A candidate that fails is a failed trial; what fails for every candidate alike is a mistake in the module, the data or
the specification. The difference shows when several networks fail: only if all of them do so for the same reason is the
run refused. Nothing of a rehearsal is kept, and the random numbers of the trials are those that they would be without.
"""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import TaskError
from nasplug.contract.records import Evaluation, Failure, Proposal, Trial
from nasplug.evaluate.trialrun import TrialRun
from nasplug.ledger.rng import derived_seed
from nasplug.run.jobs import Job
from nasplug.run.mistakes import check_names, mistake, reason_of, with_inputs
from nasplug.run.pricing import price
from nasplug.run.seeding import seed_everything, undisturbed

if TYPE_CHECKING:
    from nasplug.ledger.view import StudyView
    from nasplug.run.assemble import Assembly

#: Number of networks that are tried at most; all of them must fail alike.
NETWORKS = 5
#: Number of networks that must fail alike where the task, and not the network, is to blame.
MODULES = 2
#: Number that the trial of a rehearsal has.
NUMBER = -1


def can_rehearse(assembly: Assembly) -> bool:
    """Returns whether the evaluator of a run can try a network without a training."""
    return hasattr(assembly.parts["evaluator"][0][1], "rehearse")


def rehearsal_job(study: StudyView, proposals: Iterable[Proposal]) -> Job | None:
    """Returns the job of a rehearsal: the first proposal, and others in case that it fails.

    Args:
        study: Study before its first trial.
        proposals: Proposals of the strategy; may be empty.
    """
    wanted = [item for item in proposals if item.failure is None and item.inherits is None]
    with contextlib.suppress(Exception):  # a space that cannot sample has to do with what is proposed
        hyperparameters = wanted[0].hyperparameters if wanted else {}
        for index in range(4 * NETWORKS):
            if len({item.architecture.key for item in wanted}) >= NETWORKS:
                break
            architecture = study.space.sample(study.rng("rehearsal", index))
            wanted.append(Proposal(architecture, hyperparameters, wanted[0].budget if wanted else None))
    distinct = list({item.architecture.key: item for item in reversed(wanted)}.values())[::-1][:NETWORKS]
    trials = tuple(
        Trial(NUMBER, item, seed=derived_seed(study.seed, "trial", i) if item.seed is None else item.seed)
        for i, item in enumerate(distinct)
    )
    return Job(trials[0], rehearsal=trials) if trials else None


def rehearse(assembly: Assembly, trials: Sequence[Trial], device: str, reserved: tuple[type[Exception], ...]) -> Trial:
    """Tries networks one after the other until one works.

    Args:
        assembly: Configured plugins.
        trials: Trials that are tried, none of which is a trial of the study.
        device: Device of the trials.
        reserved: Errors that end a run in any case.

    Returns:
        The trial that works, with its metrics and costs; a failed one if nothing can be said of the others.

    Raises:
        NasplugError: All fail for the same reason.
    """
    errors: list[Exception] = []
    queue = deque((trial, True) for trial in trials)
    with undisturbed(), _in_place(), warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="nasplug-") as name:
        folder = Path(name)
        warnings.simplefilter("ignore")  # the first trial gives them
        while queue:
            trial, feasible = queue.popleft()
            try:
                return _try(assembly, trial, device, folder, reserved, feasible=feasible, whole=len(errors) == 1)
            except _InfeasibleError:
                queue.append((trial, False))  # if there is no other
            except reserved:
                raise
            except MemoryError as error:
                return _failed(trial, error)
            except Exception as error:
                if errors and reason_of(error) != reason_of(errors[0]):
                    return _failed(trial, error)
                errors.append(error)
                if isinstance(error, TaskError) and len(errors) == MODULES:
                    break
            except SystemExit as error:  # a candidate that ends the process fails in its own trial
                return _failed(trial, error)
    raise mistake(assembly, errors) from errors[0]


class _InfeasibleError(Exception):
    """The candidate breaks a constraint, and would not be trained."""


@contextlib.contextmanager
def _in_place() -> Iterator[None]:
    """Goes back to the current folder, if there is one."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(contextlib.chdir(Path.cwd()))
        yield


def _try(
    assembly: Assembly,
    trial: Trial,
    device: str,
    folder: Path,
    reserved: tuple[type[Exception], ...],
    *,
    feasible: bool,
    whole: bool,
) -> Trial:
    """Prices a network, trains it for a batch, validates it and prices it again, as a trial does."""
    ledger = assembly.ledger(folder=folder)
    ledger.propose(trial)
    run = TrialRun(trial, ledger.view, manager=assembly.manager, device=device, threads=assembly.spec.run.threads)
    seed_everything(trial.seed)
    candidate = assembly.candidate(run) if assembly.costs else None
    costs: dict[str, float] = {}
    failed: Exception | None = None
    if candidate is not None:
        try:
            costs = price(assembly.costs, candidate, assembly.target, trained=False, known={})
        except reserved:
            raise
        except Exception as error:
            failed = error  # the training may show what the network is really called with
        if feasible and any(item.name in costs and item.violation(costs) > 0 for item in assembly.spec.constraints):
            raise _InfeasibleError
    evaluator: Any = assembly.parts["evaluator"][0][1]
    with _Calls(run.network if failed is not None else None) as calls:
        evaluation: Evaluation = evaluator.rehearse(run, whole=whole)
    if failed is not None:
        raise with_inputs(failed, calls.inputs, calls.problem) from failed
    if candidate is not None:
        trained = candidate.of_network(evaluation.network)
        costs |= price(assembly.costs, trained, assembly.target, trained=True, known=costs)
    check_names(assembly, evaluation.metrics, costs, run.hints)
    return trial.with_(state="complete", metrics=dict(evaluation.metrics), costs=costs)


def _failed(trial: Trial, error: BaseException) -> Trial:
    return trial.with_(state="failed", failure=Failure("error", f"{type(error).__name__}: {error}"))


class _Calls:
    """Notes what a network is called with in a training."""

    def __init__(self, network: Any) -> None:
        self.inputs: Any = None
        self.problem: str | None = None
        self._network = network

    def __enter__(self) -> _Calls:
        if self._network is not None:
            from nasplug.lightning.calls import FirstCall

            self._call = FirstCall()
            self._call.watch(self._network)
        return self

    def __exit__(self, *_: object) -> None:
        if self._network is not None:
            self._call.stop()
            self.inputs, self.problem = self._call.inputs, self._call.problem

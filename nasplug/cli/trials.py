"""`nasplug trials`: every trial of a study, with its values, or the reason why it has none."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from nasplug.cli import output
from nasplug.cli.loading import read_study
from nasplug.cli.parser import Parser, positive
from nasplug.contract.errors import UnknownNameError, did_you_mean
from nasplug.contract.jsondata import Json
from nasplug.contract.labels import shortened

if TYPE_CHECKING:
    from nasplug.contract.records import Failure, Trial
    from nasplug.ledger.study import Study

SUMMARY = "List the trials of a study."

STATES = ("waiting", "running", "complete", "pruned", "failed")


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug trials`."""
    parser.add_argument("file", metavar="FILE", help="the study file")
    parser.add_argument("--state", choices=STATES, help="only trials in this state")
    parser.add_argument(
        "--sort",
        metavar="NAME",
        default="number",
        help="objective or constraint's side (best first), cost, metric, seconds or number (smallest first)",
    )
    parser.add_argument("--reverse", action="store_true", help="reverse the order")
    add_labels(parser)
    parser.add_argument("--limit", metavar="N", type=positive, help="show at most N trials")
    parser.add_argument("--json", action="store_true", help="print everything known about the trials as JSON")


def add_labels(parser: Parser) -> None:
    """Adds the option that asks the space for the names of architectures."""
    parser.add_argument(
        "--labels",
        action="store_true",
        help="ask the space for the names of architectures, where the study was written without them; loads its plugin",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints the table."""
    study = read_study(arguments.file, with_space=arguments.labels)
    trials = [*study.trials, *study.pending]
    trials = [trial for trial in trials if arguments.state in (None, trial.state)]
    trials = _sorted(study, trials, arguments.sort, arguments.reverse)[: arguments.limit]
    if arguments.json:
        output.print_json(
            {
                "file": arguments.file,
                "objectives": study.meta["objectives"],
                "constraints": study.meta["constraints"],
                "created": study.meta.get("created"),
                "runs": study.meta.get("runs", []),
                "baseline": baseline_json(study),
                "trials": [trial_json(study, trial, everything=True) for trial in trials],
            }
        )
        return 0
    print_trials(study, trials, baseline=study.baseline if arguments.state in (None, "complete") else None)
    if not trials:
        print("no trials" if arguments.state is None else f"no trials in state {arguments.state!r}")
    return 0


def print_trials(study: Study, trials: list[Trial], *, baseline: Trial | None = None) -> None:
    """Prints trials as a table: architecture, objectives, costs, then why a trial has no result.

    Args:
        study: Study of the trials.
        trials: The trials.
        baseline: Network to show above them, with what each of them has over it; None for none.
    """
    shown = trials if baseline is None else [baseline, *trials]
    objectives = [objective.name for objective in study.objectives]
    costs = sorted({name for trial in trials for name in trial.costs} - set(objectives))
    numeric = ["trial", *objectives, *costs, "epochs", "seconds"]
    rows = [
        [
            "baseline" if trial is baseline else str(trial.number),
            shortened(study.label(trial)),
            trial.state,
            *(output.number(trial.values.get(name)) for name in [*objectives, *costs]),
            str(len(trial.measurements) or "-"),
            f"{trial.seconds:.1f}" if trial.finished and trial.copied_from is None else "-",
            *([] if baseline is None else [study.against.said(trial)]),
            note(study, trial),
        ]
        for trial in shown
    ]
    if rows:
        columns = ["trial", "architecture", "state", *objectives, *costs, "epochs", "seconds"]
        columns += ["note"] if baseline is None else ["against the baseline", "note"]
        output.print_table(columns, rows, numeric=numeric)


def baseline_json(study: Study) -> dict[str, Json] | None:
    """The baseline with the keys of a trial; None without one."""
    return None if study.baseline is None else trial_json(study, study.baseline)


def note(study: Study, trial: Trial) -> str:
    """Why a trial failed, was pruned, may not win, or where its results come from; one line."""
    if trial.failure is not None:
        return f"{trial.failure.kind}: {trial.failure.message}"
    if trial.reason:
        return trial.reason
    if trial.state == "complete" and study.violation(trial) > 0:
        broken = [str(bound) for bound in study.constraints if bound.violation(trial.values) > 0]
        return f"breaks {', '.join(broken)}"
    return "" if trial.copied_from is None else f"same as trial {trial.copied_from}"


def trial_json(study: Study, trial: Trial, *, everything: bool = False) -> dict[str, Json]:
    """A trial with stable keys: absent things are null or empty, never left out.

    Args:
        study: Study of the trial.
        trial: The trial.
        everything: Whether to include the metrics of every epoch and the failure's traceback.
    """
    failure = trial.failure
    data: dict[str, Json] = {
        "number": trial.number,
        "state": trial.state,
        "architecture": trial.architecture.to_json(),
        "label": study.label(trial),
        "hyperparameters": dict(trial.hyperparameters),
        "epochs": study.budget_of(trial).epochs,
        "epochs_trained": len(trial.measurements),
        "objectives": {objective.name: trial.values.get(objective.name) for objective in study.objectives},
        "metrics": dict(trial.metrics),
        "costs": dict(trial.costs),
        "feasible": study.is_candidate(trial),
        "against_baseline": study.against.to_json(trial),
        "seconds": trial.seconds,
        "seed": trial.seed,
        "parent": trial.proposal.parent,
        "copied_from": trial.copied_from,
        "reason": trial.reason,
        "failure": None if failure is None else _failure_json(failure, everything),
        "artifacts": dict(trial.artifacts),
        "info": dict(trial.proposal.info),
    }
    if everything:
        data["measurements"] = [{"step": item.step, "metrics": dict(item.metrics)} for item in trial.measurements]
    return data


def _failure_json(failure: Failure, everything: bool) -> dict[str, Json]:
    found: dict[str, Json] = {"kind": failure.kind, "message": failure.message}
    return {**found, "traceback": failure.traceback} if everything else found


def _sorted(study: Study, trials: list[Trial], name: str, reverse: bool) -> list[Trial]:
    """Trials by one value; those without it come last, whichever way."""
    known = {"number", "seconds"} | {key for trial in trials for key in trial.values}
    known |= {objective.name for objective in study.objectives}
    if name not in known:
        raise UnknownNameError(f"no trial has {name!r}", where="--sort", fix=did_you_mean(name, known))
    best_first = {objective.name: -objective.sign for objective in study.objectives}
    sign = best_first.get(name, 1.0) * (-1.0 if reverse else 1.0)

    def value(trial: Trial) -> float:
        if name == "number":
            return trial.number
        return trial.seconds if name == "seconds" else trial.values.get(name, math.nan)

    def key(trial: Trial) -> tuple[bool, float, int]:
        found = value(trial)
        return (True, 0.0, trial.number) if math.isnan(found) else (False, sign * found, trial.number)

    return sorted(trials, key=key)

"""`nasplug run`: a search from a specification file, or the rest of one from a study file."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.cli import output
from nasplug.cli.app import INTERRUPTED
from nasplug.cli.loading import find_plugins, overridden, stored_spec
from nasplug.cli.parser import Parser
from nasplug.contract.errors import StorageError
from nasplug.contract.jsondata import Json
from nasplug.contract.labels import shortened
from nasplug.contract.wording import plural
from nasplug.plugins.trust import asks_for_code, untrusted

if TYPE_CHECKING:
    from nasplug.ledger.study import Study
    from nasplug.run.spec import RunSpec

SUMMARY = "Run a search from a specification, or resume it."

#: Exit code of a search that ended without a complete and feasible trial.
NO_RESULT = 1


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug run`."""
    parser.add_argument("spec", metavar="SPEC", help="a YAML specification, or the study file of a run to resume")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="change one value of the specification, for example --set run.workers=4; may be repeated",
    )
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--fresh", action="store_true", help="refuse to resume: the study file must not have trials yet")
    begin.add_argument("--resume", action="store_true", help="refuse to start anew: the study file must exist")
    parser.add_argument(
        "--retry-failed",
        metavar="KINDS",
        default="",
        help="run trials again that failed for these reasons, for example crash,timeout",
    )
    parser.add_argument(
        "--warm-start",
        metavar="STUDY",
        help="begin with the complete trials of another study file, with their results",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Runs or resumes, and prints the best trial."""
    spec = _spec(arguments)
    storage = str(spec.run.storage)
    if arguments.resume and not Path(storage).is_file():
        raise StorageError(
            "there is nothing to resume", where=storage, why="the study file does not exist", fix="leave --resume out"
        )
    with contextlib.ExitStack() as stack:
        if is_study(Path(arguments.spec)) and not arguments.trust:  # unlike a specification, nobody has read it
            stack.enter_context(untrusted(arguments.plugin))
        return _run(arguments, spec, storage)


def _run(arguments: argparse.Namespace, spec: RunSpec, storage: str) -> int:
    catalog = find_plugins(arguments, more=spec.plugins, warn=True).catalog
    from nasplug.cli.progress import LiveDisplay
    from nasplug.run.api import run_spec
    from nasplug.run.earlier import updated
    from nasplug.run.parts import check_names

    check_names(spec, catalog)
    if is_study(Path(arguments.spec)):
        spec = updated(spec, catalog)
    print(describe(spec), file=sys.stderr)
    display = LiveDisplay()
    try:
        study = run_spec(
            spec,
            trackers=[display],
            resume=not arguments.fresh,
            retry_failed=arguments.retry_failed or (),
            warm_start=arguments.warm_start,
        )
    except KeyboardInterrupt:
        print(interrupted(storage, _again(arguments)), file=sys.stderr)
        return INTERRUPTED
    if arguments.json:
        output.print_json(summary(study, storage, display.seconds))
    else:
        print_summary(study, storage, display.seconds)
    return 0 if study.candidates() else NO_RESULT


def describe(spec: RunSpec) -> str:
    """One line on what is about to run."""
    task = "" if spec.task is None else f" on {spec.task.name.rpartition('.')[2]}"
    length = "trials until the time is over" if spec.budget.trials is None else plural(spec.budget.trials, "trial")
    epochs = f" of {plural(spec.budget.epochs, 'epoch')}"
    workers = f", {plural(spec.run.workers, 'worker')}" if spec.run.workers > 1 else ""
    return f"{spec.strategy.name} in {spec.space.name}{task}: {length}{epochs}{workers} -> {spec.run.storage}"


def interrupted(storage: str, command: str) -> str:
    """What to tell somebody who ended the run with Ctrl-C or SIGTERM."""
    return f"\nnasplug: stopped; every finished trial is in {storage}\nResume with: {command}"


def summary(study: Study, storage: str, seconds: float) -> dict[str, Json]:
    """The result of a run as JSON data."""
    from nasplug.cli.trials import baseline_json, trial_json

    states = [trial.state for trial in study.trials]
    return {
        "study": storage,
        "trials": len(states),
        **{state: states.count(state) for state in ("complete", "pruned", "failed")},
        "seconds": seconds,
        "best": trial_json(study, study.best) if study.candidates() else None,
        "baseline": baseline_json(study),
    }


def print_summary(study: Study, storage: str, seconds: float) -> None:
    """Prints the result of a run, and what can be done with it."""
    from nasplug.run.hints import never_satisfied

    states = [trial.state for trial in study.trials]
    counts = ", ".join(f"{states.count(s)} {s}" for s in ("complete", "pruned", "failed") if s in states)
    print(f"{plural(len(states), 'trial')} ({counts or 'none'}) in {output.duration(seconds)}")
    if not study.candidates():
        print(f"No trial is complete and feasible. The reasons: {output.command('trials', storage)}")
        hint = never_satisfied(study.trials, study.constraints)
        if hint is not None:
            print(f"Hint: {output.printable(hint)}")
        return
    best = study.best
    shown = {name: best.values[name] for name in (objective.name for objective in study.objectives)}
    for name in ("params", "macs"):
        if name in best.costs:
            shown[name] = best.costs[name]
    print(f"Best {output.titled(best.number, study.label(best))}: {output.values(shown)}")
    if study.baseline is not None and study.baseline.state == "complete":
        values = {name: study.baseline.values[name] for name in shown if name in study.baseline.values}
        label = output.printable(shortened(study.baseline.label))
        print(f"Baseline {label}: {output.values(values)}")
        print(f"The best against the baseline: {output.printable(study.against.said(best))}")
    print(f"Study: {storage}")
    trust = ("--trust",) if asks_for_code(study.meta.get("spec")) else ()
    suggestions = [("trials", storage), ("report", storage), ("export", storage, "--trial", str(best.number), *trust)]
    for label, words in zip(("Next:", "     ", "     "), suggestions, strict=True):
        print(f"{label}  {output.command(*words)}")


def _spec(arguments: argparse.Namespace) -> RunSpec:
    from nasplug.run.spec import read_spec

    path = Path(arguments.spec)
    if is_study(path):
        spec = overridden(stored_spec(path), arguments.set)
    else:
        spec = read_spec(path, arguments.set)
        if spec.run.storage is None:  # a search from the command line always leaves its study
            storage = str(Path("runs") / f"{path.stem}.sqlite")
            spec = spec.replace(run=dataclasses.replace(spec.run, storage=storage))
    extra = tuple(file for file in arguments.plugin if file not in spec.plugins)
    return spec.replace(plugins=spec.plugins + extra)


def is_study(path: Path) -> bool:
    """Whether the file is an SQLite file, whatever its name."""
    if not path.is_file():
        return path.suffix in (".sqlite", ".db")
    with path.open("rb") as file:
        return file.read(15) == b"SQLite format 3"


def _again(arguments: argparse.Namespace) -> str:
    words = [arguments.spec]
    words += [word for item in arguments.set for word in ("--set", item)]
    words += [word for file in arguments.plugin for word in ("--plugin", file)]
    return output.command("run", *words)

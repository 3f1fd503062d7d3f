"""`nasplug ablate`: plans a study, trains it, and prints what was found."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError, StorageError
from nasplug.contract.jsondata import Json

if TYPE_CHECKING:
    from nasplug.cli.parser import Parser
    from nasplug_ablation.plan import Plan
    from nasplug_ablation.report.report import AblationReport
    from nasplug_ablation.study import AblationStudy

#: Exit code of a study whose base has no result.
NO_RESULT = 1


class AblateCommand:
    """Takes parts of a module, its data and its training away, and says what each is worth.

    SPEC is a YAML specification; a study file of an ablation, which is reported, or resumed with --resume; or a file of
    a search, whose best network is ablated (SEARCH.sqlite#12: trial 12).
    """

    executes = True

    def add_arguments(self, parser: Parser) -> None:
        """Adds the options of `nasplug ablate`."""
        parser.add_argument("spec", metavar="SPEC", help="a specification, the file of a study, or that of a search")
        parser.add_argument("--plan", action="store_true", help="print every trial, and train nothing")
        parser.add_argument(
            "--set",
            metavar="KEY=VALUE",
            action="append",
            default=[],
            help="change one value of the specification, for example --set run.workers=4; may be repeated",
        )
        begin = parser.add_mutually_exclusive_group()
        begin.add_argument("--fresh", action="store_true", help="refuse to resume: the study file must not exist yet")
        begin.add_argument("--resume", action="store_true", help="refuse to start anew: the study file must exist")
        parser.add_argument(
            "--retry-failed",
            metavar="KINDS",
            default="",
            help="run trials again that failed, for example crash,timeout",
        )
        parser.add_argument(
            "--out",
            metavar="FILE",
            action="append",
            default=[],
            help="write the report: .md, .csv, .json, .tex, .png, .svg or .pdf; may be repeated",
        )
        parser.add_argument("--json", action="store_true", help="print the plan or the report as JSON on stdout")

    def run(self, arguments: argparse.Namespace) -> int:
        """Plans, trains and reports."""
        from nasplug.cli.app import INTERRUPTED
        from nasplug.cli.run import interrupted

        file, _, number = arguments.spec.partition("#")
        if _is_study(Path(file)):
            found = _of_file(arguments, file, number)
            if not isinstance(found, tuple):
                return _show_report(arguments, found)
            study, storage = found
        else:
            from nasplug_ablation.study import read_study

            study = read_study(arguments.spec, arguments.set)
            storage = str(study.options.get("storage") or Path("runs") / f"{Path(arguments.spec).stem}.sqlite")
        study.plugins += [file for file in arguments.plugin if file not in study.plugins]
        if arguments.plan:
            return _show_plan(arguments, study.plan())
        if arguments.resume and not Path(storage).is_file():
            raise StorageError(
                "there is nothing to resume", where=storage, why="the file does not exist", fix="leave --resume out"
            )
        if arguments.fresh and Path(storage).is_file():
            raise StorageError("this file exists", where=storage, fix="leave --fresh out, or set another run.storage")
        from nasplug.cli.progress import LiveDisplay

        try:
            report = study.run(storage=storage, trackers=[LiveDisplay()], retry_failed=arguments.retry_failed or ())
        except KeyboardInterrupt:
            print(interrupted(storage, f"nasplug ablate {arguments.spec}"), file=sys.stderr)
            return INTERRUPTED
        code = _show_report(arguments, report)
        if not arguments.json:
            print(f"Study: {storage}")
        return code


#: What the catalogue names.
command = AblateCommand()
command.__doc__ = AblateCommand.__doc__


def _is_study(path: Path) -> bool:
    from nasplug.cli.run import is_study

    return is_study(path)


def _of_file(arguments: argparse.Namespace, file: str, number: str) -> AblationReport | tuple[AblationStudy, str]:
    """The report of a study, the rest of it, or a new study of what a search has found."""
    # Unlike a specification, nobody has read a study file.
    import contextlib

    from nasplug.plugins.trust import untrusted
    from nasplug.run.api import load_study
    from nasplug_ablation.report.report import AblationReport
    from nasplug_ablation.strategies.ablator import INFO

    with contextlib.nullcontext() if arguments.trust else untrusted(arguments.plugin):
        loaded = load_study(file, trust=arguments.trust)
        if any(INFO in trial.proposal.info for trial in loaded.trials):
            if arguments.resume or arguments.retry_failed:
                return _rest(arguments, file)
            return AblationReport(loaded)
    if number and not number.isdecimal():
        raise SpecError(f"{number!r} is not the number of a trial", where="SPEC", fix=f"write {file}#12")
    if not arguments.trust:
        from nasplug.plugins.trust import asks_for_code

        if asks_for_code(loaded.meta.get("spec")):
            raise SpecError(
                "the search names code from outside the installed plugins",
                where=file,
                fix="if you know who made the file and trust it, repeat the command with --trust",
            )
    from nasplug_ablation.study import AblationStudy

    study = AblationStudy.of(file, int(number) if number else None)
    from nasplug.run.spec import apply_override

    data: dict[str, Json] = {"run": dict(study.options), "epochs": study.epochs, "seeds": list(study.seeds)}
    for override in arguments.set:
        apply_override(data, override)
    settings = {key: data[key] for key in data if key in ("epochs", "seeds", "run", "strategy", "components")}
    study = AblationStudy.of(file, int(number) if number else None, **settings)
    storage = str(study.options.get("storage") or Path("runs") / f"{Path(file).stem}.ablation.sqlite")
    return study, storage


def _rest(arguments: argparse.Namespace, file: str) -> AblationReport:
    from nasplug.cli.loading import overridden, stored_spec
    from nasplug.cli.progress import LiveDisplay
    from nasplug.run.api import run_spec
    from nasplug_ablation.report.report import AblationReport

    spec = overridden(stored_spec(Path(file)), arguments.set)
    return AblationReport(run_spec(spec, trackers=[LiveDisplay()], retry_failed=arguments.retry_failed or ()))


def _show_plan(arguments: argparse.Namespace, plan: Plan) -> int:
    from nasplug.cli import output

    if arguments.json:
        output.print_json(plan.to_json())
    else:
        print(plan.sentence())
        header, rows = plan.table()
        output.print_table(header, rows, numeric=("params", "MACs"))
    plan.check()
    return 0


def _show_report(arguments: argparse.Namespace, report: AblationReport) -> int:
    from nasplug.cli import output
    from nasplug_ablation.report.report import HEADER

    if arguments.json:
        output.print_json(report.json())
    else:
        print(report.sentence())
        output.print_table(list(HEADER), report.rows(), numeric=("seeds", "difference", "p (Holm)", "more seeds"))
    for path in report.write(*arguments.out):
        print(f"wrote {path}", file=sys.stderr)
    return 0 if report.base else NO_RESULT

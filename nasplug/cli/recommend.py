"""`nasplug recommend`: which network of a study to take, after fresh trainings of the best few if one likes."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from nasplug.cli import output
from nasplug.cli.loading import find_plugins, overridden, read_study, stored_spec
from nasplug.cli.parser import Parser, positive
from nasplug.contract.wording import plural

if TYPE_CHECKING:
    from nasplug.ledger.study import Study
    from nasplug.plugins.catalog import Catalog
    from nasplug.run.recommendation import Recommendation

SUMMARY = "Tell which network of a study to take."


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug recommend`."""
    parser.add_argument("file", metavar="FILE", help="the study file")
    parser.add_argument(
        "--repeats",
        metavar="K",
        type=positive,
        help="train the best networks K more times each, with fresh seeds, and go by the means; resumes",
    )
    parser.add_argument(
        "--top", metavar="N", type=positive, default=5, help="number of networks to train again; default: 5"
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="change one value of the study's specification, for example --set run.workers=4; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print the recommendation as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Trains again if asked to, and prints the network to take."""
    from nasplug.run.recommendation import recommend

    study = read_study(arguments.file, with_space=True)
    catalog = find_plugins(arguments, more=stored_plugins(study)).catalog
    if arguments.repeats:
        _repeat(arguments, study, catalog)
    found = recommend(study, arguments.file, catalog)
    if arguments.json:
        output.print_json({"study": arguments.file, **found.to_json()})
    else:
        _print(study, found, arguments.file)
    return 0


def stored_plugins(study: Study) -> tuple[str, ...]:
    """Plugin files that a study names."""
    from nasplug.ledger.facts import texts_of

    return tuple(texts_of(study.meta.get("spec", {}), "plugins"))


def _repeat(arguments: argparse.Namespace, study: Study, catalog: Catalog) -> None:
    from nasplug.cli.progress import LiveDisplay
    from nasplug.run.alone import alone
    from nasplug.run.api import run_spec
    from nasplug.run.earlier import updated
    from nasplug.run.recommendation import repeat_spec, repeats_file

    storage = repeats_file(arguments.file, arguments.top, arguments.repeats)
    spec = overridden(updated(stored_spec(arguments.file), catalog), arguments.set)
    spec = repeat_spec(study, alone(spec, catalog), arguments.top, arguments.repeats, storage)
    print(f"{plural(spec.budget.trials or 0, 'fresh training')} -> {storage}", file=sys.stderr)
    run_spec(spec, trackers=[LiveDisplay()])


def _print(study: Study, found: Recommendation, file: str) -> None:
    objective = study.objectives[0].name
    print(f"take {output.titled(found.trial.number, study.label(found.trial))}: {found.reason}")
    if found.repeats:
        print()
        rows = [
            [
                str(one.trial),
                output.number(one.mean),
                "" if one.standard_error is None else output.number(one.standard_error),
                output.number(one.measured),
                study.label(study.trial(one.trial)),
            ]
            for one in found.repeats
        ]
        count = len(found.repeats[0].values)
        header = ["trial", f"{objective}, mean of {count}", "standard error", "in the search", "network"]
        output.print_table(header, rows, numeric=header[:4])
        if found.noise is not None:
            print(f"standard deviation of one training: {output.number(found.noise)}")
    elif found.trial.number != found.best.number:
        print(f"the best value measured is that of {output.titled(found.best.number, study.label(found.best))}")
    if len(study.objectives) > 1:
        print(
            f"by the first objective, {objective}; none is better in all than those of {output.command('pareto', file)}"
        )
    elif not found.repeats and not study.meta.get("objects"):
        print(f"to know it better, train the best again: {output.command('recommend', file, '--repeats', '3')}")
    number = found.trial.number
    if study.meta.get("objects"):  # no command can make the objects of somebody's script again
        print(f'export it where it was searched: study.export("best", study.trial({number}))')
    else:
        print(f"export it: {output.command('export', file, '--trial', str(number))}")

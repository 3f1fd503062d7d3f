"""`nasplug pareto`: the trials that no other trial beats in every objective."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from nasplug.cli import output
from nasplug.cli.loading import read_study
from nasplug.cli.parser import Parser, key_value
from nasplug.cli.trials import add_labels, baseline_json, print_trials, trial_json
from nasplug.contract.errors import SpecError, UnknownNameError, did_you_mean
from nasplug.contract.wording import plural

SUMMARY = "Show the best trials of a study and their hypervolume."


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug pareto`."""
    parser.add_argument("file", metavar="FILE", help="the study file")
    parser.add_argument(
        "--reference",
        metavar="NAME=VALUE",
        nargs="+",
        action="extend",
        type=key_value,
        help="reference point of the hypervolume, a value for each objective that every useful trial beats; without "
        "it the worst value of each objective among the trials is taken, which makes studies incomparable",
    )
    add_labels(parser)
    parser.add_argument("--json", action="store_true", help="print the front as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints the front, best first by the first objective, and its hypervolume."""
    study = read_study(arguments.file, with_space=arguments.labels)
    reference = None if arguments.reference is None else dict(arguments.reference)
    names = [objective.name for objective in study.objectives]
    check_reference(reference or {}, names)
    front = study.pareto()
    volume = study.hypervolume(reference)
    if arguments.json:
        output.print_json(
            {
                "file": arguments.file,
                "objectives": study.meta["objectives"],
                "constraints": study.meta["constraints"],
                "hypervolume": volume,
                "reference": reference,
                "baseline": baseline_json(study),
                "front": [trial_json(study, trial) for trial in front],
            }
        )
        return 0
    if not front:
        print(f"{plural(len(study.trials), 'finished trial')}, none of them complete and feasible")
        return 0
    print_trials(study, front, baseline=study.baseline)
    against = "the worst values found" if reference is None else output.values(reference)
    size = plural(len(study.candidates()), "feasible trial")
    print(f"{len(front)} of {size}; hypervolume {volume:.6g} against {against}")
    return 0


def check_reference(reference: Mapping[str, object], names: Sequence[str]) -> None:
    """Refuses a reference point with other names than those of objectives, or without numbers."""
    for name, value in reference.items():
        if name not in names:
            raise UnknownNameError(f"{name!r} is not an objective", where="--reference", fix=did_you_mean(name, names))
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise SpecError(f"expected a number for {name}, got {value!r}", where="--reference")

"""`nasplug export`: a found network leaves its study."""

from __future__ import annotations

import argparse
from pathlib import Path

from nasplug.cli import output
from nasplug.cli.loading import find_plugins, open_study, pick_trial
from nasplug.cli.parser import Parser, natural
from nasplug.ledger.artifacts import beside

SUMMARY = "Write a found network to files: weights, architecture, ONNX."


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug export`."""
    parser.add_argument("file", metavar="FILE", help="the study file")
    parser.add_argument("--trial", metavar="N", type=natural, help="number of the trial; default: the recommended one")
    parser.add_argument("--out", metavar="DIR", help="the folder to write; default: FILE without its ending, -trial-N")
    parser.add_argument(
        "--format",
        metavar="NAME",
        action="append",
        default=[],
        help="format to write: bundle (the default), onnx, program, folder, model_card, monai_bundle, or that of a "
        "plugin; may be repeated",
    )
    parser.add_argument("--onnx", metavar="PATH", help="write the network as ONNX too, checked with onnxruntime")
    parser.add_argument(
        "--bare",
        action="store_true",
        help="write the file of --onnx without the preprocessing of pixels inside",
    )
    parser.add_argument("--json", action="store_true", help="print the paths as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Writes the files and prints their paths."""
    from nasplug.export.exporter import Found
    from nasplug.export.write import exporters_of, write

    catalog = find_plugins(arguments).catalog
    exporters = exporters_of(arguments.format or ["bundle"], catalog, where="--format")
    study, _ = open_study(arguments.file, arguments)
    trial = pick_trial(study, arguments.trial, arguments.file, catalog)
    found = Found.of(study, trial)
    out = Path(arguments.out) if arguments.out else beside(arguments.file, f"-trial-{trial.number}")
    written = {kind: str(path) for kind, path in write(found, exporters, out).items()}
    difference = None
    if arguments.onnx:
        from nasplug.export.onnx import write_found

        difference = write_found(found, arguments.onnx, raw=not arguments.bare)
        written["onnx"] = arguments.onnx
    if arguments.json:
        named = {"trial": trial.number, "label": study.label(trial)}
        output.print_json({**named, **written, "onnx_difference": difference})
        return 0
    print(output.titled(trial.number, study.label(trial)))
    for kind, file in written.items():
        print(f"{kind:12}  {file}")
    if difference is not None:
        print(f"the ONNX network agrees with the trained one up to {difference:.1e} of the largest output")
    return 0

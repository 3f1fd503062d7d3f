"""`nasplug predict`: an exported network looks at images, tables, arrays or volumes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.cli import output
from nasplug.cli.parser import Parser

if TYPE_CHECKING:
    from nasplug.export.segmenter import Segmenter

SUMMARY = "Show images, tables, arrays or volumes to an exported network."


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug predict`."""
    parser.add_argument("network", metavar="NETWORK", help="output of `nasplug export`: a folder, .onnx or .pt2 file")
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="image, table, array or NIfTI files, or folders of them"
    )
    parser.add_argument(
        "--out", metavar="DIR", default="masks", help="folder for the masks of a network that segments; default: masks"
    )
    parser.add_argument("--json", action="store_true", help="print the answers as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints a line for every image, and for every row of a table."""
    from nasplug.export.predictor import data_files, open_network
    from nasplug.export.segmenter import Segmenter
    from nasplug.plugins.trust import trusted

    predictor = open_network(Path(arguments.network), trust=trusted())
    files = data_files(map(Path, arguments.files), predictor.way.suffixes)
    if isinstance(predictor, Segmenter):
        return _segment(predictor, files, arguments)
    predictions = predictor.predict(files)
    if arguments.json:
        output.print_json([prediction.to_json() for prediction in predictions])
        return 0
    for prediction in predictions:
        if prediction.answers == "values":
            said = "  ".join(f"{name} {value:.6g}" for name, value in prediction.scores.items())
        else:
            said = "  ".join(f"{name} {prediction.scores[name]:.1%}" for name in prediction.names) or "none"
        row = "" if prediction.row is None else f":{prediction.row}"
        print(f"{output.printable(str(prediction.file))}{row}  {output.printable(said)}")
    return 0


def _segment(segmenter: Segmenter, files: list[Path], arguments: argparse.Namespace) -> int:
    masks = segmenter.predict(files, Path(arguments.out))
    if arguments.json:
        output.print_json([mask.to_json() for mask in masks])
        return 0
    for mask in masks:
        unit = "mm³" if mask.mask.name.endswith(".nii.gz") else "pixels"
        said = "  ".join(f"{name} {volume:.6g} {unit}" for name, volume in mask.volumes.items())
        print(f"{output.printable(str(mask.file))}  {output.printable(said)}  {output.printable(str(mask.mask))}")
    return 0

"""`nasplug predict`: an exported network looks at images, tables or arrays."""

from __future__ import annotations

import argparse
from pathlib import Path

from nasplug.cli import output
from nasplug.cli.parser import Parser

SUMMARY = "Show images, tables or arrays to an exported network."


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug predict`."""
    parser.add_argument("network", metavar="NETWORK", help="output of `nasplug export`: a folder, .onnx or .pt2 file")
    parser.add_argument("files", metavar="FILE", nargs="+", help="image, table or array files, or folders of them")
    parser.add_argument("--json", action="store_true", help="print the answers as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints a line for every image, and for every row of a table."""
    from nasplug.export.predictor import data_files, open_network
    from nasplug.plugins.trust import trusted

    predictor = open_network(Path(arguments.network), trust=trusted())
    predictions = predictor.predict(data_files(map(Path, arguments.files), predictor.way.suffixes))
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

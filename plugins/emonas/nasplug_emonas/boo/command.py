"""The command `nasplug boo`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from nasplug.cli import output
from nasplug.run.api import load_study
from nasplug_emonas.boo.correlation import Correlation, boo_correlation


class BooCommand:
    """Tells whether the one bits of a study's networks say more than how many weights they have.

    For every format: the correlation of the ones with the number of counted weights and with the parameters (weights,
    biases and batch normalisation) over all trials, and the smallest and the largest number of ones per weight. Where
    the rank correlation with the weights is 0.99 or more, or no two networks differ by more than 5 per cent in ones per
    weight, a search for few ones is a search for few weights.
    """

    @staticmethod
    def add_arguments(parser: Any) -> None:
        """Adds the arguments of `nasplug boo`."""
        parser.add_argument("file", metavar="FILE", help="the study file")
        parser.add_argument(
            "--format",
            dest="formats",
            metavar="FORMAT",
            nargs="+",
            action="extend",
            default=[],
            help="count the kept weights in these formats too: float32, float16, bfloat16, int8, Q0.7, "
            "int8/sign_magnitude and so on",
        )
        parser.add_argument("--json", action="store_true", help="print the numbers as JSON")

    @staticmethod
    def run(arguments: argparse.Namespace) -> int:
        """Prints a line per format, and what it means."""
        found = boo_correlation(load_study(arguments.file), arguments.formats)
        if arguments.json:
            output.print_json([{**asdict(one), "counts_weights": one.counts_weights} for one in found])
            return 0
        columns = ("format", "trials", "Spearman, weights", "Pearson, weights", "Spearman, params", "ones per weight")
        output.print_table(columns, [_row(one) for one in found], numeric=columns[1:])
        for one in found:
            meaning = "BOO is a count of weights here" if one.counts_weights else "BOO says something of its own"
            print(f"{one.format}: {meaning} (ones per weight differ by up to {100 * one.spread:.1f} per cent)")
        return 0


def _row(one: Correlation) -> tuple[str, ...]:
    spread = f"{one.lowest:.3f} to {one.highest:.3f}"
    numbers = (one.spearman, one.pearson, one.spearman_params)
    return (one.format, str(one.trials), *(f"{number:.4f}" for number in numbers), spread)

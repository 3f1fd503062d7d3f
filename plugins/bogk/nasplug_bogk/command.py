"""`nasplug motifs`: which parts of an architecture go along with good results."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from nasplug.cli import output
from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural


class MotifsCommand:
    """Show which operations and neighbourhoods help in a study."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options of `nasplug motifs`."""
        parser.add_argument("file", metavar="FILE", help="the study file")
        parser.add_argument("--rounds", type=int, default=1, help="radius of a motif; default 1: the neighbours")
        parser.add_argument("--least", type=int, default=3, help="leave out motifs of fewer trials; default 3")
        parser.add_argument("--top", type=int, default=8, help="number of either kind; default 8")
        parser.add_argument("--plot", metavar="PICTURE", help="draw them into this file, e.g. motifs.svg")
        parser.add_argument("--json", action="store_true", help="print all motifs as JSON")

    def run(self, arguments: argparse.Namespace) -> int:
        """Prints the most helpful and the most harmful motifs."""
        import nasplug
        from nasplug_bogk.motifs import draw, motifs

        if arguments.rounds < 0 or arguments.top < 1:
            raise SpecError("rounds start at 0 and top at 1", where="nasplug motifs")
        found = motifs(nasplug.load_study(arguments.file), arguments.rounds, arguments.least)
        if arguments.plot:
            draw(found, arguments.plot, arguments.top)
        if arguments.json:
            output.print_json([asdict(motif) for motif in found])
            return 0
        if not found:
            print(f"no motif occurs in {arguments.least} or more trials")
            return 0
        helpful = [motif for motif in found if motif.effect > 0][: arguments.top]
        harmful = [motif for motif in found[::-1] if motif.effect <= 0][: arguments.top]
        for title, some in (("helps", helpful), ("harms", harmful)):
            for motif in some:
                size = plural(motif.trials, "trial")
                print(f"{title}  {motif.effect:+.3f} ± {motif.spread:.3f}  {size:>11}  {motif.text}")
        return 0


command = MotifsCommand()

"""`nasplug bench`: strategies side by side on a table of results."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

from nasplug.cli import output
from nasplug.cli.loading import find_plugins
from nasplug.cli.parser import Parser, natural, positive
from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural
from nasplug.optional import require

#: The person names spaces and strategies to run.
executes = True
#: Seconds between lines of progress.
_EVERY = 10.0
SUMMARY = "Compare strategies on a table of results: regret curves over many seeds."


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug bench`."""
    parser.add_argument(
        "space",
        metavar="SPACE",
        nargs="?",
        help="space of the table: a slug, or YAML such as '{mine: {size: 3}}'; default: what the table says",
    )
    parser.add_argument("--table", metavar="FILE", required=True, help="Parquet file with results")
    parser.add_argument(
        "--strategy",
        metavar="[LABEL=]NAME",
        action="append",
        default=[],
        help="a strategy: a slug, or YAML such as 'wl={bogk: {kernel: wl}}'; may be repeated",
    )
    parser.add_argument("--queries", metavar="N", type=positive, default=150, help="trials per run (150)")
    parser.add_argument("--seeds", metavar="N", type=positive, default=20, help="runs per strategy (20)")
    parser.add_argument("--first-seed", metavar="N", type=natural, default=0, help="seed of the first run (0)")
    parser.add_argument(
        "--objective", metavar="METRIC", help="metric that the searches see; default: a validation metric"
    )
    parser.add_argument("--test", metavar="METRIC", help="metric that counts in the end; default: a test metric")
    parser.add_argument(
        "--convention",
        metavar="NAME",
        default="incumbent_test",
        help="convention of the curves: incumbent_test (default), validation or best_test",
    )
    parser.add_argument(
        "--noise", metavar="KIND", default="draw", help="draw one training run per query (default), or mean of them"
    )
    parser.add_argument("--batch", metavar="B", type=positive, default=1, help="queries in flight (1)")
    parser.add_argument(
        "--clock", action="store_true", help="answer the queries in flight in the order of simulated training times"
    )
    parser.add_argument("--workers", metavar="N", type=positive, help="processes; default: one per core")
    parser.add_argument("--no-baselines", action="store_true", help="leave out random search and regularized evolution")
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        help="folder for regret.json, regret.png and every run as it ends; a comparison goes on from there",
    )
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs the comparison, prints its table, writes its files."""
    catalog = find_plugins(arguments).catalog
    from nasplug.plugins.component import Component, instantiate
    from nasplug_tables.bench import Rules, compare

    space: Any = None
    if arguments.space is not None:
        given = Component.parse(_plain(arguments.space), where="space")
        space = instantiate("space", given, catalog, where="space")
    named: dict[str, Any] = {}
    for text in arguments.strategy:
        label, component = _strategy(text)
        catalog.get("strategy", component.name)  # refuse before anything runs
        if label in named:
            raise SpecError(f"two strategies are called {label!r}", where="--strategy", fix="label them: LABEL=NAME")
        named[label] = component
    _check_libraries(arguments)
    with _Progress() as progress:
        found = compare(
            arguments.table,
            named,
            space=space,
            queries=arguments.queries,
            seeds=range(arguments.first_seed, arguments.first_seed + arguments.seeds),
            rules=Rules(
                objective=arguments.objective,
                test=arguments.test,
                convention=arguments.convention,
                noise=arguments.noise,
                batch=arguments.batch,
                clock=arguments.clock,
            ),
            workers=arguments.workers or os.cpu_count() or 1,
            baselines=not arguments.no_baselines,
            plugins=arguments.plugin,
            progress=progress,
            keep=Path(arguments.out) / "runs" if arguments.out else None,
        )
    if arguments.json:
        output.print_json(found.to_json())
    else:
        settings = found.settings
        print(
            f"regret in {settings['unit']} to {settings['optimum']:.6g} ({settings['convention']} of "
            f"{settings['test']}), mean and standard error of {plural(len(settings['seeds']), 'seed')}"
        )
        if settings["convention"] != "best_test":
            print(f"floor: a perfect search by {settings['objective']} ends with {settings['floor']:.3f}")
        header, rows = found.table()
        output.print_table(header, rows, numeric=header[1:])
    if arguments.out:
        from nasplug_tables.bench.plot import draw

        folder = Path(arguments.out)
        paths = [found.write(folder / "regret.json"), draw(found, folder)]
        print(f"wrote {', '.join(map(str, paths))}", file=sys.stderr)
    return 0


def _check_libraries(arguments: argparse.Namespace) -> None:
    """Asks for what the end needs before minutes of searching."""
    bench = {"extra": "bench", "distribution": "nasplug-tables"}
    if not (arguments.json or arguments.no_baselines):
        require("scipy", purpose="test for significance", **bench)
    if arguments.out:
        require("matplotlib", purpose="draw curves", **bench)


def _strategy(text: str) -> tuple[str, Any]:
    from nasplug.plugins.component import Component

    label, equals, rest = text.partition("=")
    if equals and not label.strip().startswith("{"):
        return label.strip(), Component.parse(_plain(rest), where="--strategy")
    component = Component.parse(_plain(text), where="--strategy")
    return component.name, component


def _plain(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpecError(
            f"cannot read {text!r}",
            why=" ".join(str(error).split()),
            fix="write a name, or YAML such as '{bogk: {kernel: wl}}'",
        ) from error


class _Progress:
    """A bar on stderr in a terminal, a line now and then elsewhere."""

    def __enter__(self) -> Any:
        if not sys.stderr.isatty():
            return self._lines()
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._bar.start()
        self._task = self._bar.add_task("runs", total=None)

        def show(done: int, total: int, label: str) -> None:
            self._bar.update(self._task, completed=done, total=total, description=label)

        return show

    @staticmethod
    def _lines() -> Any:
        shown = time.monotonic()

        def show(done: int, total: int, label: str) -> None:
            nonlocal shown
            if time.monotonic() - shown >= _EVERY:
                shown = time.monotonic()
                print(f"{done} of {plural(total, 'run')}", file=sys.stderr, flush=True)

        return show

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "_bar"):
            self._bar.stop()

"""`nasplug watch`: the report of a running search, live in a browser on this machine."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.cli.parser import Parser, natural
from nasplug.cli.report import open_with

if TYPE_CHECKING:
    from nasplug.ledger.study import Study

SUMMARY = "Serve a study's report on this machine, and follow the search that writes it."


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug watch`."""
    parser.add_argument(
        "file", metavar="FILE", nargs="+", help="the study file, or several to compare; need not exist yet"
    )
    parser.add_argument("--port", metavar="N", type=natural, default=0, help="port to listen on; default: a free one")
    parser.add_argument("--open", action="store_true", help="open the page in the default browser")


def run(arguments: argparse.Namespace) -> int:
    """Serves until Ctrl-C."""
    from nasplug.optional import require
    from nasplug.report.watch import Server, Watched

    require("matplotlib", extra="report", purpose="draw networks")
    require("jinja2", extra="report", purpose="make the page")

    def load(path: Path) -> Study:
        return open_with(arguments, str(path))

    server = Server(Watched([Path(file) for file in arguments.file], load), arguments.port)
    server.start()
    missing = [file for file in arguments.file if not Path(file).exists()]
    print(f"watching {', '.join(arguments.file)} at {server.url}", flush=True)
    if missing:
        print(f"waiting for {', '.join(missing)}", flush=True)
    print("Ctrl-C ends it; the search goes on", flush=True)
    try:
        if arguments.open:
            import webbrowser

            webbrowser.open(server.url)
        threading.Event().wait()
    except KeyboardInterrupt:
        print("\nno longer watching", flush=True)
    finally:
        server.close()
    return 0

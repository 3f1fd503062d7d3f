"""Run the conformance tests on everything that an installed plugin announces.

Example:
  nasplug test-plugin annealing
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from pathlib import Path

from nasplug.cli.loading import find_plugins
from nasplug.cli.parser import Parser
from nasplug.contract.errors import PluginImportError
from nasplug.optional import available, require

SUMMARY = "Run the conformance tests on an installed plugin."

#: What an announcing module may take to import, in milliseconds; more is reported, not failed, as machines differ.
ALLOWED_MS = 50.0


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug test-plugin`."""
    parser.add_argument("name", metavar="NAME", help="entry point or distribution of the plugin, or `builtin`")
    parser.add_argument("-k", metavar="EXPRESSION", dest="select", help="only tests whose names match, as for pytest")
    parser.add_argument("-x", "--exit-first", action="store_true", help="stop at the first failure")


def run(arguments: argparse.Namespace) -> int:
    """Tests the plugin; 0 if all is well, 1 if a test fails.

    Raises:
        MissingExtraError: pytest or hypothesis is not installed.
        UnknownNameError: No such plugin is installed.
        PluginImportError: The plugin does not load at all.
    """
    for library in ("pytest", "hypothesis"):
        if not available(library):  # pytest wants to be the one that imports hypothesis
            require(library, extra="testing", purpose="test a plugin")
    from nasplug.testing.installed import announcement, entries_of, find_plugin

    found = find_plugins(arguments)
    plugin = find_plugin(arguments.name, found)
    if plugin.error is not None:
        raise PluginImportError(
            "does not load", where=f"plugin {plugin.name!r} ({plugin.distribution})", why=plugin.error
        )
    print(f"{plugin.name}: {plugin.distribution}")
    for entry in entries_of(plugin, found):
        print(f"  {entry.kind} {entry.name}: {entry.summary}")
    if not plugin.distribution.startswith("file "):
        milliseconds = announcement(plugin.module).milliseconds
        verdict = "" if milliseconds < ALLOWED_MS else f", more than the {ALLOWED_MS:.0f} ms it should"
        print(f"  announcing takes {milliseconds:.0f} ms{verdict}")
    return _pytest(arguments)


def _pytest(arguments: argparse.Namespace) -> int:
    """Runs pytest on a two-line test file, away from any configuration of the current folder."""
    import pytest

    with tempfile.TemporaryDirectory(prefix="nasplug-test-") as folder:
        os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(folder) / "hypothesis"))
        test = Path(folder) / "test_conformance.py"
        files = [str(Path(file).resolve()) for file in arguments.plugin]
        test.write_text(
            f"from nasplug.testing.installed import suites\nglobals().update(suites({arguments.name!r}, {files!r}))\n",
            encoding="utf-8",
        )
        settings = Path(folder) / "pytest.ini"
        settings.write_text("[pytest]\n", encoding="utf-8")
        words = ["-c", str(settings), "--rootdir", folder, "-p", "no:cacheprovider", "--import-mode=importlib"]
        words += ["-v", "--no-header", "--tb=short", "-rs"]
        words += ["-k", arguments.select] if arguments.select else []
        words += ["-x"] if arguments.exit_first else []
        with contextlib.chdir(folder):  # names of tests are printed relative to the current folder
            code = int(pytest.main([*words, test.name]))
    return 0 if code == 0 else 1

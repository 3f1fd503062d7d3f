"""Run the conformance tests on everything that an installed plugin announces.

Example:
  nasplug test-plugin annealing
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.cli.loading import find_plugins
from nasplug.cli.parser import Parser
from nasplug.contract.errors import PluginImportError, SpecError
from nasplug.contract.wording import plural
from nasplug.files import complete_file
from nasplug.optional import available, require

if TYPE_CHECKING:
    import pytest

SUMMARY = "Run the conformance tests on an installed plugin."

#: What an announcing module may take to import, in milliseconds; more is reported, not failed, as machines differ.
ALLOWED_MS = 50.0


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug test-plugin`."""
    parser.add_argument("name", metavar="NAME", help="entry point or distribution of the plugin, or `builtin`")
    parser.add_argument("-k", metavar="EXPRESSION", dest="select", help="only tests whose names match, as for pytest")
    parser.add_argument("-x", "--exit-first", action="store_true", help="stop at the first failure")
    parser.add_argument(
        "--badge", metavar="FILE.svg", help="write a badge with the outcome, for the README of the package"
    )


def run(arguments: argparse.Namespace) -> int:
    """Tests the plugin; 0 if all is well, 1 if a test fails.

    Raises:
        MissingExtraError: pytest or hypothesis is not installed.
        SpecError: A badge is asked for, but not all tests are.
        UnknownNameError: No such plugin is installed.
        PluginImportError: The plugin does not load at all.
    """
    if arguments.badge and (arguments.select or arguments.exit_first):
        raise SpecError(
            "a badge speaks for all tests", where="--badge", why="-k and -x leave some out", fix="run it without them"
        )
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
    counts = _Counts()
    code = _pytest(arguments, counts)
    if arguments.badge:
        _write_badge(Path(arguments.badge), counts, code)
    return code


class _Counts:
    """A plugin of pytest that counts how tests ended."""

    passed = failed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """See pytest: one report for each phase of a test."""
        self.failed += report.failed
        self.passed += report.passed and report.when == "call"


def _write_badge(path: Path, counts: _Counts, code: int) -> None:
    from nasplug.contract.hookspecs import CONTRACT_VERSION
    from nasplug.testing.badge import badge

    message = f"contract {CONTRACT_VERSION}: {counts.passed:,} passed"
    if code:
        message = f"contract {CONTRACT_VERSION}: {plural(counts.failed, 'test')} failed"
    with complete_file(path, "the badge") as temporary:
        temporary.write_text(badge("nasplug conformance", message, "bad" if code else "good"), encoding="utf-8")
    print(f"badge: {path}")


def _pytest(arguments: argparse.Namespace, counts: _Counts) -> int:
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
        sys.modules.pop(test.stem, None)  # that of another plugin, which this process tested before
        with contextlib.chdir(folder):  # names of tests are printed relative to the current folder
            code = int(pytest.main([*words, test.name], plugins=[counts]))
    return 0 if code == 0 else 1

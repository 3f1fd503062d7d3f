"""The door of the command line: finds the command, parses its arguments, and turns errors into messages.

Only the chosen command's module is imported, so that `nasplug --help` and `nasplug plugins` answer at once. The parser
is argparse: importing jsonargparse takes longer than everything else these two commands do. Typed configuration is
checked with jsonargparse where components are built, see `nasplug.plugins.component`.

Exit codes: 0 done, 1 a search without any result, 2 bad input, 3 a broken environment or file, 130 interrupted,
143 ended by SIGTERM.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from nasplug.cli.parser import Parser
from nasplug.contract.errors import NasplugError, PluginError, UnknownNameError, did_you_mean
from nasplug.plugins.trust import untrusted

INTERRUPTED = 130
TERMINATED = 143

#: Name of a command, the module that has it, and its line in `nasplug --help`.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("nasplug.cli.demo", "search networks for handwritten digits: a complete example in three minutes"),
    "auto": ("nasplug.cli.auto", "find a network for data: looks, plans, searches, tests, explains"),
    "run": ("nasplug.cli.run", "run a search from a specification, or resume it"),
    "trials": ("nasplug.cli.trials", "list the trials of a study"),
    "pareto": ("nasplug.cli.pareto", "show the best trials of a study and their hypervolume"),
    "recommend": ("nasplug.cli.recommend", "tell which network of a study to take; train the best again to be sure"),
    "compare": ("nasplug.cli.compare", "show several studies side by side"),
    "report": ("nasplug.cli.report", "write a study's report: one HTML page"),
    "watch": ("nasplug.cli.watch", "serve a study's report on this machine while the search runs"),
    "export": ("nasplug.cli.export", "write a found network to files: weights, architecture, ONNX"),
    "predict": ("nasplug.cli.predict", "show images, tables or arrays to an exported network"),
    "retrain": ("nasplug.cli.retrain", "train a found network fully, and test it once"),
    "copy": ("nasplug.cli.copy", "copy a study with its weights; converts older formats"),
    "verify": ("nasplug.cli.verify", "check a study: rows, weights, missing and orphaned files"),
    "clean": ("nasplug.cli.clean", "delete files of a study that belong to nothing any more"),
    "cost": ("nasplug.cli.cost", "price a network: parameters, operations, hardware targets"),
    "fingerprint": ("nasplug.cli.fingerprint", "measure a data set of volumes, and propose patch, depth and batch"),
    "list": ("nasplug.cli.list", "list components that specifications can name, or explain one"),
    "plugins": ("nasplug.cli.plugins", "list installed plugins, and those that failed to load"),
    "doctor": ("nasplug.cli.doctor", "check the installation, with a remedy for every problem"),
    "new-plugin": ("nasplug.cli.new_plugin", "make a new plugin package that works at once"),
    "test-plugin": ("nasplug.cli.test_plugin", "run the conformance tests on an installed plugin"),
}


#: Commands of the core that run what the person names. All others read a file, which may come from a stranger; those of
#: plugins say it by `executes = True`.
RUNNING = frozenset({"auto", "demo", "run", "test-plugin"})


@runtime_checkable
class Command(Protocol):
    """What a command's module has; commands of plugins are objects with the two methods.

    A command of a plugin that runs what the person names, such as a specification, has the attribute `executes = True`.
    Class paths are refused to all others unless the person adds `--trust`.
    """

    def add_arguments(self, parser: Parser) -> None:
        """Adds options and arguments."""

    def run(self, arguments: object) -> int:
        """Does the work and returns the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: Words after `nasplug`; None takes them from the process.

    Returns:
        The exit code.
    """
    from nasplug.run.interruption import ended_politely

    words = list(sys.argv[1:] if argv is None else argv)
    _tolerate_any_encoding()
    with ended_politely() as terminated:
        code = _run(words)
    return TERMINATED if terminated.happened and code == INTERRUPTED else code


def _run(words: list[str]) -> int:
    """Runs one command, and turns errors into messages and exit codes."""
    try:
        with _current_folder_importable():
            return _dispatch(words)
    except NasplugError as error:
        return _complain(error, debug="--debug" in words)
    except KeyboardInterrupt:
        print("\nnasplug: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `nasplug trials | head`: the reader has enough
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        problem = NasplugError(
            error.strerror or str(error), where=_filename(error), fix="check the path and its rights"
        )
        problem.exit_code = 3
        return _complain(problem, debug="--debug" in words)
    except SystemExit as error:  # argparse after --help
        return error.code if isinstance(error.code, int) else 0


def _dispatch(words: list[str]) -> int:
    before, name, after = _split(words)
    if name is None:
        return _without_command(before)
    # Read first, as a plugin's command is found only in its file, and as sub-parsers know nothing of these options.
    shared = Parser(prog=f"nasplug {name}", add_help=False)
    _add_global(shared)
    known, rest = shared.parse_known_args([*before, *after])
    command = _find(name, known.plugin)
    parser = Parser(prog=f"nasplug {name}", description=_description(name, command))
    _add_global(parser)
    command.add_arguments(parser)
    arguments = parser.parse_args(rest, known)
    executes = name in RUNNING if name in COMMANDS else getattr(command, "executes", False) is True
    if arguments.trust or executes:
        return command.run(arguments)
    with untrusted(arguments.plugin):
        return command.run(arguments)


def _split(words: list[str]) -> tuple[list[str], str | None, list[str]]:
    """Global options, the command, and the words after it."""
    position = 0
    while position < len(words) and words[position].startswith("-"):
        position += 2 if words[position] == "--plugin" else 1
    if position >= len(words):
        return words, None, []
    return words[:position], words[position], words[position + 1 :]


def _find(name: str, files: list[str]) -> Command:
    """The command of that name; those of the core win over those of plugins."""
    if name in COMMANDS:
        module: Command = importlib.import_module(COMMANDS[name][0])
        return module
    from nasplug.plugins.discovery import discover

    catalog = discover(files).catalog
    if not catalog.has("command", name):
        from nasplug.plugins.packages import missing

        why, fix = missing(catalog, name, "command")
        raise UnknownNameError(
            f"there is no command {name!r}",
            why=why,
            fix=fix or did_you_mean(name, [*COMMANDS, *catalog.names("command")]),
        )
    entry = catalog.get("command", name)
    command: object = entry.load()
    if not isinstance(command, Command):
        raise PluginError(
            "a command has the methods `add_arguments` and `run`", where=f"command {name!r} of {entry.distribution}"
        )
    return command


def _description(name: str, command: Command) -> str:
    text = command.__doc__ or COMMANDS.get(name, ("", ""))[1]
    return inspect.cleandoc(text)


def _add_global(parser: Parser) -> None:
    options = parser.add_argument_group("options of every command")
    options.add_argument(
        "--plugin",
        metavar="FILE",
        action="append",
        default=[],
        help="load one Python file as a plugin, beside the installed ones; may be repeated",
    )
    options.add_argument(
        "--trust", action="store_true", help="let the file that is read name code from outside the installed plugins"
    )
    options.add_argument("--debug", action="store_true", help="show the traceback of an error")


def _without_command(words: list[str]) -> int:
    parser = Parser(prog="nasplug", add_help=False)
    _add_global(parser)
    parser.add_argument("--version", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    arguments = parser.parse_args(words)
    if arguments.version:
        from nasplug.plugins.discovery import version

        print(f"nasplug {version()}")
    else:
        print(_help(arguments.plugin))
    return 0


def _help(files: list[str]) -> str:
    from nasplug.plugins.discovery import discover

    rows = [(name, summary) for name, (_, summary) in COMMANDS.items()]
    found = discover(files).catalog.entries("command")
    width = max(len(name) for name in [*COMMANDS, *(entry.name for entry in found)])
    lines = [
        "usage: nasplug [--plugin FILE] [--debug] [--version] COMMAND ...",
        "",
        "Neural architecture search from plugins, on the training stack you already have.",
        "",
        "commands:",
        *(f"  {name:{width}}  {summary}" for name, summary in rows),
    ]
    if found:
        lines += ["", "commands of plugins:"]
        lines += [f"  {entry.name:{width}}  {entry.summary} ({entry.distribution})" for entry in found]
    lines += [
        "",
        "options:",
        "  --plugin FILE  load one Python file as a plugin, beside the installed ones; may be repeated",
        "  --trust        let the file that is read name code from outside the installed plugins",
        "  --debug        show the traceback of an error",
        "  --version      print the version",
        "  -h, --help     print this; `nasplug COMMAND --help` explains a command",
        "",
        "NASPLUG_PLUGINS=a,b loads only these installed plugins. Start with `nasplug demo`.",
    ]
    return "\n".join(lines)


def _complain(error: NasplugError, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    elif sys.stderr.isatty():
        from nasplug.cli.output import print_error

        print_error(error)
    else:
        from nasplug.cli.output import printable

        print(f"nasplug: error: {printable(str(error))}", file=sys.stderr)
    return error.exit_code


def _filename(error: OSError) -> str | None:
    return None if error.filename is None else str(error.filename)


def _tolerate_any_encoding() -> None:
    """Terminals that cannot show a character show a question mark instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            with contextlib.suppress(OSError, ValueError):
                reconfigure(errors="replace")


@contextlib.contextmanager
def _current_folder_importable() -> Iterator[None]:
    """Lets a specification name classes of modules in the current folder, after everything that is installed."""
    here = str(Path.cwd())
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.append(here)
    try:
        yield
    finally:
        if added and here in sys.path:
            sys.path.remove(here)

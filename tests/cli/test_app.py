"""The door: finding commands, errors without tracebacks, exit codes, light imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nasplug.cli import COMMANDS, app
from nasplug.contract.errors import NasplugError

TINY = Path(__file__).parent / "tiny_plugin.py"


def python(code, *words, **options):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, timeout=60, **options
    )


@pytest.mark.parametrize("words", [["--help"], ["plugins"], ["--version"]])
def test_answers_load_neither_torch_nor_numpy(words):
    done = python(
        "import sys; from nasplug.cli import main; code = main(sys.argv[1:])\n"
        "heavy = {'torch', 'numpy', 'jsonargparse', 'rich', 'pytorch_lightning'} & set(sys.modules)\n"
        "sys.exit(code or (f'{heavy} was loaded' if heavy else 0))",
        *words,
    )
    assert done.returncode == 0, done.stderr
    assert "nasplug" in done.stdout


def test_help_names_every_command(cli):
    done = cli("--help")
    assert done.code == 0
    for name, (_, summary) in COMMANDS.items():
        assert f"  {name} " in done.out
        assert summary in done.out
    assert cli().out == done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(cli, name):
    done = cli(name, "--help")
    assert done.code == 0
    assert done.out.startswith(f"usage: nasplug {name}")
    assert "--plugin" in done.out


def test_an_unknown_command_gets_the_nearest_one(cli):
    done = cli("trails")
    assert done.code == 2
    assert "there is no command 'trails'" in done.err
    assert "did you mean 'trials'?" in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def test_an_unknown_option_gets_the_nearest_one(cli, study):
    done = cli("trials", study, "--satte=failed")
    assert done.code == 2
    assert "unknown argument '--satte'" in done.err
    assert "did you mean '--state'?" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trials"], "the following arguments are required: FILE"),
        (["trials", "x", "--limit", "0"], "expected a positive integer, got '0'"),
        (["cost", "timm:x", "--input", "3,4"], "is not an input, such as 3x224x224"),
        (["pareto", "x", "--reference", "height"], "'height' is not NAME=VALUE"),
        (["--plugin"], "expected one argument"),
    ],
)
def test_bad_words_are_refused(cli, words, message):
    done = cli(*words)
    assert done.code == 2
    assert message in done.err


def test_plugin_commands_with_subcommands(cli):
    assert "greet" in cli("--plugin", TINY, "--help").out
    done = cli("--plugin", TINY, "greet", "world", "--loud")
    assert (done.code, done.out) == (0, "HELLO WORLD\n")
    assert cli("greet", "world", "--plugin", TINY).out == "hello world\n"
    assert "Says hello." in cli("greet", "--help", "--plugin", TINY).out
    wrong = cli("--plugin", TINY, "greet", "word")
    assert wrong.code == 2
    assert "invalid choice: 'word'" in wrong.err


TWO_COMMANDS = """
import nasplug as nas
from nasplug.plugins.trust import trusted


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    catalog.command("reads", f"{__name__}:Reads")
    catalog.command("executes", f"{__name__}:Executes")


class Reads:
    @staticmethod
    def add_arguments(parser):
        pass

    @staticmethod
    def run(arguments):
        print(trusted())
        return 0


class Executes(Reads):
    executes = True
"""


def test_only_plugin_commands_that_say_so_run_what_a_person_names(cli, tmp_path):
    file = tmp_path / "two_commands.py"
    file.write_text(TWO_COMMANDS, encoding="utf-8")
    assert cli("--plugin", str(file), "reads").out.strip() == "False"
    assert cli("--plugin", str(file), "reads", "--trust").out.strip() == "True"
    assert cli("--plugin", str(file), "executes").out.strip() == "True"


def test_a_broken_plugin_file_is_named(cli, tmp_path):
    (tmp_path / "broken.py").write_text("import nothing_like_this")
    done = cli("--plugin", "broken.py", "plugins")
    assert done.code == 3
    assert "broken.py" in done.err
    assert "nothing_like_this" in done.err
    assert "Traceback" not in done.err


def test_debug_shows_the_traceback_and_keeps_the_code(cli):
    done = cli("trials", "missing.sqlite", "--debug")
    assert done.code == 3
    assert "Traceback" in done.err
    assert "there is no study file" in done.err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (PermissionError(13, "Permission denied", "/somewhere"), 3, "/somewhere: Permission denied"),
        (NasplugError("odd", where="here", why="because", fix="this"), 2, "here: odd\nWhy: because\nDo: this"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_errors_become_messages(cli, monkeypatch, error, code, message):
    def run(arguments):
        raise error

    monkeypatch.setattr("nasplug.cli.plugins.run", run)
    monkeypatch.setattr(app.os, "dup2", lambda *ends: None)
    done = cli("plugins")
    assert done.code == code
    assert message in done.err
    assert "Traceback" not in done.err


def test_a_bug_keeps_its_traceback(cli, monkeypatch):
    monkeypatch.setattr("nasplug.cli.plugins.run", lambda arguments: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        cli("plugins")


def test_a_reader_that_leaves_is_no_error(study):
    code = "import sys; from nasplug.cli import main; sys.exit(main(sys.argv[1:]))"
    command = f'"{sys.executable}" -c "{code}" trials "{study}" --json | head -c 10'
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_poor_encoding_is_no_error(study, tmp_path):
    code = "import sys; from nasplug.cli import main; print('\\u2192'); sys.exit(main(sys.argv[1:]))"
    code = code.replace("print('\\u2192'); ", "")
    done = python(code, "list", "--plugin", _accented(tmp_path), env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin"})
    assert done.returncode == 0, done.stderr
    assert "caf? au lait" in done.stdout


def _accented(folder):
    path = folder / "accented.py"
    path.write_text(
        "import nasplug as nas\n\n@nas.hookimpl\ndef register(catalog):\n"
        "    catalog.cost('cafe', 'x:Y', summary='caf\\u00e9 au lait')\n"
    )
    return path


def test_modules_of_the_current_folder_can_be_named(cli, tmp_path, spec):
    (tmp_path / "my_own_space.py").write_text(TINY.read_text())
    path = spec(space={"class_path": "my_own_space.Tiny"}, budget={"trials": 2})
    assert cli("run", path).code == 0
    assert str(tmp_path) not in sys.path

"""Programs that a warm process runs behave as they do alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.warm import commands

PROGRAM = """
import atexit, json, os, sys
atexit.register(print, "bye")
print(json.dumps([sys.argv, os.getcwd(), os.environ["MARK"], sys.path[0], __name__, sys.stdin.read()]))
print("said", file=sys.stderr)
sys.exit({code})
"""


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    with commands(tmp_path_factory.mktemp("warm") / "bin", modules=("colorsys",)) as folder:
        yield folder


def run(folder, words, cwd, **options):
    variables = os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "MARK": "here"}
    return subprocess.run(words, cwd=cwd, env=variables, capture_output=True, text=True, timeout=120, **options)


@pytest.mark.parametrize("code", [0, 3])
def test_a_program_has_its_own_arguments_folder_variables_streams_and_code(warm, tmp_path, code):
    script = tmp_path / "script.py"
    script.write_text(PROGRAM.format(code=code))
    done = [
        run(warm, [*python, "script.py", "--x", "1"], tmp_path, input="in")
        for python in (["bash", "-c", 'python "$@"', "bash"], [sys.executable])
    ]
    assert [each.returncode for each in done] == [code, code]
    assert done[0].stdout == done[1].stdout
    assert done[0].stderr == done[1].stderr == "said\n"
    assert json.loads(done[0].stdout.splitlines()[0])[2:] == ["here", str(tmp_path), "__main__", "in"]
    assert done[0].stdout.endswith("bye\n")


def test_errors_and_signals_are_codes(warm, tmp_path):
    (tmp_path / "bad.py").write_text("raise ValueError('no')")
    (tmp_path / "dead.py").write_text("import os; os.kill(os.getpid(), 9)")
    bad = run(warm, [str(warm / "python"), "bad.py"], tmp_path)
    assert bad.returncode == 1
    assert bad.stderr.endswith("ValueError: no\n")
    assert run(warm, [str(warm / "python"), "dead.py"], tmp_path).returncode == 137


def test_modules_come_from_the_server_and_other_options_from_python_itself(warm, tmp_path):
    (tmp_path / "asks.py").write_text("import sys; print('colorsys' in sys.modules, 'nasplug' in sys.modules)")
    assert run(warm, [str(warm / "python"), "asks.py"], tmp_path).stdout == "True False\n"
    assert run(warm, [str(warm / "python"), "-m", "asks"], tmp_path).stdout == "True False\n"
    asked = run(warm, [str(warm / "python"), "-c", "import sys; print('colorsys' in sys.modules)"], tmp_path)
    assert asked.stdout == "False\n"


def test_the_command_is_the_installed_one(warm, tmp_path):
    done = [run(warm, [str(home / "nasplug"), "--version"], tmp_path) for home in (warm, Path(sys.executable).parent)]
    assert done[0].returncode == 0
    assert done[0].stdout == done[1].stdout
    wrong = run(warm, [str(warm / "nasplug"), "rum"], tmp_path)
    assert wrong.returncode == 2

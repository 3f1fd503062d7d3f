"""`nasplug new-plugin` and `nasplug test-plugin`: the way of a plugin author, from nothing to a tested package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from nasplug.cli import main
from nasplug.cli.new_plugin import KINDS, check_name, make_plugin, template_folder
from nasplug.contract.errors import SpecError


def install_by_hand(package: Path, where: Path) -> dict[str, str]:
    """Puts a package and its entry points on a path, as an editable install does, in no time.

    Returns:
        The environment for processes that shall find it.
    """
    import tomllib

    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    info = where / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["nasplug"]
    (info / "entry_points.txt").write_text(
        "[nasplug]\n" + "".join(f"{name} = {module}\n" for name, module in points.items())
    )
    path = os.pathsep.join([str(where), str(package), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def nasplug(*words: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nasplug.cli", *words]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=300)


@pytest.fixture
def package(tmp_path, capsys):
    assert main(["new-plugin", "slow_cooling", "--directory", str(tmp_path)]) == 0
    assert "nasplug test-plugin slow_cooling" in capsys.readouterr().out
    return tmp_path / "nasplug-slow-cooling"


@pytest.fixture
def env(package, tmp_path):
    return install_by_hand(package, tmp_path / "site")


def test_the_package_is_complete_and_carries_its_own_name(package):
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert files == {
        ".github/workflows/release.yml",
        ".github/workflows/test.yml",
        ".gitignore",
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "nasplug_slow_cooling/__init__.py",
        "nasplug_slow_cooling/plugin.py",
        "nasplug_slow_cooling/py.typed",
        "nasplug_slow_cooling/strategy.py",
        "pyproject.toml",
        "tests/test_slow_cooling.py",
    }
    for file in files:
        assert "template" not in (package / file).read_text().lower(), file
    assert "class SlowCooling:" in (package / "nasplug_slow_cooling" / "strategy.py").read_text()
    assert 'name = "nasplug-slow-cooling"' in (package / "pyproject.toml").read_text()


def test_the_package_is_clean(package):
    """An author's first run of the linter with the repository's own rules finds nothing."""
    rules = Path(__file__).parents[2] / "pyproject.toml"
    if not rules.is_file():
        pytest.skip("not run from the repository")
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--config", str(rules)]
    command.append(str(package / "nasplug_slow_cooling"))
    done = subprocess.run(command, capture_output=True, text=True)
    if "No module named ruff" in done.stderr:
        pytest.skip("ruff is not installed")
    assert done.returncode == 0, done.stdout


def test_it_is_listed_and_usable_by_its_slug(package, env, tmp_path):
    listed = nasplug("plugins", env=env, cwd=tmp_path)
    assert "nasplug-slow-cooling" in listed.stdout, listed.stderr
    spec = {
        "space": {"class_path": "nasplug.testing.SyntheticSpace"},
        "evaluator": {"class_path": "nasplug.testing.SyntheticEvaluator"},
        "strategy": {"asha": {"inner": {"slow_cooling": {"temperature": 0.5}}}},
        "budget": {"trials": 12, "epochs": 9},
    }
    program = (
        "import json, sys, nasplug; print(len(nasplug.run_spec(nasplug.RunSpec.parse(json.loads(sys.argv[1]))).trials))"
    )
    command = [sys.executable, "-c", program, json.dumps(spec)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "12", done.stderr


#: Those that train no network are quick.
QUICK = ("benchmark", "evaluator")


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS if kind != "strategy"],
)
def test_every_kind_passes_its_suites_and_its_own_tests(kind, tmp_path, capsys):
    """The tests of the package, and the suites for everything that it announces."""
    assert main(["new-plugin", "my_thing", "--kind", kind, "--directory", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"nasplug_my_thing/{kind}.py" in out
    assert KINDS[kind].line.replace("NAME", "my_thing") in out
    package = tmp_path / "nasplug-my-thing"
    assert (package / "nasplug_my_thing" / f"{kind}.py").is_file()
    env = install_by_hand(package, tmp_path / "site")
    for path in package.rglob("*"):
        if path.is_file():
            assert "template" not in path.read_text().lower(), path
    done = nasplug("test-plugin", "my_thing", env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(package / "tests")]
    done = subprocess.run(command, env=env, cwd=package, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_metadata_say_what_a_package_is(tmp_path):
    import tomllib

    for kind, facts in KINDS.items():
        folder = make_plugin("my_thing", tmp_path / kind, kind)
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        assert project["description"] == facts.summary
        assert [f'"{each}"' for each in project["dependencies"]] == facts.requires.split(", ")
        assert "nasplug-plugin" in project["keywords"]


def test_a_taken_name_of_the_kind_is_refused(tmp_path, capsys):
    assert main(["new-plugin", "cpu", "--kind", "target", "--directory", str(tmp_path)]) == 2
    assert "the target 'cpu' exists already" in capsys.readouterr().err


def test_it_passes_test_plugin(package, env, tmp_path):
    done = nasplug("test-plugin", "slow_cooling", env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TestStrategySlowCoolingConformance::test_the_state_is_json_and_exact PASSED" in done.stdout
    assert "TestAnnouncement::test_it_imports_no_torch PASSED" in done.stdout
    assert "announcing takes" in done.stdout
    assert nasplug("test-plugin", "nasplug-slow-cooling", "-k", "loads", env=env, cwd=tmp_path).returncode == 0


def test_its_own_tests_pass(package, env):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(package / "tests")]
    done = subprocess.run(command, env=env, cwd=package, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_fault_is_found(package, env, tmp_path):
    strategy = package / "nasplug_slow_cooling" / "strategy.py"
    text = strategy.read_text()
    assert '"observed": self._observed}' in text
    strategy.write_text(text.replace('"observed": self._observed}', '"observed": 0}'))
    done = nasplug("test-plugin", "slow_cooling", "-k", "resumed", env=env, cwd=tmp_path)
    assert done.returncode == 1
    assert "FAILED" in done.stdout


def test_torch_in_the_announcing_module_is_found(package, env, tmp_path):
    (tmp_path / "site" / "torch.py").write_text("")  # an empty one is found as fast as the real one is slow to import
    plugin = package / "nasplug_slow_cooling" / "plugin.py"
    plugin.write_text(plugin.read_text().replace("import nasplug as nas", "import torch\n\nimport nasplug as nas"))
    done = nasplug("test-plugin", "slow_cooling", "-k", "torch", env=env, cwd=tmp_path)
    assert done.returncode == 1
    assert "announce lazily" in done.stdout


def test_a_plugin_that_does_not_load_is_told(package, env, tmp_path):
    (package / "nasplug_slow_cooling" / "plugin.py").write_text("import not_installed_anywhere\n")
    done = nasplug("test-plugin", "slow_cooling", env=env, cwd=tmp_path)
    assert done.returncode == 3
    assert "not_installed_anywhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_plugin_gets_a_suggestion(capsys):
    assert main(["test-plugin", "bulitin"]) == 2
    assert "did you mean 'builtin'" in capsys.readouterr().err


def test_nothing_is_overwritten(package, tmp_path, capsys):
    readme = package / "README.md"
    readme.write_text("mine")
    assert main(["new-plugin", "slow_cooling", "--directory", str(tmp_path)]) == 2
    assert "nothing was overwritten" in capsys.readouterr().err
    assert readme.read_text() == "mine"


def test_a_taken_name_is_refused(tmp_path, capsys):
    assert main(["new-plugin", "random", "--directory", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "2fast", "Big", "a b", "class", "a__b", "../x", "a.b", "é"])
def test_names_that_cannot_be(name):
    with pytest.raises(SpecError, match="cannot name a plugin"):
        check_name(name)


@pytest.mark.parametrize(
    ("text", "name"), [("annealing", "annealing"), ("nasplug-my-search", "my_search"), ("v2_template", "v2_template")]
)
def test_names(text, name, tmp_path):
    assert check_name(text) == name
    folder = make_plugin(name, tmp_path / "new" / "folder")
    assert (folder / f"nasplug_{name}" / "strategy.py").is_file()
    assert f'name = "nasplug-{name.replace("_", "-")}"' in (folder / "pyproject.toml").read_text()


def test_the_template_is_found_and_shipped():
    import tomllib

    assert (template_folder() / "common" / "pyproject.toml").is_file()
    assert {path.name for path in (template_folder() / "kinds").iterdir()} == set(KINDS)
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    if pyproject.is_file():
        build = tomllib.loads(pyproject.read_text())["tool"]["hatch"]["build"]["targets"]
        assert build["wheel"]["force-include"] == {"plugins/_template": "nasplug/_template"}
        assert "/plugins/_template" in build["sdist"]["include"]


@pytest.mark.slow
def test_a_real_installation(package, tmp_path):
    """`pip install -e .` in a fresh environment that sees this one's libraries, then `nasplug test-plugin`."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    site = subprocess.check_output([python, "-c", "import site; print(site.getsitepackages()[0])"], text=True).strip()
    # In this way the .pth files of the outer environment count too, such as that of an editable nasplug.
    outer = sysconfig.get_paths()["purelib"]
    (Path(site) / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n")
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", "--no-deps", "-e", str(package)], capture_output=True, text=True
    )
    if "Could not find a version that satisfies the requirement hatchling" in done.stderr:
        pytest.skip("needs a package index for the build backend")
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [python, "-m", "nasplug.cli", "test-plugin", "slow_cooling"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_states_the_contract_that_there_is(package):
    from nasplug.contract.hookspecs import CONTRACT_VERSION

    assert f'NASPLUG_CONTRACT = "{CONTRACT_VERSION}"' in (package / "nasplug_slow_cooling" / "plugin.py").read_text()

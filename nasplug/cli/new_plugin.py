"""Make a new plugin package: a working strategy with tests, to be changed into your own.

Example:
  nasplug new-plugin annealing && cd nasplug-annealing && pip install -e . && nasplug test-plugin annealing
"""

from __future__ import annotations

import argparse
import keyword
import re
from pathlib import Path

from nasplug.cli.loading import find_plugins
from nasplug.cli.parser import Parser
from nasplug.contract.errors import NasplugError, PluginError, SpecError

SUMMARY = "Make a new plugin package that works at once."

#: The names in the template that are replaced: of the distribution, of classes, of everything else.
DISTRIBUTION, CLASS, SLUG = "nasplug-template", "Template", "template"
#: Leftovers of work on the template itself.
_LEFT_OUT = {"__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".hypothesis"}


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug new-plugin`."""
    parser.add_argument("name", metavar="NAME", help="name in specifications, in lower_case")
    parser.add_argument(
        "--directory", metavar="DIR", type=Path, default=Path(), help="parent of the new folder nasplug-NAME"
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the package and prints what to do next."""
    name = check_name(arguments.name)
    for entry in find_plugins(arguments).catalog.entries("strategy"):
        if entry.name == name:
            raise SpecError(
                f"the strategy {name!r} exists already, in {entry.distribution}", where="NAME", fix="take another name"
            )
    folder = make_plugin(name, arguments.directory)
    print(f"wrote {folder}")
    print("next:")
    print(f"  cd {folder}")
    print('  pip install -e ".[testing]"')
    print(f"  nasplug test-plugin {name}")
    print(f"and use it in any specification: `strategy: {name}`. The method is in nasplug_{name}/strategy.py.")
    return 0


def check_name(text: str) -> str:
    """Returns the slug, with the prefix `nasplug-` and hyphens forgiven.

    Raises:
        SpecError: It cannot name a Python package.
    """
    name = text.removeprefix("nasplug-").removeprefix("nasplug_").replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise SpecError(
            f"{text!r} cannot name a plugin",
            where="NAME",
            fix="use lower-case letters, digits and underscores, starting with a letter, such as my_search",
        )
    return name


def make_plugin(name: str, directory: Path) -> Path:
    """Copies the template under a new name.

    Args:
        name: Slug; see `check_name`.
        directory: Folder in which to make the new one; made if it does not exist.

    Returns:
        The new folder.

    Raises:
        NasplugError: The folder exists, or cannot be written.
    """
    folder = directory / _renamed(DISTRIBUTION, name)
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise SpecError(
            "already exists; nothing was overwritten", where=str(folder), fix="take another name or --directory"
        ) from None
    except OSError as error:
        raise NasplugError("cannot make the folder", where=str(folder), why=str(error)) from error
    source = template_folder()
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if path.is_dir() or _LEFT_OUT & set(relative.parts):
            continue
        target = folder / _renamed(str(relative), name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_renamed(path.read_text(encoding="utf-8"), name), encoding="utf-8")
    return folder


def template_folder() -> Path:
    """The template: inside the installed package, or in the repository of an editable install.

    Raises:
        PluginError: The installation is incomplete.
    """
    package = Path(__file__).parent.parent
    for folder in (package / "_template", package.parent / "plugins" / "_template"):
        if (folder / "pyproject.toml").is_file():
            return folder
    raise PluginError("the template is missing", where=str(package), fix="install nasplug again")


def _renamed(text: str, name: str) -> str:
    class_name = "".join(part.capitalize() for part in name.split("_"))
    new = {DISTRIBUTION: f"nasplug-{name.replace('_', '-')}", CLASS: class_name, SLUG: name}
    # In one pass: a name may contain the word itself.
    return re.sub("|".join(new), lambda match: new[match[0]], text)

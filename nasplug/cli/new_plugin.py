"""Make a new plugin package: a working example of a kind with tests, to be changed into your own.

Example:
  nasplug new-plugin annealing && cd nasplug-annealing && pip install -e . && nasplug test-plugin annealing
  nasplug new-plugin my_board --kind target
"""

from __future__ import annotations

import argparse
import keyword
import re
from dataclasses import dataclass
from pathlib import Path

from nasplug.cli.loading import find_plugins
from nasplug.cli.parser import Parser
from nasplug.contract.errors import NasplugError, PluginError, SpecError


@dataclass(frozen=True)
class Kind:
    """What a new package can be an example of.

    Attributes:
        summary: Description of the package.
        requires: Dependencies as `pyproject.toml` lists them.
        announces: Kinds of the component that is announced.
        line: Line of a specification that uses it, with `NAME` for the name.
    """

    summary: str
    requires: str
    announces: tuple[str, ...]
    line: str


#: Kinds by name; `plugins/_template/kinds` has a folder for each.
KINDS = {
    "strategy": Kind(
        "Simulated annealing on any search space that mutates, as a nasplug plugin.",
        '"nasplug>=0.1"',
        ("strategy",),
        "strategy: NAME",
    ),
    "space": Kind(
        "A search space of image classifiers, as a nasplug plugin.", '"nasplug[train]>=0.1"', ("space",), "space: NAME"
    ),
    "cost": Kind("A cost of networks, as a nasplug plugin.", '"nasplug[train]>=0.1"', ("cost",), "costs: [NAME]"),
    "target": Kind(
        "Hardware to price networks on, as a nasplug plugin.",
        '"nasplug[train]>=0.1"',
        ("target",),
        "target: NAME:small",
    ),
    "evaluator": Kind(
        "Trials by a program of one's own, as a nasplug plugin.",
        '"nasplug>=0.1"',
        ("evaluator",),
        "evaluator: {NAME: {command: [python, train.py]}}",
    ),
    "executor": Kind(
        "Trials in threads, as a nasplug plugin.",
        '"nasplug>=0.1"',
        ("executor",),
        "run: {executor: NAME, workers: 4}",
    ),
    "benchmark": Kind(
        "A space with a table of results, as a nasplug plugin.",
        '"nasplug>=0.1", "nasplug-tables[bench]>=0.1"',
        ("space", "evaluator"),
        "{space: NAME, evaluator: NAME}",
    ),
}
SUMMARY = "Make a new plugin package that works at once."

#: The names in the template that are replaced: of the distribution, of classes, of everything else.
DISTRIBUTION, CLASS, SLUG = "nasplug-template", "Template", "template"
#: Leftovers of work on the template itself.
_LEFT_OUT = {"__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".hypothesis"}


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug new-plugin`."""
    parser.add_argument("name", metavar="NAME", help="name in specifications, in lower_case")
    parser.add_argument("--kind", choices=list(KINDS), default="strategy", help="kind of the example (strategy)")
    parser.add_argument(
        "--directory", metavar="DIR", type=Path, default=Path(), help="parent of the new folder nasplug-NAME"
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the package and prints what to do next."""
    name, kind = check_name(arguments.name), KINDS[arguments.kind]
    catalog = find_plugins(arguments).catalog
    for announced in kind.announces:
        for entry in catalog.entries(announced):
            if entry.name == name:
                raise SpecError(
                    f"the {announced} {name!r} exists already, in {entry.distribution}",
                    where="NAME",
                    fix="take another name",
                )
    folder = make_plugin(name, arguments.directory, arguments.kind)
    print(f"wrote {folder}")
    print("next:")
    print(f"  cd {folder}")
    print('  pip install -e ".[testing]"')
    print(f"  nasplug test-plugin {name}")
    line = kind.line.replace("NAME", name)
    print(f"and use it in any specification: `{line}`. What to replace is in nasplug_{name}/{arguments.kind}.py.")
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


def make_plugin(name: str, directory: Path, kind: str = "strategy") -> Path:
    """Copies the template of a kind under a new name.

    Args:
        name: Slug; see `check_name`.
        directory: Folder in which to make the new one; made if it does not exist.
        kind: One of `KINDS`.

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
    for source in (template_folder() / "common", template_folder() / "kinds" / kind):
        for path in sorted(source.rglob("*")):
            relative = path.relative_to(source)
            if path.is_dir() or _LEFT_OUT & set(relative.parts):
                continue
            target = folder / _renamed(str(relative), name)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = _renamed(path.read_text(encoding="utf-8"), name)
            target.write_text(
                _of_kind(text, KINDS[kind]) if relative.name == "pyproject.toml" else text, encoding="utf-8"
            )
    return folder


def template_folder() -> Path:
    """The template: inside the installed package, or in the repository of an editable install.

    Raises:
        PluginError: The installation is incomplete.
    """
    package = Path(__file__).parent.parent
    for folder in (package / "_template", package.parent / "plugins" / "_template"):
        if (folder / "common" / "pyproject.toml").is_file():
            return folder
    raise PluginError("the template is missing", where=str(package), fix="install nasplug again")


def _of_kind(text: str, kind: Kind) -> str:
    """Metadata with the description and the dependencies of a kind."""
    return text.replace('"A nasplug plugin."', f'"{kind.summary}"').replace('["nasplug>=0.1"]', f"[{kind.requires}]")


def _renamed(text: str, name: str) -> str:
    class_name = "".join(part.capitalize() for part in name.split("_"))
    new = {DISTRIBUTION: f"nasplug-{name.replace('_', '-')}", CLASS: class_name, SLUG: name}
    # In one pass: a name may contain the word itself.
    return re.sub("|".join(new), lambda match: new[match[0]], text)

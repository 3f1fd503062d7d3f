"""Releases of all packages in step: one version, one changelog per package, wheels and source distributions.

    python .ci/release.py check                what is out of step, as lines; nothing is written
    python .ci/release.py version 0.2.0        versions, bounds and changelogs; commit and tag what it wrote
    python .ci/release.py build DIR            a wheel and a source distribution of every package

News are fragments, `news/NAME.KIND.md` in the folder of a package; `.ci/towncrier.toml` lists the kinds. `version`
assembles them, together with what stands by hand under "Unreleased", below the heading of the version.
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
CONFIG = Path(__file__).resolve().parent / "towncrier.toml"
#: Pythons that a release is tried on; `.ci/wheels.py --python` does it.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
KEYWORDS = ("nasplug", "nasplug-plugin")
UNRELEASED = "## Unreleased\n"


@dataclass(frozen=True)
class Package:
    """A distribution of the workspace.

    Attributes:
        folder: Folder with its `pyproject.toml`.
    """

    folder: Path

    @property
    def file(self) -> Path:
        """Its metadata."""
        return self.folder / "pyproject.toml"

    @property
    def project(self) -> dict[str, Any]:
        """Table `project` of its metadata."""
        table: dict[str, Any] = tomllib.loads(self.file.read_text(encoding="utf-8"))["project"]
        return table

    @property
    def name(self) -> str:
        """Name of the distribution."""
        return str(self.project["name"])

    def ours(self) -> list[Requirement]:
        """Requirements on packages of the workspace."""
        extras = self.project.get("optional-dependencies", {}).values()
        wanted = [*self.project.get("dependencies", ()), *(item for group in extras for item in group)]
        found = [Requirement(item) for item in wanted]
        return [item for item in found if item.name == "nasplug" or item.name.startswith("nasplug-")]


def packages(root: Path) -> list[Package]:
    """The core and its plugins, in order of their names."""
    plugins = [path.parent for path in root.glob("plugins/*/pyproject.toml") if not path.parent.name.startswith("_")]
    return [Package(root), *sorted((Package(folder) for folder in plugins), key=lambda package: package.name)]


def kinds() -> list[str]:
    """Kinds of news."""
    table = tomllib.loads(CONFIG.read_text(encoding="utf-8"))["tool"]["towncrier"]
    return [kind["directory"] for kind in table["type"]]


def troubles(root: Path) -> list[str]:
    """What is out of step, a line each."""
    found = []
    core = Package(root)
    version = Version(core.project["version"])
    for package in packages(root):
        about, where = package.project, package.file.relative_to(root)
        if about["version"] != str(version):
            found.append(f"{where}: version {about['version']}, and the core has {version}")
        step = f"{version.major}.{version.minor}"
        bounds = {
            str(item): spec.version for item in package.ours() for spec in item.specifier if spec.operator == ">="
        }
        found += [f"{where}: {item}, where >={step} is in step" for item, bound in bounds.items() if bound != step]
        if package.folder != root and not any(item.name == "nasplug" and item.specifier for item in package.ours()):
            found.append(f"{where}: a bound on nasplug is missing")
        missing = [name for name in ("description", "readme", "license", "classifiers") if not about.get(name)]
        found += [f"{where}: project.{name} is missing" for name in missing]
        wanted = KEYWORDS if package.folder != root else ()
        found += [f"{where}: the keyword {word!r} is missing" for word in wanted if word not in about["keywords"]]
        found += [f"{where}: the classifier of Python {python} is missing" for python in lacking(about["classifiers"])]
        changelog = package.folder / "CHANGELOG.md"
        if not changelog.is_file() or UNRELEASED not in changelog.read_text(encoding="utf-8"):
            found.append(f"{changelog.relative_to(root)}: the heading 'Unreleased' is missing")
        for news in sorted((package.folder / "news").glob("*")):
            kind = news.name.removesuffix(".md").rpartition(".")[2]
            if not news.name.endswith(".md") or "." not in news.name.removesuffix(".md") or kind not in kinds():
                found.append(f"{news.relative_to(root)}: not NAME.KIND.md with a kind of {', '.join(kinds())}")
            elif not news.read_text(encoding="utf-8").strip():
                found.append(f"{news.relative_to(root)}: is empty")
    return found


def lacking(classifiers: list[str]) -> list[str]:
    """Pythons that classifiers do not name."""
    return [python for python in PYTHONS if f"Programming Language :: Python :: {python}" not in classifiers]


def set_version(root: Path, text: str, today: str) -> None:
    """Writes a version into every package, bounds on each other, and the changelogs.

    Args:
        root: Folder of the workspace.
        text: New version.
        today: Date for the changelogs.

    Raises:
        SystemExit: It is not a later version, or something is out of step before.
    """
    wrong = troubles(root)
    new, old = Version(text), Version(Package(root).project["version"])
    if new < old or f"## {new} - " in (root / "CHANGELOG.md").read_text(encoding="utf-8"):
        wrong.append(f"{new} is not later than {old}, or was released before")
    if wrong:
        raise SystemExit("\n".join(wrong))
    bound = f"{new.major}.{new.minor}"
    for package in packages(root):
        lines = package.file.read_text(encoding="utf-8")
        lines = re.sub(r'(?m)^version = "[^"]+"$', f'version = "{new}"', lines, count=1)
        lines = re.sub(r'("nasplug(?:-[a-z-]+)?(?:\[[a-z,]+\])?>=)[0-9.]+', rf"\g<1>{bound}", lines)
        package.file.write_text(lines, encoding="utf-8")
        command = ["build", "--yes", "--version", str(new), "--date", today, "--name", package.name]
        places = ["--config", str(CONFIG), "--dir", str(package.folder)]
        subprocess.run([sys.executable, "-m", "towncrier", *command, *places], check=True, stdout=subprocess.DEVNULL)
    left = troubles(root)
    if left:
        raise SystemExit("\n".join(left))


def build(root: Path, folder: Path) -> None:
    """Builds a wheel and a source distribution of every package.

    Args:
        root: Folder of the workspace.
        folder: Where they go.
    """
    for package in packages(root):
        subprocess.run(["uv", "build", "--quiet", "--out-dir", str(folder), str(package.folder)], check=True)


def main() -> None:
    """Runs a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check")
    commands.add_parser("version").add_argument("version")
    commands.add_parser("build").add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "check":
        raise SystemExit("\n".join(troubles(ROOT)))
    if arguments.command == "build":
        build(ROOT, arguments.folder)
        return
    set_version(ROOT, arguments.version, datetime.date.today().isoformat())
    print(f'wrote version {arguments.version}. Next: git commit -am "Release {arguments.version}", then git tag')


if __name__ == "__main__":
    main()

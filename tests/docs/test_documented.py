"""Nothing public is undocumented: hooks, their arguments, commands, their options, registered names."""

from __future__ import annotations

import contextlib
import inspect
import re

import pytest

import nasplug as nas
from nasplug.contract.hookspecs import CatalogSpecs, StudySpecs
from nasplug.contract.kinds import KINDS
from nasplug.plugins.discovery import discover
from tests.docs.pages import ROOT, pages

HOOKS = [
    (name, function)
    for specs in (CatalogSpecs, StudySpecs)
    for name, function in vars(specs).items()
    if inspect.isfunction(function)
]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "function"), HOOKS, ids=[name for name, _ in HOOKS])
def test_hooks_and_their_arguments(name, function):
    arguments = [argument for argument in inspect.signature(function).parameters if argument != "self"]
    heading = rf"### `{name}\({', '.join(arguments)}\)`"
    section = re.search(rf"{heading}(.*?)(?=\n### |\n## |\Z)", read("docs/hooks.md"), re.DOTALL)
    assert section, f"docs/hooks.md has no section for {name}({', '.join(arguments)})"
    for argument in arguments:
        assert f"- `{argument}`:" in section[1], f"docs/hooks.md says nothing of {name}'s argument {argument}"
    assert inspect.getdoc(function)


def test_kinds_of_components():
    for kind in KINDS:
        assert f"`{kind}`" in read("docs/components.md") + read("docs/hooks.md"), kind


def test_registered_names():
    missing = []
    for entry in discover().catalog:
        distribution = entry.distribution.split()[0]
        folder = distribution.removeprefix("nasplug-")
        page = "docs/components.md" if distribution == "nasplug" else f"plugins/{folder}/README.md"
        if not (ROOT / page).is_file():
            continue  # a plugin installed from elsewhere
        if f"`{entry.name}`" not in read(page):
            missing.append(f"{page} does not mention the {entry.kind} `{entry.name}`")
        if not entry.summary:
            missing.append(f"the {entry.kind} {entry.name!r} has no summary")
    assert not missing, "\n".join(missing)


def test_commands_and_their_options(capsys):
    from nasplug.cli import COMMANDS, main

    text = read("docs/cli.md")
    missing = []
    for command in COMMANDS:
        section = re.search(rf"##+ `nasplug {command}[^\n]*\n(.*?)(?=\n## |\n### `nasplug|\Z)", text, re.DOTALL)
        if section is None:
            missing.append(f"docs/cli.md has no section `nasplug {command}`")
            continue
        with contextlib.suppress(SystemExit):
            main([command, "--help"])
        for option in sorted(set(re.findall(r"(?<![\w-])--[a-z][\w-]*", capsys.readouterr().out))):
            if option not in ("--help",) and option not in section[0] and option not in text.split("## ")[0]:
                missing.append(f"docs/cli.md says nothing of `nasplug {command} {option}`")
    assert not missing, "\n".join(missing)


def test_public_names_have_docstrings():
    for name in nas.__all__:
        value = getattr(nas, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_test_command_of_the_readme_is_what_ci_runs():
    assert "uv run pytest -n auto" in read("README.md")
    assert re.search(r"^uv run pytest -n auto$", read(".ci/run"), re.MULTILINE)

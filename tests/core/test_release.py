"""Packages are in step, and a release keeps them so."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def release():
    spec = importlib.util.spec_from_file_location("release", ROOT / ".ci" / "release.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["release"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["release"]


@pytest.fixture
def copy(tmp_path):
    """Metadata, changelogs and news of all packages."""
    for source in (ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))):
        target = tmp_path / source.relative_to(ROOT)
        target.mkdir(parents=True, exist_ok=True)
        for name in ("pyproject.toml", "CHANGELOG.md"):
            shutil.copy(source / name, target)
        if (source / "news").is_dir():
            shutil.copytree(source / "news", target / "news")
    return tmp_path


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_all_packages_are_in_step(release):
    assert release.troubles(ROOT) == []


@pytest.mark.parametrize(
    ("place", "old", "new", "said"),
    [
        (
            "plugins/qnas/pyproject.toml",
            'version = "0.1.0"',
            'version = "0.1.1"',
            "version 0.1.1, and the core has 0.1.0",
        ),
        ("plugins/qnas/pyproject.toml", "nasplug>=0.1", "nasplug>=0.0", "nasplug>=0.0, where >=0.1 is in step"),
        ("plugins/qnas/pyproject.toml", "nasplug>=0.1", "nasplug", "a bound on nasplug is missing"),
        ("plugins/qnas/pyproject.toml", '"nasplug-plugin", ', "", "the keyword 'nasplug-plugin' is missing"),
        ("plugins/qnas/pyproject.toml", 'license = "MIT"', "", "project.license is missing"),
        ("pyproject.toml", "Python :: 3.13", "Python :: 3.99", "the classifier of Python 3.13 is missing"),
        ("plugins/npu/CHANGELOG.md", "## Unreleased", "## News", "the heading 'Unreleased' is missing"),
    ],
)
def test_what_is_out_of_step_is_named(release, copy, place, old, new, said):
    edit(copy / place, old, new)

    assert [line for line in release.troubles(copy) if line.startswith(place) and said in line]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("fast.quicker.md", "x", "not NAME.KIND.md"),
        ("fast.md", "x", "not NAME.KIND.md"),
        ("fast.added.txt", "x", "not NAME.KIND.md"),
        ("fast.added.md", " \n", "is empty"),
    ],
)
def test_news_that_no_changelog_could_take_are_named(release, copy, name, text, said):
    (copy / "plugins" / "qnas" / "news").mkdir(exist_ok=True)
    (copy / "plugins" / "qnas" / "news" / name).write_text(text, encoding="utf-8")

    (line,) = release.troubles(copy)

    assert line.startswith(f"plugins/qnas/news/{name}: ")
    assert said in line


def test_a_release_writes_versions_bounds_and_changelogs(release, copy):
    news = copy / "plugins" / "qnas" / "news"
    news.mkdir(exist_ok=True)
    (news / "redraws.added.md").write_text("Candidates may be drawn again.\n", encoding="utf-8")
    (news / "crash.fixed.md").write_text("A run of one generation ends.\n", encoding="utf-8")
    edit(copy / "plugins" / "qnas" / "CHANGELOG.md", "## Unreleased\n", "## Unreleased\n\n- Written by hand.\n")

    release.set_version(copy, "0.3.0", "2027-01-31")

    assert release.troubles(copy) == []
    assert {package.project["version"] for package in release.packages(copy)} == {"0.3.0"}
    bounds = {str(item.specifier) for package in release.packages(copy) for item in package.ours()} - {""}
    assert bounds == {">=0.3"}
    unreleased, _, rest = (copy / "plugins" / "qnas" / "CHANGELOG.md").read_text().partition("## 0.3.0 - 2027-01-31\n")
    assert unreleased.endswith("## Unreleased\n\n")
    assert rest.index("### Added\n\n- Candidates may be drawn again.") < rest.index("### Fixed\n\n- A run of one gener")
    assert rest.index("- Written by hand.") > 0
    assert not list(news.glob("*.md"))
    assert "## 0.3.0 - 2027-01-31\n" in (copy / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("version", ["0.0.9", "0.1.0"])
def test_no_version_is_released_twice(release, copy, version):
    edit(copy / "CHANGELOG.md", "## Unreleased\n", "## Unreleased\n\n## 0.1.0 - 2026-12-01\n")

    with pytest.raises(SystemExit, match=r"not later than 0\.1\.0, or was released before"):
        release.set_version(copy, version, "2027-01-31")


def test_nothing_is_written_where_packages_are_out_of_step(release, copy):
    edit(copy / "plugins" / "qnas" / "pyproject.toml", 'version = "0.1.0"', 'version = "0.1.1"')
    before = (copy / "pyproject.toml").read_text()

    with pytest.raises(SystemExit, match="and the core has"):
        release.set_version(copy, "0.2.0", "2027-01-31")

    assert (copy / "pyproject.toml").read_text() == before

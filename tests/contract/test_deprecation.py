"""What will go away says so in time, and goes when it said."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

import pytest
from packaging.version import Version

import nasplug
from nasplug.contract.deprecation import (
    NasplugDeprecationWarning,
    check_window,
    deprecate,
    moved_names,
    renamed_arguments,
)

ROOT = Path(__file__).resolve().parents[2]
HELPERS = {"deprecate", "renamed_arguments", "moved_names"}


def test_a_warning_names_the_version_the_way_out_and_the_line_of_the_caller():
    def old():
        deprecate("old()", since="0.4", gone="0.6", fix="call new()")

    with pytest.warns(
        NasplugDeprecationWarning, match=r"old\(\) is deprecated since 0.4.*gone in 0.6: call new"
    ) as seen:
        old()

    assert seen[0].filename == __file__


def test_people_see_it_without_asking_for_it():
    with warnings.catch_warnings(record=True) as seen:
        warnings.resetwarnings()
        warnings.simplefilter("default", FutureWarning)
        deprecate("x", since="1.0", gone="2.0", fix="write y")
    assert len(seen) == 1


@pytest.mark.parametrize(("since", "gone"), [("0.4", "0.6"), ("0.4.1", "0.6"), ("0.9", "1.0"), ("1.3", "1.7")])
def test_windows_that_are_long_enough(since, gone):
    check_window("x", since, gone)


@pytest.mark.parametrize(
    ("since", "gone"), [("0.4", "0.5"), ("0.4", "0.4"), ("1.3", "1.2"), ("1.3", "0.9"), ("soon", "1"), ("1.0", "later")]
)
def test_windows_that_are_not(since, gone):
    with pytest.raises(ValueError, match="x: "):
        deprecate("x", since=since, gone=gone, fix="write y")


def test_arguments_are_taken_by_their_old_names():
    @renamed_arguments({"n": "count"}, since="0.4", gone="0.6")
    def proposals(count=1):
        return count

    assert proposals(count=3) == proposals(3) == 3
    with pytest.warns(NasplugDeprecationWarning, match=r"`n` of proposals\(\).*write `count`"):
        assert proposals(n=4) == 4
    with pytest.raises(TypeError, match="the same argument"):
        proposals(n=4, count=4)


def test_names_that_have_moved_are_found_where_they_were():
    find = moved_names("nasplug.old", {"Plan": "nasplug.contract.records:Trial"}, since="0.4", gone="0.6")

    with pytest.warns(NasplugDeprecationWarning, match=r"nasplug.old.Plan.*from nasplug.contract.records, as `Trial`"):
        assert find("Plan") is nasplug.contract.records.Trial
    with pytest.raises(AttributeError, match="has no attribute 'Other'"):
        find("Other")


def expired(source, version):
    """Names whose time is over, as (line, version)."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    ours = [node for node in calls if ast.unparse(node.func).rpartition(".")[2] in HELPERS]
    ends = [
        (node.lineno, keyword.value.value)
        for node in ours
        for keyword in node.keywords
        if keyword.arg == "gone" and isinstance(keyword.value, ast.Constant)
    ]
    return [(line, gone) for line, gone in ends if Version(gone) <= Version(version)]


def test_sources_whose_names_have_stayed_too_long_are_found():
    source = "deprecate('x', since='0.1', gone='0.3', fix='y')\nrenamed_arguments({}, since='0.1', gone='0.5')"
    assert expired(source, "0.3.0") == [(1, "0.3")]


def test_nothing_stays_longer_than_it_said():
    folders = [ROOT / "nasplug", *sorted((ROOT / "plugins").glob("*/nasplug_*"))]
    late = {
        f"{path.relative_to(ROOT)}:{line}": gone
        for folder in folders
        for path in folder.rglob("*.py")
        for line, gone in expired(path.read_text(encoding="utf-8"), nasplug.__version__)
    }
    assert not late

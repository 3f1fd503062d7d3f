"""Every measured figure in a README is the one in the recorded JSON.

A figure is written `0.27<!-- overhead:per_trial.ratio_memory_to_optuna_memory -->`: the comment, which no reader sees,
names the file in `benchmarks/results` and the way to the number; `*100` after it turns a share into per cent.
A whole table is checked by one comment below it, `<!-- figures NAME: a.{b, c}; d -->`, with the ways of its numbers in
reading order; braces stand for each of their parts, the last ones changing fastest. A cell with `±` holds two numbers,
and `NAME*100` turns all of them into per cent.
"""

from __future__ import annotations

import functools
import itertools
import json
import re

import pytest

from tests.docs.pages import ROOT, pages

FIGURE = re.compile(r"([-+]?\d[\d,]*(?:\.\d+)?)[^\d<]*<!-- (\w+):([^*<>]+?)(\*100)? -->")
#: Whatever looks as if it named a record; all of them must be figures.
NAMED = re.compile(r"<!-- (?:figures )?\w+(?:\*100)?:.*?-->")
TABLE = re.compile(r"((?:^\|.*\n)+)\n<!-- figures (\w+)(\*100)?: (.+?) -->", re.MULTILINE)
CELL = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?: ± \d+(?:\.\d+)?)?")


def expanded(ways: str) -> list[str]:
    """The ways that a marker of a table names.

    >>> expanded("a.{b, c}.{1, 2}; d")
    ['a.b.1', 'a.b.2', 'a.c.1', 'a.c.2', 'd']
    """
    found = []
    for way in ways.split(";"):
        parts = [
            [one.strip() for one in part[1:-1].split(",")] if part[0] == "{" else [part]
            for part in re.findall(r"\{[^}]*\}|[^{}]+", way.strip())
        ]
        found += ["".join(chosen) for chosen in itertools.product(*parts)]
    return found


def tables():
    found = []
    for page in pages():
        for match in TABLE.finditer(page.read_text(encoding="utf-8")):
            rows = match[1].splitlines()[2:]
            cells = [cell.strip() for row in rows for cell in row.strip("|").split("|")[1:]]
            numbers = [number for cell in cells if CELL.fullmatch(cell) for number in cell.split(" ± ")]
            found.append((page, numbers, match[2], 100 if match[3] else 1, expanded(match[4])))
    return found


def figures(page):
    return list(FIGURE.finditer(page.read_text(encoding="utf-8")))


@functools.cache
def record(name: str):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def recorded(name: str, way: str):
    value = record(name)
    while way:  # keys may hold dots themselves, such as the name of a strategy
        key = max((key for key in value if f"{way}.".startswith(f"{key}.")), key=len)
        value, way = value[key], way[len(key) + 1 :]
    return value


def wrong(match) -> bool:
    written = match[1].replace(",", "")
    digits = len(written.partition(".")[2])
    value = recorded(match[2], match[3]) * (100 if match[4] else 1)
    return float(written) != pytest.approx(round(value, digits), abs=1e-9)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_figures_are_the_recorded_ones(page):
    assert [match[0] for match in figures(page) if wrong(match)] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [("1.05<!-- overhead:a -->", 1.05), ("1.1<!-- overhead:a -->", 1.14), ("5 %<!-- overhead:a*100 -->", 0.0512)],
)
def test_a_wrong_figure_is_found(text, found, monkeypatch):
    monkeypatch.setattr(f"{__name__}.recorded", lambda name, way: found)
    assert not wrong(FIGURE.search(text))
    monkeypatch.setattr(f"{__name__}.recorded", lambda name, way: found + 0.2)
    assert wrong(FIGURE.search(text))


@pytest.mark.parametrize(("page", "cells", "name", "factor", "ways"), tables())
def test_the_numbers_of_a_table_are_the_recorded_ones(page, cells, name, factor, ways):
    assert len(cells) == len(ways), f"{page.name}: {cells} beside {ways}"
    for cell, way in zip(cells, ways, strict=True):
        digits = len(cell.partition(".")[2])
        assert float(cell.replace(",", "")) == pytest.approx(round(factor * recorded(name, way), digits), abs=1e-9), way


def test_tables_are_found():
    assert {name for _, _, name, _, _ in tables()} >= {"overhead", "regret_nasbench101"}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_no_figure_escapes(page):
    text = page.read_text(encoding="utf-8")
    checked = {match.end() for match in (*FIGURE.finditer(text), *TABLE.finditer(text))}
    assert [match[0] for match in NAMED.finditer(text) if match.end() not in checked] == []


def test_there_are_figures():
    assert sum(len(figures(page)) for page in pages()) > 2000


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks" / "results").glob("*.json")), ids=lambda path: path.stem)
def test_a_result_says_where_it_comes_from(path):
    result = json.loads(path.read_text())
    assert {"benchmark", "date", "machine", "versions", "seeds"} <= set(result)
    assert (ROOT / "benchmarks" / result.get("script", f"{result['benchmark']}.py")).is_file()
    assert "nasplug" in result["versions"]

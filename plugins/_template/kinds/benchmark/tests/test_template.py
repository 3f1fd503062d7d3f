"""The rules for a space and an evaluator, and what the table holds."""

from __future__ import annotations

from nasplug_tables.bench import compare
from nasplug_template.benchmark import Space, Template, table

from nasplug.plugins.discovery import discover
from nasplug.testing import EvaluatorConformance, SpaceConformance


class TestSpace(SpaceConformance):
    def make_space(self) -> Space:
        return Space()


class TestTemplate(EvaluatorConformance):
    def make_evaluator(self) -> Template:
        return Template()

    def make_space(self) -> Space:
        return Space()


def test_it_is_found_by_name() -> None:
    catalog = discover().catalog
    assert catalog.get("space", "template").load() is Space
    assert catalog.get("evaluator", "template").load() is Template


def test_every_network_has_a_row() -> None:
    benchmark, space = Template(), Space()
    assert sorted(benchmark.rows(space)) == list(range(space.size())) == list(range(len(table())))


def test_strategies_can_be_compared_on_it() -> None:
    found = compare(table(), ["local_search"], space=Space(), queries=len(table()), seeds=2)
    assert set(found.outcomes) == {"random", "regularized_evolution", "local_search"}
    assert found.outcomes["random"].regret.shape == (2, len(table()))

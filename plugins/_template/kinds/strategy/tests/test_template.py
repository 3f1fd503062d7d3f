"""The rules for every strategy, and what this one is for."""

from __future__ import annotations

import pytest
from nasplug_template.strategy import Template

from nasplug.contract.errors import SpecError
from nasplug.plugins.discovery import discover
from nasplug.testing import StrategyConformance, run_search


class TestTemplate(StrategyConformance):
    def make_strategy(self) -> Template:
        return Template()


def test_it_is_found_by_name() -> None:
    assert discover().catalog.get("strategy", "template").load() is Template


def test_it_beats_random_search() -> None:
    def mean(strategy: str) -> float:
        studies = [run_search(strategy, trials=100, seed=seed) for seed in range(8)]
        return sum(study.best.values["val_acc"] for study in studies) / len(studies)

    assert mean("template") > mean("random")


@pytest.mark.parametrize("arguments", [{"temperature": 0.0}, {"cooling": 0.0}, {"cooling": 1.5}])
def test_impossible_arguments_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(SpecError):
        Template(**arguments)

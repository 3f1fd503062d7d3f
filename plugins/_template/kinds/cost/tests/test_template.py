"""The rules for every cost, and what this one counts."""

from __future__ import annotations

import pytest
from nasplug_template.cost import Template

from nasplug.contract.errors import SpecError
from nasplug.plugins.discovery import discover
from nasplug.testing import CostConformance


class TestTemplate(CostConformance):
    name = "template"

    def make_cost(self) -> Template:
        return Template()

    def test_bits(self) -> None:
        candidate = self.candidate()
        whole = Template().cost(candidate, None)["template/bytes"]
        assert whole == 4 * sum(parameter.numel() for parameter in candidate.network.parameters())
        assert Template(bits=4).cost(candidate, None)["template/bytes"] == whole / 8


def test_it_is_found_by_name() -> None:
    assert discover().catalog.get("cost", "template").load() is Template


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(SpecError):
        Template(bits=0)

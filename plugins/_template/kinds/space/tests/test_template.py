"""The rules for every space, and what this one is for."""

from __future__ import annotations

import pytest
from nasplug_template.space import Template

from nasplug.contract.errors import SpaceError
from nasplug.plugins.discovery import discover
from nasplug.testing import SpaceConformance


class TestTemplate(SpaceConformance):
    input_shapes = ((3, 16, 16), (1, 8, 8))

    def make_space(self) -> Template:
        return Template()


def test_it_is_found_by_name() -> None:
    assert discover().catalog.get("space", "template").load() is Template


def test_layers_that_are_left_out_leave_no_trace() -> None:
    space = Template()
    one = space.architecture([8, "conv3", "none", "conv5"])
    assert one.key == space.architecture([8, "none", "conv3", "conv5"]).key
    assert one.key != space.architecture([8, "conv5", "conv3", "none"]).key


@pytest.mark.parametrize("arguments", [{"layers": 0}, {"widths": ()}, {"widths": (8, 0)}])
def test_impossible_arguments_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(SpaceError):
        Template(**arguments)

"""The rules for every executor."""

from __future__ import annotations

from nasplug_template.executor import Template

from nasplug.plugins.discovery import discover
from nasplug.testing import ExecutorConformance


class TestTemplate(ExecutorConformance):
    def make_executor(self) -> Template:
        return Template()


def test_it_is_found_by_name() -> None:
    assert discover().catalog.get("executor", "template").load() is Template

"""The rules for every evaluator, and what this one is for."""

from __future__ import annotations

import sys

import pytest
from nasplug_template.evaluator import Template

from nasplug.contract.errors import SpecError
from nasplug.plugins.discovery import discover
from nasplug.testing import EvaluatorConformance, run_search

COUNT = (
    "import json, sys; given = json.load(sys.stdin); print('hello'); print(json.dumps({'val_acc': len(given['key'])}))"
)


def program(text: str) -> Template:
    return Template([sys.executable, "-c", text])


class TestTemplate(EvaluatorConformance):
    def make_evaluator(self) -> Template:
        return program(COUNT)


def test_it_is_found_by_name() -> None:
    assert discover().catalog.get("evaluator", "template").load() is Template


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise SystemExit(3)", "ended with 3"),
        ("raise ValueError('no data')", "ValueError: no data"),
        ("print('done')", "not metrics"),
        ("print('{}')", "did not answer 'val_acc'"),
    ],
)
def test_what_goes_wrong_is_said(text: str, message: str) -> None:
    (trial,) = run_search("random", evaluator=program(text), trials=1).trials
    assert trial.failure is not None
    assert message in trial.failure.message


def test_no_command_is_refused() -> None:
    with pytest.raises(SpecError):
        Template([])

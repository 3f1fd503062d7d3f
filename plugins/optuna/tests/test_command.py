"""The command of the package on the command line."""

from __future__ import annotations

import pytest

from nasplug.cli.app import main


def test_a_form_must_be_named(capsys):
    assert main(["optuna"]) == 2
    said = capsys.readouterr().err
    assert "FORM" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("arguments", [["export"], ["export", "a.sqlite"]])
def test_a_study_and_a_place_to_write_must_be_named(arguments, capsys):
    assert main(["optuna", *arguments]) == 2
    assert "OUT" in capsys.readouterr().err

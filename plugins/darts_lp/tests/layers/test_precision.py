"""Tests of `nasplug_darts_lp.layers.precision`."""

from __future__ import annotations

import subprocess
import sys

import pytest
from nasplug_darts_lp.layers.precision import Precision


def test_whatever_is_not_an_attribute_is_an_option():
    precision = Precision.of({"weight_bits": 2, "activations": "lsq", "levels": "signed", "surrogate": "quadratic"})
    assert precision == Precision(2, 4, "lsq", "uniform", {"levels": "signed", "surrogate": "quadratic"})


def test_other_bits_keep_kinds_and_options():
    precision = Precision(2, 3, "pact", "lsq", {"levels": "signed"})
    assert precision.at(None, 8) == Precision(None, 8, "pact", "lsq", {"levels": "signed"})


@pytest.mark.parametrize(
    ("bits", "floating"), [((None, None), True), ((None, 4), False), ((4, None), False), ((1, 1), False)]
)
def test_floating_point_means_that_nothing_is_quantised(bits, floating):
    assert Precision(*bits).floating_point is floating


def test_spaces_hold_it_without_torch():
    code = "import sys, nasplug_darts_lp.layers.precision; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

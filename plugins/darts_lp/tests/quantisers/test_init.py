"""Quantisers by name, and what is refused."""

from __future__ import annotations

import pytest
from nasplug_darts_lp.quantisers import (
    activation_quantiser,
    weight_quantiser,
)

from nasplug.contract.errors import SpecError, UnknownNameError


@pytest.mark.parametrize("bits", [0, 9, 2.5, True, "4"])
def test_bits_out_of_range_are_refused(bits):
    with pytest.raises(SpecError, match="1 to 8"):
        activation_quantiser("double_st", bits, 4)
    with pytest.raises(SpecError, match="1 to 8"):
        weight_quantiser("uniform", bits, 4)
    with pytest.raises(SpecError, match="1 to 8"):
        activation_quantiser("fixed", 4, 4).set_bits(bits)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("doubel_st", {}, "did you mean 'double_st'"),
        ("double_st", {"squeez": "batch"}, "did you mean 'squeeze'"),
        ("lsq", {"momentum": 0.1}, "no option 'momentum'"),
        ("double_st", {"squeeze": "batches"}, "did you mean 'batch'"),
        ("double_st", {"momentum": 0}, "momentum"),
        ("double_st", {"reduction": 0}, "reduction"),
        ("fixed", {"levels": "sign"}, "did you mean 'signed'"),
        ("fixed", {"surrogate": "relu"}, "surrogate"),
    ],
)
def test_mistakes_are_named(kind, options, message):
    with pytest.raises(SpecError, match=message):
        activation_quantiser(kind, 4, 4, **options)


def test_unknown_weights():
    with pytest.raises(UnknownNameError, match="did you mean 'uniform'"):
        weight_quantiser("unform", 4, 4)

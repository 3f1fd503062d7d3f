"""Spaces whose networks stand in tables only: searched, never built."""

from __future__ import annotations

import numpy as np
import pytest

import nasplug as nas
from nasplug.contract.errors import SpaceError, SpecError
from nasplug.testing import SpaceConformance

CHOICES = [
    nas.Choice("act", ("relu", "gelu", "ünlinear")),
    nas.Choice("width", (8, 16)),
    nas.Choice("bias", (False, True)),
]


class TestTableSpace(SpaceConformance):
    def make_space(self):
        return nas.TableSpace("acts", CHOICES)


def test_networks_are_refused_with_the_way_out():
    space = nas.TableSpace("acts", CHOICES)
    with pytest.raises(SpaceError, match=r"(?s)space 'acts'.*cannot be built.*tables only.*tabular"):
        space.build(space.sample(np.random.default_rng(0)), None)


def test_a_training_is_refused_before_it_starts():
    with pytest.raises(SpecError, match=r"(?s)TableSpace' has no networks to train.*tabular"):
        nas.search(nas.ImageClassification(), space=nas.TableSpace("acts", CHOICES), trials=1)


@pytest.mark.parametrize("texts", [np.array(["gelu", "relu"]), np.array(["gelu", "relu"]).astype("S"), None])
def test_rows_of_text_are_found_in_either_form(texts):
    space = nas.TableSpace("acts", CHOICES)
    texts = np.char.encode(np.array(["gelu", "ünlinear"]), "utf-8") if texts is None else texts
    codes = space.codes({"act": texts, "width": np.array([16, 8]), "bias": np.array([True, False])})
    found = [space.from_code(int(code)).genotype for code in codes]
    last = "relu" if texts.dtype.kind == "U" or b"relu" in texts else "ünlinear"
    assert found == [("gelu", 16, True), (last, 8, False)]


def test_text_that_is_not_an_option_is_named_as_it_reads():
    space = nas.TableSpace("acts", CHOICES)
    columns = {"act": np.array([b"gelv"]), "width": np.array([8]), "bias": np.array([True])}
    with pytest.raises(SpaceError, match=r"(?s)column 'act' holds 'gelv'.*did you mean 'gelu'"):
        space.codes(columns)

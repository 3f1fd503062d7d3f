"""The suite of spaces builds networks for inputs that a space takes."""

from __future__ import annotations

import pytest

from nasplug.contract.errors import SpecError
from nasplug.contract.io import Inputs, TensorSpec
from nasplug.testing import SpaceConformance


class Picky:
    """Takes inputs by a rule, as spaces made for one network do."""

    def __init__(self, takes, own=None):
        self._takes = takes
        if own is not None:
            self.inputs = Inputs((TensorSpec(own),))

    def check_inputs(self, inputs):
        if not self._takes(inputs.args[0].shape):
            raise SpecError("made for others")


def shapes_of(space):
    suite = SpaceConformance()
    suite.__dict__["space"] = space
    return suite.taken_shapes()


def test_inputs_that_the_space_refuses_are_left_out():
    assert shapes_of(object()) == list(SpaceConformance.input_shapes)
    assert shapes_of(Picky(lambda shape: shape[0] == 1)) == [(1, 28, 28)]


def test_a_space_for_one_input_gets_that_one():
    assert shapes_of(Picky(lambda shape: shape == (3, 16, 16), own=(3, 16, 16))) == [(3, 16, 16)]
    with pytest.raises(AssertionError, match="takes none of the inputs"):
        shapes_of(Picky(lambda shape: False))

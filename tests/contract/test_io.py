from __future__ import annotations

import json

import pytest
import torch

from nasplug.contract.errors import SpecError, TaskError
from nasplug.contract.io import Inputs, OutputSpec, TensorSpec, check_flow, check_images, inputs_of, output_of

TOKENS = {"shape": [16], "dtype": "int64", "high": 50}
MASK = {"shape": [16], "dtype": "bool"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((3, 8, 8), Inputs((TensorSpec((3, 8, 8)),))),
        ([5], Inputs((TensorSpec((5,)),))),
        (TensorSpec((4,), "bool"), Inputs((TensorSpec((4,), "bool"),))),
        (TOKENS, Inputs((TensorSpec((16,), "int64", 50),))),
        ([(3, 8, 8), TOKENS], Inputs((TensorSpec((3, 8, 8)), TensorSpec((16,), "int64", 50)))),
        (
            {"tokens": TOKENS, "mask": MASK},
            Inputs((), {"tokens": TensorSpec((16,), "int64", 50), "mask": TensorSpec((16,), "bool")}),
        ),
        ({"image": [3, 8, 8]}, Inputs((), {"image": TensorSpec((3, 8, 8))})),
        (
            {"args": [[3, 8, 8]], "kwargs": {"mask": MASK}},
            Inputs((TensorSpec((3, 8, 8)),), {"mask": TensorSpec((16,), "bool")}),
        ),
        ({"shape": [], "dtype": "int64"}, Inputs((TensorSpec((), "int64"),))),
    ],
)
def test_inputs_are_read_as_people_write_them(value, expected):
    found = Inputs.of(value)
    assert found == expected
    assert Inputs.of(found) is found
    assert Inputs.of(json.loads(json.dumps(found.to_plain()))) == found


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ((), "cannot read"),
        ("3x8x8", "cannot read '3x8x8'"),
        (7, "cannot read 7"),
        ({}, "cannot read"),
        ((3, 0, 8), "not positive integers"),
        ((3, -1), "not positive integers"),
        ({"shape": [3.5]}, "cannot read"),
        ({"shape": [4], "dtype": "int46"}, "unknown type 'int46'[\\s\\S]*int64"),
        ({"shape": [4], "dtype": "int64", "high": 0}, "high must be > 0"),
        ({"two words": [4]}, "cannot be the name of an argument"),
        ([[3, 8, 8], "mask"], "cannot read 'mask'"),
        ({"tokens": {"dtype": "int64"}}, "cannot read"),
    ],
)
def test_unreadable_inputs_are_refused(value, message):
    with pytest.raises(TaskError, match=message):
        Inputs.of(value)


def test_examples_have_the_stated_shapes_types_and_values():
    args, kwargs = Inputs.of(
        {"args": [[3, 4], {"shape": [400], "dtype": "int64", "high": 7}], "kwargs": {"mask": MASK}}
    ).example(3)
    assert [tuple(value.shape) for value in args] == [(3, 3, 4), (3, 400)]
    assert args[0].dtype == torch.float32
    assert (int(args[1].min()), int(args[1].max())) == (0, 6)
    assert kwargs["mask"].dtype == torch.bool
    assert 0 < kwargs["mask"].float().mean() < 1
    assert Inputs.of((2,)).example(1, device="meta")[0][0].device.type == "meta"


def test_examples_follow_from_the_seed_and_leave_the_generator_alone():
    before = torch.get_rng_state()
    inputs = Inputs.of([[4], [4]])
    (first, second), _ = inputs.example(2, seed=1)
    assert torch.equal(first, inputs.example(2, seed=1)[0][0])
    assert not torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())


def test_inputs_describe_themselves():
    assert str(Inputs.of((3, 8, 8))) == "an input of shape (3, 8, 8), float32"
    assert str(Inputs.of([[4], TOKENS])) == "2 inputs: (4,) float32, (16,) int64"
    assert str(Inputs.of({"mask": MASK})) == "1 input: mask=(16,) bool"


@pytest.mark.parametrize(
    ("value", "channels", "expected"),
    [
        (None, 3, ("vector", 3)),
        ("map", 3, ("map", 3)),
        ({"kind": "volume", "channels": 2}, None, ("volume", 2)),
        ({"kind": "sequence"}, 4, ("sequence", 4)),
        (OutputSpec("map", 5), None, ("map", 5)),
    ],
)
def test_outputs_are_read(value, channels, expected):
    found = OutputSpec.of(value, channels)
    assert (found.kind, found.channels) == expected


@pytest.mark.parametrize(
    ("value", "channels", "message"),
    [
        ("mapp", 3, "unknown output 'mapp'[\\s\\S]*map"),
        (7, 3, "unknown output 7"),
        ({"kin": "map"}, 3, "unknown key 'kin'"),
        ("map", None, "number of channels is missing"),
        ({"channels": 2}, 3, "channels=2, but outputs=3"),
        ("map", 0, "expected a number of channels > 0"),
        ("map", True, "expected a number of channels > 0"),
    ],
)
def test_unreadable_outputs_are_refused(value, channels, message):
    with pytest.raises(TaskError, match=message):
        OutputSpec.of(value, channels)


class Old:
    """A task that knows nothing of inputs and output."""

    input_shape, outputs = (3, 8, 8), 10


def test_a_task_with_shapes_alone_feeds_one_tensor_and_wants_a_vector():
    assert inputs_of(Old()) == Inputs.of((3, 8, 8))
    assert output_of(Old()) == OutputSpec("vector", 10)


def test_check_images():
    check_images(Inputs.of((1, 1, 1)))
    for value in ([16], [1, 4, 4, 4], TOKENS, [[3, 8, 8], [3, 8, 8]], {"x": [3, 8, 8]}):
        with pytest.raises(SpecError, match="expected one image"):
            check_images(Inputs.of(value))
    with pytest.raises(SpecError, match="at least 8 x 8"):
        check_images(Inputs.of((3, 7, 9)), least=8)


class Silent:
    """A space that states nothing."""


class Images:
    produces = ("vector", "map")

    def check_inputs(self, inputs):
        check_images(inputs)


def test_check_flow():
    check_flow(Silent(), Old(), "silent")
    check_flow(Images(), Old(), "images")
    wanting = type("Task", (Old,), {"output": "sequence"})()
    with pytest.raises(
        SpecError, match="'images' produces a vector or a map, and the task 'mine' wants a sequence"
    ) as caught:
        check_flow(Images(), wanting, "images", "mine")
    assert "Why: a sequence is (length, c)" in str(caught.value)
    assert "Do: take a space" in str(caught.value)
    text = type("Task", (Old,), {"inputs": TOKENS})()
    with pytest.raises(
        SpecError, match=r"'images' cannot take the inputs of the task 'mine'.*got an input of shape .16,., int64"
    ):
        check_flow(Images(), text, "images", "mine")


def test_data_are_not_read_for_the_check():
    class Lazy:
        shapes_need_data = True

        @property
        def input_shape(self):
            raise AssertionError("this reads data")

        outputs = input_shape

    check_flow(Images(), Lazy(), "images")


@pytest.mark.parametrize("shape", [["3", 4, 4], [3.5, 4], [True, 4], "34", None, [[3], 4]])
def test_shapes_are_integers_and_nothing_that_looks_like_them(shape):
    with pytest.raises((SpecError, TaskError)):
        Inputs.of({"x": {"shape": shape}})
    assert Inputs.of({"x": {"shape": [3, 4, 4]}}).shape == (3, 4, 4)

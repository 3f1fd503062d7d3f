import numpy as np
import pytest

from nasplug.contract.choice import Choice
from nasplug.contract.errors import SpaceError
from nasplug.spaces.numbering import Numbering
from nasplug.spaces.tree import ChoiceTree

CHOICES = [
    Choice("op", ("conv", "pool")),
    Choice("kernel", (3, 5, 7), when={"op": "conv"}),
    Choice("units", {"low": 16, "high": 64, "step": 16}),
]


def numbering(choices=CHOICES):
    return Numbering(ChoiceTree(choices, "space 'x'"), "x")


def test_codes_and_genes_turn_into_each_other():
    numbers = numbering()
    for genes in ChoiceTree(CHOICES, "x").walk():
        assert numbers.genes(numbers.code(genes)) == genes


@pytest.mark.parametrize("units", [np.array([16, 64, 32]), np.array([16.0, 64.0, 32.0])])
@pytest.mark.parametrize("kernel", [np.array([3, -1, 7]), np.array([3, None, 7], dtype=object)])
def test_columns_are_read_whatever_stands_at_inactive_choices(kernel, units):
    columns = {"op": np.array(["conv", "pool", "conv"]), "kernel": kernel, "units": units}
    assert numbering().codes(columns).tolist() == [0, 12 + 3, 2 * 4 + 1]


def test_columns_of_flags_may_hold_numbers():
    flags = numbering([Choice("a", (False, True)), Choice("b", (0, 1))])
    assert flags.codes({"a": np.array([0, 1]), "b": np.array([True, False])}).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kernel": np.array([4])}, r"column 'kernel' holds 4(.|\n)*in data row 1(.|\n)*or make it an option"),
        (
            {"op": np.array(["pool", "conv", "conv"]), "kernel": np.array([9, 3, 4]), "units": np.array([16, 16, 16])},
            r"column 'kernel' holds 4(.|\n)*in data row 3",
        ),
        ({"units": np.array([17])}, r"holds 17(.|\n)*16..64 in steps of 16"),
        ({"units": np.array([16.5])}, "holds 16.5"),
        ({"op": np.array(["cnov"])}, "did you mean 'conv'"),
    ],
)
def test_foreign_values_are_named(changed, message):
    columns = {"op": np.array(["conv"]), "kernel": np.array([3]), "units": np.array([16])}
    with pytest.raises(SpaceError, match=message):
        numbering().codes({**columns, **changed})


def test_a_space_too_large_to_number_is_refused():
    with pytest.raises(SpaceError, match="cannot be tabulated"):
        numbering([Choice("a", {"low": 0, "high": 2**63})]).codes({"a": np.array([1])})

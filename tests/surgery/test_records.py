"""Records are JSON, and what is malformed or newer is refused."""

from __future__ import annotations

import json

import pytest

from nasplug.contract.errors import SurgeryError
from nasplug.contract.io import Inputs
from nasplug.surgery.records import Edit, edit_of, is_edit, read

INPUTS = Inputs.of((3, 8, 8))


def test_a_record_says_only_what_differs_from_the_defaults() -> None:
    record = edit_of("split", {"a": [0, 2]}, noise=0.5).to_plain(INPUTS)
    assert record == {
        "surgery": 1,
        "inputs": INPUTS.to_plain(),
        "do": "split",
        "groups": {"a": [0, 2]},
        "noise": 0.5,
    }
    assert edit_of("drop", {}, modules=("b",)).to_plain(INPUTS) == {
        "surgery": 1,
        "inputs": INPUTS.to_plain(),
        "do": "drop",
        "modules": ["b"],
    }


@pytest.mark.parametrize(
    "edit",
    [
        edit_of("grow", {"a": 3, "b": [1, 1]}, init="random", seed=4),
        edit_of("remove", {"a": range(2)}, inexact=True),
        edit_of("split", {"a": (1,)}, share=0.25),
        edit_of("drop", {}, modules=("b", "c"), fill="zero"),
    ],
    ids=lambda edit: edit.do,
)
def test_what_is_written_is_read(edit: Edit) -> None:
    again, inputs = read(json.loads(json.dumps(edit.to_plain(INPUTS))))
    assert again == edit
    assert inputs == INPUTS


def test_records_are_known_by_their_version() -> None:
    record = edit_of("mask", {"a": [0]}).to_plain(INPUTS)
    assert is_edit(record)
    assert not is_edit({"by": "deepen"})
    with pytest.raises(SurgeryError, match=r"(?s)has version 2.*reads version 1.*update nasplug"):
        read({**record, "surgery": 2})


@pytest.mark.parametrize(
    "change", [{"do": "melt"}, {"groups": {"a": "all"}}, {"groups": {"a": [0.5]}}, {"more": 1}, {"fill": "noise"}]
)
def test_malformed_records_are_refused(change: dict[str, object]) -> None:
    record = {**edit_of("remove", {"a": [0]}).to_plain(INPUTS), **change}
    with pytest.raises(SurgeryError, match="malformed"):
        read(record)  # type: ignore[arg-type]


def test_a_record_without_inputs_is_malformed() -> None:
    record = edit_of("remove", {"a": [0]}).to_plain(INPUTS)
    del record["inputs"]
    with pytest.raises(SurgeryError, match="malformed"):
        read(record)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"share": 1.5}, "between 0 and 1"), ({"noise": -1.0}, "not negative"), ({"noise": float("inf")}, "finite")],
)
def test_shares_and_noise_have_bounds(settings: dict[str, float], message: str) -> None:
    with pytest.raises(SurgeryError, match=message):
        edit_of("split", {"a": [0]}, **settings)


def test_edits_that_keep_the_function() -> None:
    assert edit_of("grow", {"a": 1}).keeps
    assert not edit_of("grow", {"a": 1}, init="random").keeps
    assert not edit_of("drop", {}, modules=("b",)).keeps

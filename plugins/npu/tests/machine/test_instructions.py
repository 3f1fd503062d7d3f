"""Instructions: what is encoded is decoded, and what does not fit is refused."""

from __future__ import annotations

import random

import pytest
from nasplug_npu.machine.instructions import ENGINES, INSTRUCTIONS, decode, encode, table

from nasplug.contract.errors import SpecError


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_encoded_is_decoded(engine):
    rng = random.Random(0)
    for _ in range(20):
        values = {
            field.name: rng.randrange(-(1 << field.bits - 1), 1 << field.bits - 1)
            if field.signed
            else rng.randrange(1 << field.bits)
            for field in INSTRUCTIONS[engine]
        }
        assert decode(engine, encode(engine, values)) == values


def test_fields_that_do_not_fit_or_exist_are_refused():
    with pytest.raises(SpecError, match="chunks is 1024, and has 10 bits"):
        encode("compute", {"chunks": 1024})
    with pytest.raises(SpecError, match="unknown field 'chunk'"):
        encode("compute", {"chunk": 1})


def test_the_table_lists_every_field():
    assert [row[0] for row in table("store")] == [field.name for field in INSTRUCTIONS["store"]]

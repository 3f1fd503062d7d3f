"""JSON of strangers is parsed, or refused with a ValueError."""

from __future__ import annotations

import pytest

from nasplug.contract.jsondata import parse_json


def test_json_is_what_json_says():
    assert parse_json('{"a": [1, 2.5, null, "x"]}') == {"a": [1, 2.5, None, "x"]}
    assert parse_json(b"3") == 3


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, b"\xff\xfe\x00", '{"a": ' * 100_000, "9" * 5000])
def test_whatever_is_wrong_is_a_value_error(text):
    with pytest.raises(ValueError, match=r".+"):
        parse_json(text)

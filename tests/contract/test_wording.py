"""Counts agree with their nouns."""

from __future__ import annotations

import pytest

from nasplug.contract.wording import plural


@pytest.mark.parametrize(
    ("count", "noun", "says"),
    [
        (0, "trial", "0 trials"),
        (1, "trial", "1 trial"),
        (2, "finished trial", "2 finished trials"),
        (1, "query", "1 query"),
        (12_500, "query", "12,500 queries"),
        (3, "array", "3 arrays"),
        (3, "class", "3 classes"),
        (2, "batch", "2 batches"),
        (2, "branch", "2 branches"),
        (2, "box", "2 boxes"),
        (2, "epoch", "2 epochs"),
    ],
)
def test_regular_nouns_agree_with_their_number(count, noun, says):
    assert plural(count, noun) == says


def test_irregular_nouns_and_verbs_are_given_in_both_forms():
    assert [plural(n, "trial is", "trials are") for n in (0, 1, 2)] == ["0 trials are", "1 trial is", "2 trials are"]
    assert plural(7, "vertex", "vertices") == "7 vertices"

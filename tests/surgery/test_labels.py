"""Labels that are tied are one channel, and flaws belong to channels."""

from __future__ import annotations

import numpy as np

from nasplug.surgery.labels import LabelBook


def test_labels_are_given_out_once() -> None:
    book = LabelBook()
    assert book.new(3).tolist() == [0, 1, 2]
    assert book.new(2).tolist() == [3, 4]
    assert book.size == 5


def test_ties_are_transitive_and_broadcast() -> None:
    book = LabelBook()
    one, other, third = book.new(4), book.new(4), book.new(2)
    book.tie(one, other)
    book.tie(other.reshape(2, 2), third[:, None])  # a row of two with each of the third
    channels = book.channels()
    assert channels[one].tolist() == channels[other].tolist()
    assert channels[0] == channels[1] == channels[third[0]]
    assert channels[2] == channels[3] == channels[third[1]]
    assert channels[0] != channels[2]
    assert len(set(channels.tolist())) == 2


def test_a_tie_with_itself_changes_nothing() -> None:
    book = LabelBook()
    own = book.new(3)
    book.tie(own, own)
    assert len(set(book.channels().tolist())) == 3


def test_the_first_reason_of_a_channel_counts_and_ties_share_it() -> None:
    book = LabelBook()
    one, other = book.new(2), book.new(2)
    book.tie(one[:1], other[:1])
    book.fix([None, one[:1]], "first")
    book.fix([other], "second")
    book.flaw("split", other[1:], "third")
    channels = book.channels()
    flaws = book.flaws(channels)
    assert flaws["fixed"] == {channels[0]: "first", channels[3]: "second"}
    assert flaws["split"] == {channels[3]: "third"}
    assert flaws["removal"] == {}
    assert channels[1] not in flaws["fixed"]


def test_an_empty_book_has_no_channels() -> None:
    assert LabelBook().channels().tolist() == []
    assert np.issubdtype(LabelBook().channels().dtype, np.int64)

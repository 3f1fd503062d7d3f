"""The record framing of TFRecord files, without TensorFlow.

A record is its length (8 bytes, little endian), a checksum of these 8 bytes, the data, and a checksum of the data. Both
checksums are CRC-32C, rotated right by 15 bits and increased by a constant (documented in TensorFlow's TFRecord guide);
both are checked. Those of the data are computed for a batch of records at once, a byte of each at a time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import DataError

_HEADER, _FOOTER = struct.Struct("<QI"), struct.Struct("<I")
#: The Castagnoli polynomial, bits reversed.
_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8
#: Records whose checksums are computed together, and the longest record that is believed.
_BATCH, _LONGEST = 4096, 1 << 24


def read_records(path: Path, expected: str) -> Iterator[bytes]:
    """Yields the data of every record, in order; a record comes out only after its checksum was right.

    Args:
        path: The file.
        expected: Description of what the file should be, for messages.

    Raises:
        DataError: The file is missing or empty, ends inside a record, or a checksum is wrong.
    """
    if not path.is_file():
        raise DataError("there is no such file", where=str(path), fix="check the path")
    with path.open("rb") as file:
        first = 0
        while batch := _read_batch(file, path, first, expected):
            data = [record for record, _ in batch]
            wrong = np.flatnonzero(masked_crc32c(data) != np.array([checksum for _, checksum in batch], np.uint32))
            if wrong.size:
                raise _broken(path, first + int(wrong[0]), "the checksum of its data is wrong", expected)
            yield from data
            first += len(batch)
    if first == 0:
        raise DataError(
            f"the file is empty, so it is not {expected}", where=str(path), fix="fetch it again from its source"
        )


def _read_batch(file: IO[bytes], path: Path, first: int, expected: str) -> list[tuple[bytes, int]]:
    batch: list[tuple[bytes, int]] = []
    while len(batch) < _BATCH and (header := file.read(_HEADER.size)):
        number = first + len(batch)
        length = _length(header)
        if length is None:
            raise _broken(path, number, "the checksum of its length is wrong", expected)
        body = file.read(length + _FOOTER.size)
        if len(body) < length + _FOOTER.size:
            raise _broken(path, number, "the file ends inside it", expected)
        batch.append((body[:length], _FOOTER.unpack_from(body, length)[0]))
    return batch


@cache
def _known_length(header: bytes) -> int | None:
    length, checksum = _HEADER.unpack(header)
    if length > _LONGEST or masked_crc32c([header[:8]])[0] != checksum:
        return None
    return int(length)


def _length(header: bytes) -> int | None:
    # Records of a benchmark have a few hundred different lengths, so each header is checked once.
    return _known_length(header) if len(header) == _HEADER.size else None


def _broken(path: Path, number: int, why: str, expected: str) -> DataError:
    return DataError(
        f"record {number} cannot be read, so the file is not {expected}, or only a part of it",
        where=str(path),
        why=why,
        fix="fetch it again from its official source",
    )


def masked_crc32c(records: Sequence[bytes]) -> npt.NDArray[np.uint32]:
    """Checksums of several records, as TFRecord files store them.

    Args:
        records: Any number of byte strings.

    Returns:
        One checksum per record, shape (records,).
    """
    lengths = np.array([len(record) for record in records], dtype=np.int64)
    order = np.argsort(-lengths, kind="stable")
    width = int(lengths.max(initial=0))
    padded = np.zeros((width, len(records)), dtype=np.uint8)
    for column, position in enumerate(order):
        padded[: lengths[position], column] = np.frombuffer(records[position], dtype=np.uint8)
    #: How many records, the longest first, have a byte at each position.
    active = len(records) - np.searchsorted(np.sort(lengths), np.arange(width), side="right")
    table = _table()
    state = np.full(len(records), 0xFFFFFFFF, dtype=np.uint32)
    for position in range(width):
        part = state[: active[position]]
        part[:] = table[(part ^ padded[position, : active[position]]) & 0xFF] ^ (part >> np.uint32(8))
    found = np.empty(len(records), dtype=np.uint32)
    found[order] = ~state
    return (found >> np.uint32(15) | found << np.uint32(17)) + np.uint32(_MASK_DELTA)


@cache
def _table() -> npt.NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> np.uint32(1) ^ np.uint32(_POLYNOMIAL), table >> np.uint32(1))
    return table

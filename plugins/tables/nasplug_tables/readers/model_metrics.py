"""The protocol-buffer message in which NAS-Bench-101 stores a training, read without the protobuf library.

Message `ModelMetrics` (model_metrics.proto in the benchmark's repository): field 1, repeated, the evaluations; field 2,
the number of trainable parameters; field 3, the total time. An evaluation has the doubles 1 current_epoch, 2
training_time, 3 train_accuracy, 4 validation_accuracy, 5 test_accuracy, and a path. Unknown fields are passed over, as
the format demands.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import NamedTuple

_DOUBLE = struct.Struct("<d")
#: Five doubles in order and nothing else: how the benchmark's files have it, and by far the fastest way to read it.
_PLAIN, _PLAIN_KEYS = struct.Struct("<BdBdBdBdBd"), (0x09, 0x11, 0x19, 0x21, 0x29)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Evaluation(NamedTuple):
    """One look at a network during its training; what is not stored is NaN.

    Attributes:
        epoch: Epochs trained so far.
        seconds: Training time so far.
        train: Accuracy on part of the training images, as a fraction.
        validation: Accuracy on the validation images.
        test: Accuracy on the test images.
    """

    epoch: float = math.nan
    seconds: float = math.nan
    train: float = math.nan
    validation: float = math.nan
    test: float = math.nan


class ModelMetrics(NamedTuple):
    """One training: its evaluations in order (start, half-way, end) and the size of the network."""

    evaluations: list[Evaluation]
    parameters: int


def parse(data: bytes) -> ModelMetrics:
    """Reads the message.

    Raises:
        ValueError: It is truncated or of another type.
    """
    evaluations, parameters = [], 0
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            evaluations.append(_evaluation(value))
        elif number == 2 and isinstance(value, int):
            parameters = value
    return ModelMetrics(evaluations, parameters)


def _evaluation(data: bytes) -> Evaluation:
    if len(data) == _PLAIN.size and (plain := _PLAIN.unpack(data))[::2] == _PLAIN_KEYS:
        return Evaluation(*plain[1::2])
    values = [math.nan] * 5
    for number, value in _fields(data):
        if number <= 5:
            if not isinstance(value, float):
                raise ValueError(f"field {number} of an evaluation is not a double")
            values[number - 1] = value
    return Evaluation(*values)


def _fields(data: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """(number, value) of every field; fixed fields of 8 bytes are taken as doubles."""
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError("a field has the number 0")
        if kind == _VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if kind == _BYTES:
            size, position = _varint(data, position)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"field {number} is of the unknown type {kind}")
        if position + size > end:
            raise ValueError(f"it ends inside field {number}")
        if kind == _FIXED64:
            yield number, _DOUBLE.unpack_from(data, position)[0]
        else:
            yield number, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """An integer of seven bits per byte, and the position after it."""
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("an integer does not end")

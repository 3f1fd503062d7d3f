"""Writers of small files in the formats in which the benchmarks are published, written from their descriptions."""

from __future__ import annotations

import base64
import json
import struct


def crc32c(data: bytes) -> int:
    """CRC-32C bit by bit."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    value = crc32c(data)
    return struct.pack("<I", (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def tfrecord(records: list[bytes]) -> bytes:
    framed = []
    for data in records:
        length = struct.pack("<Q", len(data))
        framed.append(length + masked(length) + data + masked(data))
    return b"".join(framed)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def evaluation(epoch: float, seconds: float, train: float, validation: float, test: float, path: str = "") -> bytes:
    fields = enumerate((epoch, seconds, train, validation, test), start=1)
    body = b"".join(bytes([number << 3 | 1]) + struct.pack("<d", value) for number, value in fields)
    return body + (b"\x32" + varint(len(path)) + path.encode() if path else b"")


def model_metrics(evaluations: list[bytes], parameters: int, seconds: float = 1.0) -> bytes:
    body = b"".join(b"\x0a" + varint(len(item)) + item for item in evaluations)
    return body + b"\x10" + varint(parameters) + b"\x19" + struct.pack("<d", seconds)


def training(name: str, epoch_count: int, matrix: str, operations: str, metrics: bytes) -> bytes:
    """One record of NAS-Bench-101."""
    return json.dumps([name, epoch_count, matrix, operations, base64.b64encode(metrics).decode()]).encode()

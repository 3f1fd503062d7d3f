"""Archives of arrays."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from tests.faults.formats.payloads import Payload, archive, pickles


def npz(folder: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(
        folder / "data.npz",
        x_train=rng.integers(0, 255, (12, 4, 4), dtype=np.uint8),
        y_train=np.arange(12) % 3,
        x_test=rng.integers(0, 255, (6, 4, 4), dtype=np.uint8),
        y_test=np.arange(6) % 3,
    )


def _npy(shape: object, kind: str = "<f8", data: bytes = b"", header: str = "") -> bytes:
    text = header or f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n" + data


def npz_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    """Archives of arrays that hold objects, sizes, names and members that no `numpy.savez` writes."""
    y = _npy((3,), "<i8", np.arange(3).tobytes())
    objects = io.BytesIO()
    np.save(objects, np.array([Payload(folder)], dtype=object), allow_pickle=True)
    yield (
        "of objects",
        archive({"x_train.npy": objects.getvalue(), "y_train.npy": y, "vectors.npy": objects.getvalue()}),
    )
    for name, text in pickles(folder):
        yield name, text
        yield f"{name} as a member", archive({"x_train.npy": text, "y_train.npy": y, "vectors.npy": text})
    for what, array in {
        "a terabyte": _npy((10**12,), "<f8", bytes(80)),
        "more than there is": _npy((2**62, 2**62), "<f8", bytes(80)),
        "a negative size": _npy((-3, 4), "<f8", bytes(96)),
        "a size in words": _npy((3,), header="{'descr': '<f8', 'fortran_order': False, 'shape': ('x',), }"),
        "a header that is code": _npy((3,), header=f"__import__('os').system('touch {folder}/PWNED')"),
        "a header of depth": _npy((3,), header="(" * 5000),
        "a header without end": _npy((3,), header="{'descr': '<f8"),
        "a header of numbers": _npy((3,), header="3"),
        "a strange type": _npy((3,), "|V1000000000"),
        "a record": _npy(
            (3,), header="{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3,), }", data=bytes(24)
        ),
        "nothing": b"",
        "text": b"hello",
        "one number": _npy((), "<f8", bytes(8)),
        "texts": _npy((3,), "<U1", bytes(12)),
        "complex numbers": _npy((3,), "<c16", bytes(48)),
        "dates": _npy((3,), "<M8[s]", bytes(24)),
        "no rows": _npy((0, 4, 4), "<f8", b""),
    }.items():
        yield f"of {what}", archive({"x_train.npy": array, "y_train.npy": y, "vectors.npy": array, "owner.npy": array})
        yield f"of {what} alone", array
    zeros = _npy((60_000_000,), "|u1", b"")
    yield "that grows", archive({"x_train.npy": zeros + bytes(60_000_000), "y_train.npy": y}, compress=True)
    yield "with a path", archive({"../../PWNED": b"x", "/tmp/PWNED": b"x", "x_train.npy": y, "y_train.npy": y})
    encrypted = bytearray(good)
    encrypted[6] |= 1
    encrypted[encrypted.rfind(b"PK\x01\x02") + 8] |= 1
    yield "that is locked", bytes(encrypted)
    odd = bytearray(good)
    odd[odd.find(b"PK\x01\x02") + 10] = 99
    yield "packed in an unknown way", bytes(odd)
    yield "twice", good + good
    yield "of nothing", archive({})


def load_npz(path: Path) -> object:
    from nasplug.data.npz import Npz

    return Npz(str(path)).load()


def load_npz_table(path: Path) -> object:
    from nasplug.data.table import Table

    return Table(str(path)).load("classes")


def jpegs(folder: Path) -> None:
    """The compact layout of many JPEG files in one archive."""
    files = []
    for shade in (10, 90, 200):
        file = io.BytesIO()
        Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(file, "JPEG")
        files.append(file.getvalue())
    start = files[0].index(b"\xff\xda")
    payload = b"".join(file[start:] for file in files)
    offsets = np.cumsum([0, *(len(file) - start for file in files)])
    np.savez(
        folder / "jpegs.npz",
        header=np.frombuffer(files[0][:start], np.uint8),
        payload_train=np.frombuffer(payload, np.uint8),
        offsets_train=offsets,
        y_train=np.array([0, 1, 2]),
    )


def jpegs_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    with np.load(io.BytesIO(good)) as file:
        parts = dict(file.items())
    for what, offsets in {
        "backwards": parts["offsets_train"][::-1],
        "behind the end": parts["offsets_train"] * 1000,
        "negative": -parts["offsets_train"],
        "huge": np.array([0, 2**62, 2**63 - 1]),
        "NaN": np.array([0.0, np.nan, 5.0]),
        "in two dimensions": parts["offsets_train"][None],
        "missing": np.array([], np.int64),
        "in words": np.array(["a", "b"]),
    }.items():
        file = io.BytesIO()
        np.savez(file, **{**parts, "offsets_train": offsets})
        yield f"with offsets {what}", file.getvalue()


def vectors(folder: Path) -> None:
    from nasplug_infonas.strategies.embedded import _owner

    owner = _owner([], SimpleNamespace(fingerprint="a"), "network")  # type: ignore[arg-type]
    np.savez(folder / "vectors.npz", vectors=np.zeros((0, 2), np.float32), owner=np.array(owner))


def load_vectors(path: Path) -> object:
    from nasplug_infonas.strategies.embedded import load_vectors

    return load_vectors(path, [], SimpleNamespace(fingerprint="a"), "network")  # type: ignore[arg-type]


def labelled(folder: Path) -> None:
    from nasplug_infonas.iodata import IOData, LabelledNetwork

    network = LabelledNetwork(
        (0, 1), np.zeros((4, 3), np.float32), np.zeros((2, 3), np.float32), np.zeros(2, np.float32), 0.5
    )
    IOData("nasbench201", np.zeros((4, 1, 2, 2), np.uint8), np.zeros(4, np.int64), (network,)).save(
        folder / "labelled.npz"
    )


def load_labelled(path: Path) -> object:
    from nasplug_infonas.iodata import IOData

    return IOData.load(path)

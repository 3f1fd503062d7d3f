"""Weights of networks: safetensors and torch."""

from __future__ import annotations

import io
import json
import pickle
import struct
from collections.abc import Iterable
from pathlib import Path

from tests.faults.formats.payloads import Payload, archive, pickles


def safetensors(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(3, 4), "b": torch.ones(2)}, folder / "weights.safetensors")


def safetensors_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    """Headers that promise, overlap, point outside or nest."""

    def made(header: object, data: bytes = b"", length: int | None = None) -> bytes:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(text) if length is None else length) + text + data

    tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    yield "of a huge header", made(b"{}", length=2**60)
    yield "of depth", made(b"[" * 200_000)
    yield "of numbers", made(b"3")
    yield "of tensors that overlap", made({"a": tensor, "b": tensor}, bytes(8))
    yield "of tensors behind the end", made({"a": {**tensor, "data_offsets": [0, 2**40]}}, bytes(8))
    yield "of huge tensors", made({"a": {**tensor, "shape": [2**40, 2**40]}}, bytes(8))
    yield "of negative sizes", made({"a": {**tensor, "shape": [-2]}}, bytes(8))
    yield "of offsets backwards", made({"a": {**tensor, "data_offsets": [8, 0]}}, bytes(8))
    yield "of an unknown type", made({"a": {**tensor, "dtype": "X9"}}, bytes(8))
    yield (
        "of a name twice",
        made(b'{"a": ' + json.dumps(tensor).encode() + b', "a": ' + json.dumps(tensor).encode() + b"}", bytes(8)),
    )
    yield "of facts of facts", made({"__metadata__": {"a": {"b": 1}}, "a": tensor}, bytes(8))
    yield "of no tensor", made({})
    yield from pickles(folder)[:4]
    yield (
        "of facts that are code",
        made({"__metadata__": {"nasplug_infonas": "__import__('os')"}, "a": tensor}, bytes(8)),
    )
    for what, facts in {
        "depth": "[" * 100_000,
        "numbers": "3",
        "nothing": "{}",
        "lists": '{"format": [], "encoding": 3}',
    }.items():
        yield f"of facts of {what}", made({"__metadata__": {"nasplug_infonas": facts}, "a": tensor}, bytes(8))


def read_pretrained(path: Path) -> object:
    from nasplug.evaluate.pretrained import read

    return read(path)


def read_kept(path: Path) -> object:
    from nasplug.evaluate.weights import read_tensors

    return read_tensors(path)


def torch_weights(folder: Path) -> None:
    import torch

    torch.save({"state_dict": {"a": torch.zeros(3, 4), "b": torch.ones(2)}}, folder / "weights.pt")


def torch_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    """Pickles in every container of torch."""
    import torch

    for name, text in pickles(folder):
        yield name, text
        yield (
            f"{name} in an archive",
            archive({"archive/data.pkl": text, "archive/version": b"3", "archive/byteorder": b"little"}),
        )
    file = io.BytesIO()
    torch.save({"a": Payload(folder)}, file)
    yield "of torch", file.getvalue()
    file = io.BytesIO()
    torch.save({"a": Payload(folder)}, file, _use_new_zipfile_serialization=False)
    yield "of old torch", file.getvalue()
    file = io.BytesIO()
    torch.save(torch.nn.Linear(2, 2), file)
    yield "of a whole network", file.getvalue()
    for what, kept in {
        "numbers": 3,
        "lists": [1],
        "texts": {"a": "b"},
        "nothing": {},
        "numbers as names": {3: torch.ones(1)},
    }.items():
        file = io.BytesIO()
        torch.save(kept, file)
        yield f"of {what}", file.getvalue()
    yield "with a path", archive({"../../PWNED": b"x", "archive/data.pkl": pickle.dumps({})})


def encoder(folder: Path) -> None:
    from nasplug_infonas.embedder import Embedder
    from nasplug_infonas.encoding import Encoding
    from nasplug_infonas.models.vae import GraphVAE, VAESettings

    encoding = Encoding(("input", "output"), 2)
    Embedder(encoding, GraphVAE(2, 2, VAESettings())).save(folder / "encoder.safetensors")


def read_encoder(path: Path) -> object:
    from nasplug_infonas.embedder import Embedder

    return Embedder.load(path)

"""A space as a cloud of points: its architectures, each with its vector."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import StorageError
from nasplug.contract.protocols import Enumerates
from nasplug.contract.records import Architecture
from nasplug.data.archives import arrays_in
from nasplug_infonas.embedder import Embedder, Kind
from nasplug_infonas.encoding import representatives

#: Vectors computed in this process, by what they were made from; the last few are kept.
_VECTORS: OrderedDict[tuple[str, str, str], NDArray[np.float32]] = OrderedDict()
_KEPT = 4
#: Clouds of spaces that are alive, for many searches over one space object.
_CLOUDS: WeakKeyDictionary[Any, dict[tuple[Any, ...], EmbeddedSpace]] = WeakKeyDictionary()


class EmbeddedSpace:
    """Architectures with their vectors: all of a finite space, or a sample of an endless one.

    Architectures that a space calls equal are there once.

    Args:
        architectures: Distinct ones.
        vectors: Float32 (N, d).
    """

    def __init__(self, architectures: list[Architecture], vectors: NDArray[np.float32]) -> None:
        self.architectures, self.vectors = architectures, vectors
        self._half = 0.5 * np.einsum("ij,ij->i", vectors, vectors)
        self._rows: dict[str, int] | None = None

    @classmethod
    def of(
        cls,
        space: Any,
        embedder: Embedder,
        kind: Kind = "mean",
        *,
        most: int = 500_000,
        sample: int = 20_000,
        vectors: str | Path | None = None,
    ) -> EmbeddedSpace:
        """Embeds a space.

        Args:
            space: Space with graphs.
            embedder: The encoder.
            kind: Kind of embedding.
            most: A finite space of at most so many genotypes is taken whole.
            sample: Number of architectures drawn from any other space.
            vectors: File of `save_vectors`, which saves the time of embedding a large space.

        Raises:
            SpaceError: The space has no graphs, or they do not fit the encoder.
            StorageError: The file belongs to another space or encoder.
        """
        setting = (embedder.fingerprint, kind, most, sample, str(vectors))
        try:
            known = _CLOUDS.setdefault(space, {})
        except TypeError:  # a space that cannot be hashed or weakly referred to
            known = {}
        if setting not in known:
            known[setting] = cls._embedded(space, embedder, kind, most, sample, vectors)
        return known[setting]

    @classmethod
    def _embedded(
        cls, space: Any, embedder: Embedder, kind: Kind, most: int, sample: int, vectors: str | Path | None
    ) -> EmbeddedSpace:
        if isinstance(space, Enumerates) and space.size() <= most:
            everything: Iterable[Architecture] = space
        else:
            everything = representatives(space, sample)
        architectures = list({item.key: item for item in reversed(list(everything))}.values())[::-1]
        if vectors is not None:
            return cls(architectures, load_vectors(vectors, architectures, embedder, kind))
        graphs = embedder.encoding.encode_space(space, architectures)
        made_from = (embedder.fingerprint, kind, graphs.digest)
        if made_from not in _VECTORS:
            _VECTORS[made_from] = embedder.embed_encoded(graphs, kind)
            while len(_VECTORS) > _KEPT:
                _VECTORS.popitem(last=False)
        return cls(architectures, _VECTORS[made_from])

    def __len__(self) -> int:
        return len(self.architectures)

    def row(self, architecture: Architecture) -> int | None:
        """Where an architecture is, or None."""
        if self._rows is None:
            self._rows = {item.key: row for row, item in enumerate(self.architectures)}
        return self._rows.get(architecture.key)

    def nearest(self, point: NDArray[np.float32], taken: NDArray[np.bool_]) -> int | None:
        """The row nearest to a point (d,) among those that are not taken (N,); None if all are. Ties: the first."""
        distance = np.where(taken, np.inf, self._half - self.vectors @ point)
        row = int(distance.argmin())
        return None if np.isinf(distance[row]) else row


def save_vectors(path: str | Path, cloud: EmbeddedSpace, embedder: Embedder, kind: Kind) -> Path:
    """Writes vectors as .npz, with the names of encoder and embedding."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez(file, vectors=cloud.vectors, owner=np.array(_owner(cloud.architectures, embedder, kind)))
    return path


def load_vectors(
    path: str | Path, architectures: list[Architecture], embedder: Embedder, kind: Kind
) -> NDArray[np.float32]:
    """Reads what `save_vectors` wrote.

    Raises:
        StorageError: The file is missing, damaged, or belongs to other architectures or to another encoder.
    """
    where = str(path)
    fix = "make them with `nasplug infonas embed`"
    with arrays_in(path, what="the vectors", fix=fix, error=StorageError) as file:
        vectors: NDArray[np.float32] = file["vectors"]
        owner = str(file["owner"])
    if owner != _owner(architectures, embedder, kind) or len(vectors) != len(architectures):
        raise StorageError(
            "these vectors belong to another space, encoder or embedding",
            where=where,
            fix="make them anew with `nasplug infonas embed`",
        )
    return vectors


def _owner(architectures: list[Architecture], embedder: Embedder, kind: Kind) -> str:
    names = hashlib.blake2b(digest_size=12)
    for item in architectures:
        names.update(item.key.encode())
        names.update(b"\n")
    return f"{kind} {embedder.fingerprint} {names.hexdigest()}"

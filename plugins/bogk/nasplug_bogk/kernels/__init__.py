"""Graph kernels by name: `wl`, `sp`, `rw`, `gcn`, `gcn_infinite`, and sums such as `gcn_infinite+rw`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from nasplug.contract.errors import SpecError, UnknownNameError, did_you_mean
from nasplug_bogk.kernels.convolution import GraphConvolution
from nasplug_bogk.kernels.counts import CountEmbedding
from nasplug_bogk.kernels.embedding import Embedding
from nasplug_bogk.kernels.graph_kernel import EmbeddingKernel, GraphKernel, Part, Shape
from nasplug_bogk.kernels.infinite import InfiniteGraphConvolution
from nasplug_bogk.kernels.random_walk import RandomWalk
from nasplug_bogk.kernels.shortest_path import ShortestPath
from nasplug_bogk.kernels.weisfeiler_lehman import WeisfeilerLehman

__all__ = [
    "EMBEDDINGS",
    "CountEmbedding",
    "Embedding",
    "EmbeddingKernel",
    "GraphConvolution",
    "GraphKernel",
    "InfiniteGraphConvolution",
    "Part",
    "RandomWalk",
    "ShortestPath",
    "WeisfeilerLehman",
    "make_kernel",
]

#: Embeddings by the name that a specification uses.
EMBEDDINGS: dict[str, Callable[..., Embedding]] = {
    "wl": WeisfeilerLehman,
    "sp": ShortestPath,
    "rw": RandomWalk,
    "gcn": GraphConvolution,
    "gcn_infinite": InfiniteGraphConvolution,
}


def make_kernel(
    name: str, shape: Shape | None = None, options: Mapping[str, Mapping[str, Any]] | None = None
) -> EmbeddingKernel:
    """A kernel whose parameters are still to be fitted.

    Args:
        name: A name out of `EMBEDDINGS`, or several joined by `+`.
        shape: Function by which similarity falls with distance; None: `linear` for `wl` alone, `matern52` for
            everything else.
        options: Keyword arguments of the embeddings, by their names, e.g. `{"gcn": {"width": 512}}`.

    Raises:
        UnknownNameError: There is no such embedding, or options are given for one that is not used.
        SpecError: An unknown shape, a name given twice, or options that the embedding does not take.
    """
    names = [part.strip() for part in name.split("+")]
    for each in names:
        if each not in EMBEDDINGS:
            raise UnknownNameError(
                f"there is no graph kernel {each!r}", where="bogk", fix=did_you_mean(each, EMBEDDINGS)
            )
    if len(set(names)) != len(names):
        raise SpecError(f"the kernel {name!r} has the same part twice", where="bogk")
    if shape is None:
        shape = "linear" if names == ["wl"] else "matern52"
    if shape not in get_args(Shape):
        raise SpecError(f"there is no shape {shape!r}", where="bogk", fix=did_you_mean(shape, get_args(Shape)))
    for each in options or {}:
        if each not in names:
            raise UnknownNameError(
                f"options are given for the kernel {each!r}, which is not used",
                where="bogk",
                fix=did_you_mean(each, names),
            )
    parts = []
    for each in names:
        try:
            embedding = EMBEDDINGS[each](**(options or {}).get(each, {}))
        except TypeError as error:
            raise SpecError(f"the kernel {each!r} does not take these options", where="bogk", why=str(error)) from error
        parts.append(Part(embedding, len(embedding.variants) // 2, 1.0, 1.0 / len(names)))
    return EmbeddingKernel(tuple(parts), shape)

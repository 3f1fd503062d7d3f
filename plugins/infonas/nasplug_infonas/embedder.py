"""A trained encoder as one thing: graphs in, vectors out; kept in one safetensors file."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from nasplug.contract.errors import SpecError, StorageError
from nasplug.contract.jsondata import parse_json
from nasplug.contract.records import Architecture
from nasplug.spaces.graph import Graph
from nasplug_infonas.encoding import EncodedGraphs, Encoding

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nasplug_infonas.models.vae import GraphVAE

#: Of the file; another number is refused.
FORMAT = 1
_BATCH = 4096
#: Share of operations and of edges that a good encoder gives back, at least; arch2vec is published with 0.98 and more.
GOOD_RECONSTRUCTION = 0.9

Kind = Literal["mean", "codes", "dense"]


class Embedder:
    """Turns graphs into vectors.

    * `mean`: the mean of the codes of all rows, padded ones included, D numbers. This is what arch2vec and info-NAS
      ("model 2") are used with.
    * `codes`: the codes of all rows side by side, V D numbers. Knows more than their mean, for regressors that can use
      it.
    * `dense`: the layer through which the regressor of info-NAS sees the codes ("model 1"); only for encoders that
      were trained with one.

    Args:
        encoding: Encoding of the graphs.
        vae: The trained autoencoder.
        dense: Linear layer from all codes of a graph, V D numbers, to a vector.
        statistics: Mean and standard deviation of the codes of the training graphs, float (V, D) each, from which new
            graphs are drawn.
        facts: JSON data about the training, for humans.
    """

    def __init__(
        self,
        encoding: Encoding,
        vae: GraphVAE,
        *,
        dense: nn.Linear | None = None,
        statistics: tuple[Tensor, Tensor] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.encoding, self.vae, self.dense = encoding, vae.eval(), dense
        self.statistics = statistics
        self.facts = dict(facts or {})

    def codes(self, graphs: EncodedGraphs, batch: int = _BATCH) -> NDArray[np.float32]:
        """Codes float32 (N, V, D) of encoded graphs, in evaluation mode."""
        import torch

        found = np.empty((len(graphs), self.encoding.nodes, self.vae.settings.latent), dtype=np.float32)
        self.vae.eval()
        with torch.inference_mode():
            for start in range(0, len(graphs), batch):
                part = graphs[start : start + batch]
                codes = self.vae.encode(torch.from_numpy(part.operations), torch.from_numpy(part.adjacency))
                found[start : start + batch] = codes.mean.numpy()
        return found

    def embed_encoded(self, graphs: EncodedGraphs, kind: Kind = "mean", batch: int = _BATCH) -> NDArray[np.float32]:
        """Vectors float32 (N, d) of encoded graphs.

        Raises:
            SpecError: `dense` is asked of an encoder that has no such layer.
        """
        if kind == "codes":
            return self.codes(graphs, batch).reshape(len(graphs), -1)
        if kind == "mean":
            return np.concatenate(
                [self.codes(graphs[i : i + batch], batch).mean(axis=1) for i in range(0, len(graphs), batch)]
                or [np.empty((0, self.vae.settings.latent), dtype=np.float32)]
            )
        if kind != "dense" or self.dense is None:
            raise SpecError(
                f"this encoder has no embedding {kind!r}",
                where="Embedder",
                fix="use mean or codes; dense is there after a training with info-NAS",
            )
        import torch

        with torch.inference_mode():
            vectors: NDArray[np.float32] = self.dense(torch.from_numpy(self.codes(graphs, batch)).flatten(1)).numpy()
        return vectors

    def embed(self, graphs: Iterable[Graph], kind: Kind = "mean") -> NDArray[np.float32]:
        """Vectors float32 (N, d) of graphs.

        Raises:
            SpaceError: A graph does not fit the encoding.
        """
        return self.embed_encoded(self.encoding.encode(graphs), kind)

    def embed_space(
        self, space: Any, architectures: Iterable[Architecture], kind: Kind = "mean"
    ) -> NDArray[np.float32]:
        """Vectors float32 (N, d) of architectures of a space with graphs.

        Raises:
            SpaceError: The space has no graphs, or a graph does not fit the encoding.
        """
        return self.embed_encoded(self.encoding.encode_space(space, architectures), kind)

    @property
    def fingerprint(self) -> str:
        """Names the encoder: equal for equal weights."""
        digest = hashlib.blake2b(json.dumps(self.encoding.to_json()).encode(), digest_size=12)
        for name, tensor in sorted(self._tensors().items()):
            digest.update(name.encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()

    def warn_if_poor(self, fix: str) -> None:
        """Warns of an encoder that gives back too few graphs: what it loses, no search on its vectors can find.

        Args:
            fix: Remedy, for the message.
        """
        metrics = self.facts.get("metrics", {})
        measured = {name: metrics[name] for name in ("operation_accuracy", "adjacency_accuracy") if name in metrics}
        poor = [f"{name} {value:.2f}" for name, value in measured.items() if value < GOOD_RECONSTRUCTION]
        if poor:
            warnings.warn(
                f"this encoder reconstructs graphs poorly ({', '.join(poor)}; good is {GOOD_RECONSTRUCTION} or more); "
                f"{fix}",
                stacklevel=3,
            )

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"vae.{name}": value for name, value in self.vae.state_dict().items()}
        if self.dense is not None:
            tensors |= {f"dense.{name}": value for name, value in self.dense.state_dict().items()}
        if self.statistics is not None:
            tensors |= {"statistics.mean": self.statistics[0], "statistics.std": self.statistics[1]}
        return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}

    # -- files ---------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Writes weights and, in the header of the file, the configuration as JSON; completely or not at all.

        Raises:
            StorageError: The file cannot be written.
        """
        from nasplug.evaluate.tensors import save_tensors

        configuration = {
            "format": FORMAT,
            "encoding": self.encoding.to_json(),
            "settings": self.vae.to_json(),
            "dense": None if self.dense is None else [self.dense.in_features, self.dense.out_features],
            "facts": self.facts,
        }
        facts = {"nasplug_infonas": json.dumps(configuration)}
        return save_tensors(
            path, self._tensors(), facts, what="the encoder", fix="free disk space, or give another path"
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            StorageError: The file is missing, damaged, or of another kind or format.
        """
        where = str(path)
        try:
            with safe_open(where, framework="pt") as file:
                text = (file.metadata() or {}).get("nasplug_infonas")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise StorageError(
                "cannot read the encoder",
                where=where,
                why=str(error),
                fix="make one with `nasplug infonas pretrain --space NAME --out FILE`",
            ) from error
        if text is None:
            raise StorageError("this safetensors file holds no encoder of nasplug-infonas", where=where)
        try:
            return cls._restored(parse_json(text), tensors)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise StorageError("the encoder's file is damaged", where=where, why=str(error)[:300]) from error

    @classmethod
    def _restored(cls, configuration: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        if configuration["format"] != FORMAT:
            raise ValueError(f"format {configuration['format']}, and this version reads {FORMAT}")
        import torch
        from torch import nn

        from nasplug_infonas.models.vae import GraphVAE, VAESettings

        encoding = Encoding.from_json(configuration["encoding"])
        dense = None
        with torch.random.fork_rng(devices=[]):  # the weights that are drawn here are replaced by those of the file
            vae = GraphVAE(len(encoding.labels), encoding.nodes, VAESettings(**configuration["settings"]))
            if configuration["dense"] is not None:
                dense = nn.Linear(*configuration["dense"])
        vae.load_state_dict(_part(tensors, "vae."))
        if dense is not None:
            dense.load_state_dict(_part(tensors, "dense."))
        statistics = _part(tensors, "statistics.")
        pair = (statistics["mean"], statistics["std"]) if statistics else None
        return cls(encoding, vae, dense=dense, statistics=pair, facts=configuration["facts"])


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

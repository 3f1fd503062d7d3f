"""Training info-NAS: from graphs and labelled networks to an embedder."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasplug.contract.errors import DataError, SpecError
from nasplug.evaluate.trainer import DEFAULTS, device_options
from nasplug.ledger.rng import stream
from nasplug_infonas.batches import GraphBatches
from nasplug_infonas.embedder import Embedder
from nasplug_infonas.encoding import EncodedGraphs, Encoding
from nasplug_infonas.interleave import InterleavedBatches, LabelledPairs
from nasplug_infonas.iodata import IOData
from nasplug_infonas.isolation import isolated
from nasplug_infonas.models.infonas import Error, InfoNAS
from nasplug_infonas.models.regressor import AccuracyRegressor, ImageRegressor, RegressorSettings
from nasplug_infonas.models.vae import VAESettings
from nasplug_infonas.pretrain import code_statistics
from nasplug_infonas.targets import TargetSettings, make_targets


@dataclass(frozen=True, slots=True)
class InfoNASSettings:
    """How info-NAS is trained; the defaults are the final published ones, for the whole of NAS-Bench-101.

    The thesis has `epochs=30`, `error="l1"` and `targets=THESIS`.

    Attributes:
        epochs: Passes over unlabelled graphs and labelled pairs.
        batch_size: Batch size of both kinds.
        lr: Learning rate of both optimisers.
        error: Error of the regressor: `mse` or `l1`.
        weight: Weight of that error; 0 trains the reference, an autoencoder on the same batches without labels.
        beta: Weight of the divergence; None means 1 / (batch size x rows).
        run: Labelled batches in a row.
        targets: Predicted quantity.
        regressor: Sizes of the regressor.
        val_fraction: Share of the graphs held out to judge the reconstruction.
        seed: Seed of everything random.
        device: `cpu`, `cuda` or `auto`.
        threads: Torch threads.
    """

    epochs: int = 10
    batch_size: int = 32
    lr: float = 1e-3
    error: Error = "mse"
    weight: float = 1.0
    beta: float | None = None
    run: int = 300
    targets: TargetSettings = field(default_factory=TargetSettings)
    regressor: RegressorSettings = field(default_factory=RegressorSettings)
    val_fraction: float = 0.1
    seed: int = 1
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2 or self.run < 1 or not 0.0 <= self.val_fraction < 1.0:
            raise SpecError(f"this makes no training: {self}", where="InfoNASSettings")


def train_infonas(
    graphs: EncodedGraphs,
    encoding: Encoding,
    data: IOData,
    space: Any,
    *,
    settings: InfoNASSettings | None = None,
    start: Embedder | None = None,
    sizes: VAESettings | None = None,
    trainer: dict[str, Any] | None = None,
) -> Embedder:
    """Trains on what networks compute on images.

    Args:
        graphs: Unlabelled graphs. Those of labelled networks are left out of them.
        encoding: Encoding of the graphs.
        data: The labelled networks.
        space: Theirs.
        settings: Settings of the training.
        start: An encoder to begin with, which saves most of the time; published is a beginning from nothing.
        sizes: Sizes of the autoencoder, without `start`.
        trainer: Further options of Lightning's Trainer.

    Returns:
        The encoder, with the embeddings `mean`, `codes` and `dense`.
    """
    chosen = settings or InfoNASSettings()
    labelled = encoding.encode_space(space, data.architectures(space))
    targets = torch.from_numpy(make_targets(data, chosen.targets))
    images = torch.from_numpy(np.ascontiguousarray(data.images))
    shape = (encoding.nodes * _latent(start, sizes), images.shape[1], targets.shape[2])
    return _train(graphs, encoding, labelled, targets, images, chosen, start, sizes, trainer, "infonas", shape)


def train_accuracy(
    graphs: EncodedGraphs,
    encoding: Encoding,
    labelled: EncodedGraphs,
    values: NDArray[np.float64],
    *,
    settings: InfoNASSettings | None = None,
    start: Embedder | None = None,
    sizes: VAESettings | None = None,
    trainer: dict[str, Any] | None = None,
) -> Embedder:
    """The variant whose labels are the accuracies, in [0, 1], of networks.

    Args:
        graphs: Unlabelled graphs.
        encoding: Encoding of the graphs.
        labelled: Graphs of the labelled networks.
        values: Accuracies of the graphs, (N,).
        settings: Settings, as for `train_infonas`; targets and convolutions are not used.
        start: Starting weights, as for `train_infonas`.
        sizes: Sizes, as for `train_infonas`.
        trainer: Trainer options, as for `train_infonas`.

    Raises:
        DataError: A value is not in [0, 1].
    """
    chosen = settings or InfoNASSettings()
    if len(values) != len(labelled) or not ((values >= 0) & (values <= 1)).all():
        raise DataError("accuracies must be in [0, 1], one per network", where="train_accuracy")
    targets = torch.from_numpy(np.asarray(values, dtype=np.float32)).view(-1, 1, 1)
    shape = (encoding.nodes * _latent(start, sizes), 0, 1)
    return _train(graphs, encoding, labelled, targets, None, chosen, start, sizes, trainer, "accuracy", shape)


def _latent(start: Embedder | None, sizes: VAESettings | None) -> int:
    return (sizes or VAESettings()).latent if start is None else start.vae.settings.latent


def _train(
    graphs: EncodedGraphs,
    encoding: Encoding,
    labelled: EncodedGraphs,
    targets: Tensor,
    images: Tensor | None,
    chosen: InfoNASSettings,
    start: Embedder | None,
    sizes: VAESettings | None,
    trainer: dict[str, Any] | None,
    model: str,
    shape: tuple[int, int, int],
) -> Embedder:
    import pytorch_lightning as pl

    if start is not None and start.encoding != encoding:
        raise SpecError("the encoder to begin with has another encoding", where="start")
    started = time.perf_counter()
    rest = graphs[~_contained(graphs, labelled)]
    held = int(len(rest) * chosen.val_fraction)
    order = stream(chosen.seed, "infonas.semisupervised").permutation(len(rest))
    train, val = rest[order[held:]], rest[order[:held]]
    with isolated(chosen.seed, threads=chosen.threads):
        regressor: ImageRegressor | AccuracyRegressor
        if images is None:
            regressor = AccuracyRegressor(shape[0], chosen.regressor)
        else:
            regressor = ImageRegressor(*shape, chosen.regressor)
        settings = sizes if start is None else start.vae.settings
        module = InfoNAS(encoding, regressor, settings, chosen.lr, chosen.error, chosen.weight, chosen.beta)
        if start is not None:
            module.vae.load_state_dict(start.vae.state_dict())
        pairs = LabelledPairs(labelled, targets, images, chosen.batch_size)
        batches = InterleavedBatches(GraphBatches(train, chosen.batch_size, shuffle=True), pairs, chosen.run)
        options = {**DEFAULTS, "enable_checkpointing": False, **device_options(chosen.device), **(trainer or {})}
        fitter = pl.Trainer(**options, max_epochs=chosen.epochs, check_val_every_n_epoch=chosen.epochs)
        fitter.fit(module, batches, GraphBatches(val, 1024, shuffle=False) if held else None)
        metrics = {name: float(value) for name, value in fitter.callback_metrics.items()}
        embedder = Embedder(encoding, module.vae.cpu(), dense=regressor.code.cpu())
        embedder.statistics = code_statistics(embedder, train)
    embedder.facts = {
        "model": model,
        "settings": asdict(chosen),
        "graphs": len(train),
        "held_out": held,
        "labelled_networks": len(labelled),
        "images": 0 if images is None else len(images),
        "unlabelled_batches": len(batches.unlabelled) * chosen.epochs,
        "labelled_batches": len(pairs) * chosen.epochs,
        "started_from": None if start is None else start.facts,
        "seconds": round(time.perf_counter() - started, 1),
        "metrics": metrics,
    }
    return embedder


def _contained(graphs: EncodedGraphs, others: EncodedGraphs) -> NDArray[np.bool_]:
    """Which graphs (N,) are among others."""
    flat = [
        np.concatenate([g.operations, g.adjacency.reshape(len(g), -1).view(np.int8)], axis=1) for g in (graphs, others)
    ]
    known = {row.tobytes() for row in flat[1]}
    return np.fromiter((row.tobytes() in known for row in flat[0]), dtype=np.bool_, count=len(graphs))

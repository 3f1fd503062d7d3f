"""Pretraining: from a space, or encoded graphs, to an `Embedder`."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nasplug.contract.errors import SpecError
from nasplug.contract.protocols import Enumerates
from nasplug.evaluate.trainer import DEFAULTS, device_options
from nasplug.ledger.rng import stream
from nasplug.tasks.settings import ScheduleName
from nasplug_infonas.batches import GraphDataModule
from nasplug_infonas.embedder import Embedder
from nasplug_infonas.encoding import EncodedGraphs, Encoding, representatives
from nasplug_infonas.isolation import isolated
from nasplug_infonas.models.arch2vec import Arch2Vec
from nasplug_infonas.models.losses import ReconstructionAccuracy
from nasplug_infonas.models.vae import VAESettings


@dataclass(frozen=True, slots=True)
class PretrainSettings:
    """How an autoencoder is trained; the defaults are the published ones for NAS-Bench-101.

    Attributes:
        epochs: Passes over the training graphs; 8 on NAS-Bench-101, 10 on NAS-Bench-201.
        batch_size: Graphs per step. On one CPU core a graph of a batch of 256 takes less than half the time of one in
            a batch of 32.
        lr: Adam's learning rate.
        beta: Weight of the divergence; None means 1 / (batch size x rows), which larger batches make smaller.
        schedule: Course of the learning rate by step: `none` is published, `cosine` gets further in few epochs.
        gradient_clip: Largest norm of the gradient.
        val_fraction: Share of the graphs that is held out to judge the reconstruction, drawn with the seed.
        max_steps: Ends the training early; None does not.
        seed: Seed of everything random.
        device: `cpu`, `cuda` or `auto`.
        threads: Torch threads.
    """

    epochs: int = 8
    batch_size: int = 32
    lr: float = 1e-3
    beta: float | None = None
    schedule: ScheduleName = "none"
    gradient_clip: float = 5.0
    val_fraction: float = 0.1
    max_steps: int | None = None
    seed: int = 1
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2 or not 0.0 <= self.val_fraction < 1.0 or self.lr <= 0:
            raise SpecError(f"this makes no training: {self}", where="PretrainSettings")


def graphs_of(space: Any, encoding: Encoding | None = None, *, limit: int | None = None) -> EncodedGraphs:
    """Encoded graphs of a space: all of a finite one, or `limit` distinct draws.

    Args:
        space: A space with graphs.
        encoding: Encoding of the graphs; default: that of the space.
        limit: Largest number of graphs. A finite space in which there are more is drawn from, too.

    Raises:
        SpecError: The space cannot be walked through, and there is no limit.
    """
    encoding = encoding or Encoding.of_space(space)
    if limit is None:
        if not isinstance(space, Enumerates):
            raise SpecError(
                "this space cannot be walked through", where=f"space {space.name!r}", fix="say how many: limit=10000"
            )
        return encoding.encode_space(space, space)
    return encoding.encode_space(space, itertools.islice(representatives(space, limit), limit))


def pretrain(
    graphs: EncodedGraphs,
    encoding: Encoding,
    *,
    settings: PretrainSettings | None = None,
    sizes: VAESettings | None = None,
    start: Embedder | None = None,
    trainer: dict[str, Any] | None = None,
) -> Embedder:
    """Trains arch2vec and returns the encoder.

    Neither global random state nor the number of torch threads is changed for the caller.

    Args:
        graphs: All graphs.
        encoding: Encoding of the graphs.
        settings: Settings of the training.
        sizes: Sizes of the autoencoder.
        start: An encoder to go on from, of the same widths. Keep the seed, and the held-out graphs stay unseen.
        trainer: Further options of Lightning's Trainer, such as `enable_progress_bar`.

    Returns:
        The encoder, with the measured reconstruction in `facts`.
    """
    import pytorch_lightning as pl

    chosen = settings or PretrainSettings()
    if sizes is None and start is not None:
        sizes = start.vae.settings
    held = int(len(graphs) * chosen.val_fraction)
    # Published code takes the last graphs in the order of their hashes, which is random, too.
    order = stream(chosen.seed, "infonas.pretrain").permutation(len(graphs))
    train, val = graphs[order[held:]], graphs[order[:held]]
    started = time.perf_counter()
    with isolated(chosen.seed, threads=chosen.threads):
        module = Arch2Vec(encoding, sizes, chosen.lr, chosen.beta, chosen.schedule)
        if start is not None:
            module.vae.load_state_dict(start.vae.state_dict())
        data = GraphDataModule(train, val if held else None, chosen.batch_size)
        options = {**DEFAULTS, "enable_checkpointing": False, **device_options(chosen.device), **(trainer or {})}
        fitter = pl.Trainer(
            **options,
            max_epochs=chosen.epochs,
            max_steps=-1 if chosen.max_steps is None else chosen.max_steps,
            gradient_clip_val=chosen.gradient_clip,
            # Judging takes a while on a large space, and nothing depends on it before the end.
            check_val_every_n_epoch=chosen.epochs,
        )
        fitter.fit(module, datamodule=data)
        metrics = {name: float(value) for name, value in fitter.callback_metrics.items()}
        steps = int(fitter.global_step)
        embedder = Embedder(encoding, module.vae.cpu())
        embedder.statistics = code_statistics(embedder, train)
        if not held:
            metrics |= reconstruction(embedder, train)
    embedder.facts = {
        "model": "arch2vec",
        "graphs": len(train),
        "held_out": held,
        "epochs": chosen.epochs,
        "steps": steps,
        "batch_size": chosen.batch_size,
        "lr": chosen.lr,
        "beta": chosen.beta,
        "schedule": chosen.schedule,
        "seed": chosen.seed,
        "dropout": module.vae.settings.dropout,
        "started_from": None if start is None else start.facts,
        "seconds": round(time.perf_counter() - started, 1),
        "metrics": metrics,
    }
    return embedder


def reconstruction(embedder: Embedder, graphs: EncodedGraphs, most: int = 5_000) -> dict[str, float]:
    """How much of graphs an encoder gives back; see `ReconstructionAccuracy`.

    Args:
        embedder: The encoder.
        graphs: Graphs to give back.
        most: Number of graphs that are looked at, evenly spread.
    """
    part = graphs[_evenly(len(graphs), most)]
    operations, adjacency = torch.from_numpy(part.operations), torch.from_numpy(part.adjacency)
    accuracy = ReconstructionAccuracy()
    with torch.inference_mode():
        accuracy.update(embedder.vae.eval()(operations, adjacency)[2], operations, adjacency)
    return {name: float(value) for name, value in accuracy.compute().items()}


def _evenly(count: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.int64))


def code_statistics(embedder: Embedder, graphs: EncodedGraphs, most: int = 50_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation, float (V, D) each, of the codes of graphs, at most `most` of them, evenly spread.

    The published code collects them while the last epoch still trains; here they belong to the final weights.
    """
    codes = torch.from_numpy(embedder.codes(graphs[_evenly(len(graphs), most)]))
    return codes.mean(0), codes.std(0, correction=0)

"""Pruning by FastNAS of nvidia-modelopt, inside the trainings of the benchmarks on growth and on reduction.

nvidia-modelopt is not a dependency, and wants packages that it does not declare. An environment of its own:

    uv venv peers && uv pip install --python peers/bin/python nvidia-modelopt requests huggingface_hub \
        "torchprofile<0.1" torch-pruning gromo timm -e ".[train]" -e plugins/cgap -e plugins/reduction

With torchprofile 0.1 its count of operations ends in an AttributeError.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterable, Sequence
from itertools import chain, islice, repeat
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nasplug.evaluate.trainer import quiet

#: What widths are multiples of. The default of 32 leaves narrow networks hardly any choice.
DIVISOR = 4
#: Batches by which the library measures the statistics of normalisations anew, before every score.
CALIBRATING = 50
Batch = tuple[Tensor, Tensor]


def calibration(loader: Iterable[Batch], size: int | None = None) -> list[Batch]:
    """As many training batches as the library wants, from several epochs if one has fewer.

    Args:
        loader: Batches of an epoch.
        size: Images of a batch that are used; None for all.
    """
    whole = islice(chain.from_iterable(repeat(loader)), CALIBRATING)
    return [(images[:size], labels[:size]) for images, labels in whole]


def settings(divisor: int) -> list[tuple[str, dict[str, Any]]]:
    """The mode `fastnas` with another divisor of widths."""
    from modelopt.torch.prune.fastnas import FastNASConfig  # type: ignore[import-not-found]

    rules: dict[str, Any] = FastNASConfig().model_dump()
    for kind in rules.values():
        for rule in (kind or {}).values():
            for key in ("channel_divisor", "feature_divisor"):
                if key in rule:
                    rule[key] = divisor
    return [("fastnas", rules)]


def prune(
    network: nn.Module,
    loader: Sequence[Batch],
    held: Batch,
    params: float,
    divisor: int = DIVISOR,
) -> tuple[nn.Module, float]:
    """The pruned network, and the operations of all forward passes that it took: calibration and scores.

    Args:
        network: Trained network, changed in place.
        loader: Training batches for the statistics of normalisations.
        held: Images (N, C, H, W) and labels (N,) by whose accuracy networks are chosen.
        params: Largest number of parameters.
        divisor: Number that widths are multiples of.

    Raises:
        ValueError: No network of the library's space is small enough.
    """
    import modelopt.torch.prune as mtp  # type: ignore[import-not-found]

    images, labels = held

    @torch.no_grad()
    def score(candidate: nn.Module) -> float:
        candidate.eval()  # calibrates
        guesses = torch.cat([candidate(part).argmax(1) for part in images.split(256)])
        return float((guesses == labels).float().mean())

    with (
        warnings.catch_warnings(),
        open(os.devnull, "w") as nowhere,  # noqa: PTH123
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
        FlopCounterMode(display=False) as counter,
    ):
        warnings.simplefilter("ignore")
        found, _ = mtp.prune(
            network,
            mode=settings(divisor),
            constraints={"params": params},
            dummy_input=images[:1],
            config={
                "score_func": score,
                "data_loader": loader,
                "collect_func": lambda batch: batch[0],
                "max_iter_data_loader": CALIBRATING,
                "verbose": False,
            },
        )
    return found, float(counter.get_total_flops())


def reason(error: Exception) -> str:
    """The sentence of an error that says why; messages of the library begin with a table in characters of frames."""
    lines = [line.strip() for line in str(error).splitlines()]
    plain = [line for line in lines if line.isascii() and any(letter.isalpha() for letter in line)]
    return " ".join(plain)[-300:]


def fit(task: Any, network: nn.Module, epochs: int, seed: int, *callbacks: pl.Callback) -> tuple[Any, pl.Trainer]:
    """Trains in a Trainer alone, without looks at validation images; returns the module and the Trainer.

    Args:
        task: Task of all rows.
        network: Network, changed in place.
        epochs: Number of epochs.
        seed: Seed of the order of the images and their augmentation.
        callbacks: Callbacks of the Trainer.
    """
    pl.seed_everything(seed, verbose=False)
    module = task.module(network.train().requires_grad_(), {})
    options: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    with quiet():
        trainer = pl.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            devices=1,
            num_sanity_val_steps=0,
            check_val_every_n_epoch=epochs + 1,
            callbacks=list(callbacks),
            **options,
        )
        trainer.fit(module, datamodule=task.datamodule())
    return module, trainer

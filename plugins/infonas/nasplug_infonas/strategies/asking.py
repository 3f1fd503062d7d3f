"""What a strategy asks to be trained: it gets the trained thing, the reason why there is none, or None to wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nasplug.contract.records import Failure
from nasplug.ledger.view import StudyView
from nasplug.ledger.work import Work
from nasplug_infonas.embedder import Embedder
from nasplug_infonas.regressors import Floats, Regressor, RegressorName, make_regressor

#: The encoder that is trained for a search without one: a few seconds on one core, and always the same.
SMALL_ENCODER = Work(
    "nasplug_infonas.work:pretrain_encoder",
    {
        "graphs": 2000,
        "sizes": {"hidden": 32, "latent": 8, "layers": 3},
        "training": {
            "epochs": 8,
            "lr": 2e-2,
            "beta": 1.0 / 224.0,
            "val_fraction": 0.0,
            "max_steps": 400,
            "seed": 1,
        },
    },
)


def ask_encoder(study: StudyView, encoder: str | Path | Embedder | None) -> Embedder | Failure | None:
    """The encoder of a strategy: a file, an object, or else a small one that the executor trains.

    An encoder that gives back too few graphs is pointed out with a warning.

    Args:
        study: The study that waits for it.
        encoder: Path, object, or None.

    Raises:
        StorageError: The file cannot be read.
    """
    if encoder is None:
        outcome = study.work(SMALL_ENCODER)
        if outcome is None or outcome.failure is not None:
            return None if outcome is None else outcome.failure
        opened = Embedder.load(_file(study, outcome.key, outcome.result))
        opened.warn_if_poor("train one with `nasplug infonas pretrain`, and give the strategy its file: encoder=FILE")
        return opened
    opened = encoder if isinstance(encoder, Embedder) else Embedder.load(encoder)
    opened.warn_if_poor("train it for more epochs, see `nasplug infonas pretrain --help`")
    return opened


def ask_regressor(
    study: StudyView, name: RegressorName, x: Floats, y: Floats, *, seed: int, ranks: bool
) -> Regressor | Failure | None:
    """A regressor that was fitted to vectors by the executor.

    Args:
        study: The study that waits for it.
        name: Name of the regressor.
        x: Vectors (n, d).
        y: Values (n,).
        seed: Random seed of the regressor.
        ranks: Whether it learns normal scores instead of values.
    """
    arguments = {"regressor": name, "seed": seed, "ranks": ranks, "vectors": x.tolist(), "values": y.tolist()}
    outcome = study.work(Work("nasplug_infonas.work:fit_regressor", arguments))
    if outcome is None or outcome.failure is not None:
        return None if outcome is None else outcome.failure
    from safetensors.numpy import load_file

    state = load_file(_file(study, outcome.key, outcome.result))
    return make_regressor(name, seed, ranks=ranks).restore(state, np.asarray(x), np.asarray(y))


def _file(study: StudyView, key: str, result: dict[str, Any]) -> Path:
    return study.work_folder(key) / str(result["file"])

"""What the strategies have trained for them: functions that an executor calls, with JSON arguments.

The driver asks for them by name, see `nasplug_infonas.strategies.asking`, and reads the files that they leave.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pytorch_lightning.callbacks import Callback

from nasplug.evaluate.tensors import save_tensors
from nasplug_infonas.encoding import EncodedGraphs, Encoding, representatives
from nasplug_infonas.models.policy import Walk, improve, load_policy, new_policy, save_policy
from nasplug_infonas.models.vae import VAESettings
from nasplug_infonas.pretrain import PretrainSettings, pretrain
from nasplug_infonas.regressors import RegressorName, make_regressor

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from nasplug.evaluate.workrun import WorkRun
    from nasplug_infonas.embedder import Embedder

#: Encoders trained in this process, by what they were made from; the last few are kept for other studies.
_TRAINED: OrderedDict[str, Embedder] = OrderedDict()
_KEPT = 4


def pretrain_encoder(run: WorkRun, *, graphs: int, sizes: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    """Trains an encoder on graphs of the space, always in the same way.

    The same training for another study in this process is not done again.

    Args:
        run: The work; the device is that of the run.
        graphs: Number of graphs to learn.
        sizes: Fields of `VAESettings`.
        training: Fields of `PretrainSettings`, the seed among them.

    Returns:
        `file`, `fingerprint` of the encoder, and `facts` of its training.
    """
    encoding = Encoding.of_space(run.space)
    learned = encoding.encode_space(run.space, representatives(run.space, graphs))
    while len(learned) < 2:  # a space of one architecture
        learned = EncodedGraphs(np.repeat(learned.operations, 2, axis=0), np.repeat(learned.adjacency, 2, axis=0))
    made_from = f"{encoding}{learned.digest}{sizes}{training}{run.device}"
    embedder = _TRAINED.get(made_from)
    if embedder is None:
        embedder = pretrain(
            learned,
            encoding,
            settings=PretrainSettings(device=run.device, **training),
            sizes=VAESettings(**sizes),
            trainer={"callbacks": [_Reports(run)]},
        )
        _TRAINED[made_from] = embedder
        while len(_TRAINED) > _KEPT:
            _TRAINED.popitem(last=False)
    file = "encoder.safetensors"
    embedder.save(run.folder / file)
    run.progress(1.0)
    return {"file": file, "fingerprint": embedder.fingerprint, "facts": embedder.facts}


def fit_regressor(
    run: WorkRun,
    *,
    regressor: RegressorName,
    seed: int,
    ranks: bool,
    vectors: Sequence[Sequence[float]],
    values: Sequence[float],
) -> dict[str, Any]:
    """Fits a regressor to vectors with values.

    Args:
        run: The work.
        regressor: Name of the regressor.
        seed: Random seed of the regressor.
        ranks: Whether it learns normal scores instead of values.
        vectors: Vectors (n, d).
        values: Values (n,).

    Returns:
        `file` with the regressor's state.
    """
    made = make_regressor(regressor, seed, ranks=ranks)
    made.fit(np.array(vectors, dtype=np.float64), np.array(values, dtype=np.float64))
    file = "regressor.safetensors"
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in made.state().items()}
    save_tensors(run.folder / file, tensors, what="the regressor")
    run.progress(1.0, {"results": float(len(values))})
    return {"file": file}


def improve_policy(
    run: WorkRun, *, previous: str | None, seed: int, size: int, lr: float, walk: dict[str, Any]
) -> dict[str, Any]:
    """Takes one step of REINFORCE.

    Args:
        run: The work.
        previous: Key of the work that made the policy; None for a new one.
        seed: Random seed of a new policy.
        size: Numbers in a vector.
        lr: Learning rate of Adam.
        walk: Fields of `Walk`.

    Returns:
        `file` with policy and optimiser, and the `loss` before the step.
    """
    file = "policy.safetensors"
    if previous is None:
        policy, optimizer = new_policy(seed, size, lr)
    else:
        policy, optimizer = load_policy(run.study.work_folder(previous) / file, lr)
    loss = improve(policy, optimizer, Walk(**walk))
    save_policy(run.folder / file, policy, optimizer)
    run.progress(1.0, {"loss": loss})
    return {"file": file, "loss": loss}


class _Reports(Callback):
    """Says how far a training is, at most a hundred times."""

    def __init__(self, run: WorkRun) -> None:
        self._run = run

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Called by the Trainer."""
        total = max(1, int(trainer.estimated_stepping_batches))
        if trainer.global_step % max(1, total // 100) == 0:
            self._run.progress(trainer.global_step / total, {"loss": float(outputs["loss"])})

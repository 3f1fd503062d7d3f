"""Work that trains the shared weights, one candidate per batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import SpecError, TrialError
from nasplug.contract.jsondata import Json
from nasplug.evaluate.telling import Telling

if TYPE_CHECKING:
    from torch import Tensor

    from nasplug.evaluate.supernet.network import SharedNetwork
    from nasplug.evaluate.workrun import WorkRun

#: File of the shared tensors in the folder of the work, under their keys.
FILE = "shared.safetensors"


def train(run: WorkRun, epochs: int, sampling: str, paths: int) -> dict[str, Json]:
    """Trains the shared weights with the task's own module.

    Args:
        run: The work.
        epochs: Number of epochs, of one candidate per batch.
        sampling: Draws of candidates, `single_path` or `sandwich`.
        paths: Number of candidates, each on a batch of its own, whose gradients make one step.

    Returns:
        Numbers of shared tensors and of their parameters, and the loss of the last batch.

    Raises:
        SpecError: The run has no task, or its networks cannot be trained together.
        TrialError: The loss is not finite.
    """
    import torch

    from nasplug.evaluate.supernet.network import NothingBuildsError, SharedNetwork
    from nasplug.evaluate.trainer import DEFAULTS, as_callback, device_options, fit, quiet
    from nasplug.lightning.distribution import data_for, lightning_of
    from nasplug.run.seeding import seed_everything

    if run.task is None:
        raise SpecError("a supernet is trained on a task", where="evaluator 'supernet'", fix="add `task:`")
    torch.set_num_threads(run.threads)
    seed_everything(run.seed("supernet"))
    try:
        network = SharedNetwork(run.space, run.task, run.rng("paths"))
    except NothingBuildsError:
        _keep(run, {})
        return {"tensors": 0, "params": 0, "loss": None}
    module = run.task.module(network, {})
    lightning = lightning_of(module)
    drawing = as_callback(Drawing, lightning)(network, sampling == "sandwich", paths)
    with quiet():
        trainer = lightning.Trainer(
            **{**DEFAULTS, **device_options(run.device), "limit_val_batches": 0, "enable_checkpointing": False},
            max_epochs=epochs,
            accumulate_grad_batches=paths,
            callbacks=[drawing, as_callback(Telling, lightning)(run, epochs)],
            default_root_dir=run.folder,
        )
        data = data_for(run.data(), module, lightning)
        fit(trainer, lambda: trainer.fit(module, datamodule=data))
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in network.state().items()}
    _keep(run, tensors | {key: tensor.cpu().contiguous() for key, tensor in network.remembered.items()})
    return {
        "tensors": len(tensors),
        "params": sum(tensor.numel() for tensor in tensors.values()),
        "loss": drawing.loss,
    }


def _keep(run: WorkRun, tensors: dict[str, Tensor]) -> None:
    """Writes the shared tensors, completely or not at all."""
    from safetensors.torch import save_file

    from nasplug.files import complete_file

    with complete_file(run.folder / FILE, "weights", fix="free some space and run the same command again") as temporary:
        save_file(tensors, str(temporary))


class Drawing:
    """Mixin of a Lightning callback that draws the candidate of every batch.

    Single path: candidates as the space draws them. Sandwich: in every step the largest network, the smallest one, and
    random ones. Sources: Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling", ECCV
    2020, arXiv 1904.00420; Yu and Huang, "Universally Slimmable Networks", ICCV 2019, arXiv 1903.05134.

    Args:
        network: The shared weights.
        sandwich: Whether every step has the largest and the smallest network.
        paths: Number of candidates of a step.

    Attributes:
        loss: Loss of the last batch.
    """

    def __init__(self, network: SharedNetwork, sandwich: bool, paths: int) -> None:
        super().__init__()
        self._network, self._sandwich, self._paths = network, sandwich, paths
        self.loss: float | None = None

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Draws it."""
        turn = batch_idx % self._paths
        if self._sandwich and turn < 2:
            self._network.choose((self._network.largest, self._network.smallest)[turn])
        else:
            self._network.draw()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Looks at the loss from time to time.

        Raises:
            TrialError: It is not finite.
        """
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is None or (batch_idx % 20 and batch_idx + 1 < trainer.num_training_batches):
            return
        self.loss = float(loss) * self._paths  # Lightning divides by the number of accumulated batches
        if not math.isfinite(self.loss):
            raise TrialError(
                "nan",
                f"the loss of the supernet is {self.loss} in epoch {trainer.current_epoch + 1}",
                where="evaluator 'supernet'",
                fix="lower the learning rate of the task, or raise `paths`",
            )

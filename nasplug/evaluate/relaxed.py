"""Work that trains the relaxed network of a space, for the strategy `gradient`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json
from nasplug.evaluate.telling import Telling

if TYPE_CHECKING:
    from nasplug.evaluate.workrun import WorkRun


def train(run: WorkRun, epochs: int, number: int) -> dict[str, Json]:
    """Trains a relaxed network on the task's training data, and returns the genotype that it favours.

    Args:
        run: The work.
        epochs: Number of epochs.
        number: Number of the search; its seed depends on it.

    Raises:
        SpecError: The run has no task, or the device is not there.
        TrialError: The loss is not finite.
    """
    import torch

    from nasplug.evaluate.trainer import DEFAULTS, as_callback, device_options, fit, quiet
    from nasplug.lightning.distribution import data_for, lightning_of
    from nasplug.run.seeding import seed_everything

    if run.task is None:
        raise SpecError("a relaxed network is trained on a task", where="strategy 'gradient'", fix="add `task:`")
    space: Any = run.space  # its capabilities are checked against `requires` before the search starts
    torch.set_num_threads(run.threads)
    seed_everything(run.seed("relaxed"))
    network = space.relaxed(run.task)
    module = run.task.module(network, {})
    lightning = lightning_of(module)
    with quiet():
        trainer = lightning.Trainer(
            **{**DEFAULTS, **device_options(run.device), "limit_val_batches": 0, "enable_checkpointing": False},
            max_epochs=epochs,
            callbacks=[as_callback(Telling, lightning)(run, epochs)],
            default_root_dir=run.folder,
        )
        data = data_for(run.data(), module, lightning)
        fit(trainer, lambda: trainer.fit(module, datamodule=data))
    return {"genotype": space.derived(network.cpu())}

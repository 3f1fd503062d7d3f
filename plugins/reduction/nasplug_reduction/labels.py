"""Labels of the data that a plain network is trained on, looked at before anything trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from nasplug.contract.errors import NasplugError, SpecError
from nasplug.contract.wording import plural
from nasplug.run.seeding import undisturbed

if TYPE_CHECKING:
    from nasplug.tasks import LightningTask

_FIX = "give pairs (inputs, classes) with classes numbered from 0; or a LightningModule, which trains as it likes"


def check_labels(task: LightningTask, outputs: int) -> None:
    """Refuses data that a classifier cannot be trained on, by the first training batch.

    Args:
        task: Task that trains a plain network by cross-entropy.
        outputs: Number of classes that the network tells apart.

    Raises:
        SpecError: The data have no labels, or others than classes of the network.
    """
    try:
        with undisturbed():
            data = task.datamodule()
            data.prepare_data()
            data.setup("fit")
            batch = next(iter(data.train_dataloader()), None)
    except NasplugError:
        raise
    except Exception as error:  # whatever a user's data module raises
        raise SpecError(
            "the first training batch cannot be read", where="data", why=f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(batch, (tuple, list)) or len(batch) != 2 or not isinstance(batch[1], Tensor):
        size = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
        raise SpecError(
            "the data have no labels",
            where="data",
            why=f"a plain network is trained by cross-entropy, and the first batch is a {type(batch).__name__}{size}",
            fix=_FIX,
        )
    labels = batch[1]
    if labels.is_floating_point() or labels.is_complex():
        if labels.shape != (len(labels), outputs):  # probabilities of classes are fine
            raise SpecError(
                "the labels are not classes",
                where="data",
                why=f"they are {str(labels.dtype).removeprefix('torch.')} of shape {tuple(labels.shape)}",
                fix=_FIX,
            )
    elif labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < outputs:
        wrong = int(labels.max()) if int(labels.max()) >= outputs else int(labels.min())
        raise SpecError(
            f"the network tells {plural(outputs, 'class')} apart, and the data have class {wrong}",
            where="data",
            why="classes are numbered from 0",
            fix="give the data that it was trained on, or a network with as many outputs",
        )

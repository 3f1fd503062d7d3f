"""What networks are called with, read off an example or a batch of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nasplug.contract.errors import NasplugError, TaskError
from nasplug.contract.io import Inputs
from nasplug.lightning.calls import inputs_of_call
from nasplug.run.seeding import undisturbed

#: Keys of a batch that hold what the network should answer.
_TARGETS = ("label", "labels", "target", "targets", "y")
_FIX = (
    "say what the network is called with: input_shape=(3, 32, 32), inputs={'tokens': {'shape': [128], 'dtype': "
    "'int64', 'high': 30000}}, or example_input=(a batch)"
)


def inputs_of_batch(example: Any, where: str) -> Inputs:
    """Describes a batch that a network could be called with.

    Args:
        example: Tensor (N, ...), tuple or list of tensors by position, or mapping of argument names to tensors.
        where: Name of what holds the example, for messages.

    Raises:
        TaskError: It is none of these.
    """
    named = example if isinstance(example, Mapping) else {}
    args = tuple(example) if isinstance(example, (tuple, list)) else () if isinstance(example, Mapping) else (example,)
    try:
        found = inputs_of_call(args, named)
    except TaskError as error:
        raise TaskError("cannot read this as inputs of a network", where=where, why=error.what, fix=_FIX) from error
    if not found.args and not found.kwargs:
        raise TaskError("there are no tensors in it", where=where, fix=_FIX)
    return found


def inputs_of_data(data: Any, where: str) -> Inputs:
    """Describes the inputs in the first training batch of a data module.

    Args:
        data: LightningDataModule.
        where: Name of the task, for messages.

    Raises:
        TaskError: There is no batch, or it does not say which part of it the network is called with.
    """
    where = f"{where}, inputs"
    try:
        with undisturbed():
            data.prepare_data()
            data.setup("fit")
            batch = next(iter(data.train_dataloader()), None)
    except NasplugError:
        raise
    except Exception as error:  # whatever a user's data module raises
        raise TaskError(
            "the first training batch cannot be read", where=where, why=f"{type(error).__name__}: {error}", fix=_FIX
        ) from error
    return inputs_of_batch(_without_target(batch, where), where)


def _without_target(batch: Any, where: str) -> Any:
    if isinstance(batch, Tensor):
        return batch
    if isinstance(batch, Mapping):
        rest = {name: value for name, value in batch.items() if name not in _TARGETS}
        if len(rest) < len(batch):
            return next(iter(rest.values())) if len(rest) == 1 else rest
    if isinstance(batch, (tuple, list)) and len(batch) in (1, 2):
        return batch[0]
    if batch is None:
        raise TaskError(
            "there is no training data",
            where=where,
            why="train_dataloader gives no batch",
            fix="give it samples; a loader with drop_last needs at least one whole batch",
        )
    kind = f"a {type(batch).__name__}"
    size = f" of {len(batch)}" if isinstance(batch, (tuple, list, Mapping)) else ""
    raise TaskError(
        "the training data do not say what the network is called with",
        where=where,
        why=f"the first batch is {kind}{size}, and not a pair (inputs, targets)",
        fix=_FIX,
    )

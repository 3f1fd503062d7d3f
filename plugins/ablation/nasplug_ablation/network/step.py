"""One step of somebody's LightningModule outside of a Trainer, on a batch of their data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from nasplug.contract.errors import TaskError
from nasplug.run.seeding import undisturbed
from nasplug_ablation.network.trace import watch

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule, LightningModule

#: Samples of the batch that is looked at; batch normalisation needs more than one.
SAMPLES = 4
#: Steps that are tried, the first that runs is taken.
_STEPS = ("training_step", "validation_step", "forward")

Step = Callable[[nn.Module], object]


def first_batch(data: LightningDataModule, where: str) -> Any:
    """Returns a small batch of training data, on the CPU.

    Args:
        data: Data module of one's own: it is set up for it.
        where: Name of the task, for messages.

    Raises:
        TaskError: There is no batch, or it cannot be read.
    """
    try:
        with undisturbed():
            data.prepare_data()
            data.setup("fit")
            loader = data.train_dataloader()
            batch = next(iter(loader), None)
    except Exception as error:
        raise TaskError(
            "the first training batch cannot be read",
            where=where,
            why=f"{type(error).__name__}: {error}",
            fix="make sure that setup('fit') and train_dataloader of the data module run",
        ) from error
    if batch is None:
        raise TaskError("there is no training batch", where=where, fix="check train_dataloader")
    return batch


def smaller(batch: Any, samples: int = SAMPLES) -> Any:
    """Returns the first samples of a batch, whatever it is made of.

    Args:
        batch: Tensors that share their first axis, in tuples, lists and mappings.
        samples: Number of samples.
    """
    size = samples_in(batch)
    return tree_map(
        lambda leaf: leaf[:samples] if isinstance(leaf, Tensor) and leaf.dim() and len(leaf) == size else leaf, batch
    )


def samples_in(batch: Any) -> int:
    """Returns the number of samples of a batch: the length of its first tensor.

    Args:
        batch: The batch.
    """
    return next((len(leaf) for leaf in tree_leaves(batch) if isinstance(leaf, Tensor) and leaf.dim()), 1)


def find_step(make: Callable[[], LightningModule], batch: Any, where: str) -> str:
    """Returns the name of the first method of a module that runs outside of a Trainer.

    `training_step` is tried first, then `validation_step`, then a call with `example_input_array` or with the inputs
    of the batch.

    Args:
        make: Function that makes a module.
        batch: Small batch.
        where: Name of the task, for messages.

    Raises:
        TaskError: None of them runs without a Trainer.
    """
    reasons = []
    for name in _STEPS:
        try:
            with undisturbed():
                called = watch(make(), step_of(name, batch)).calls
        except Exception as error:
            reasons.append(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:160]}")
            continue
        if called:
            return name
        reasons.append(f"{name}: calls no part of the module")  # such as the empty method that every module has
    raise TaskError(
        "no step of the module runs on a small batch outside of a Trainer",
        where=where,
        why="; ".join(reasons),
        fix="give the module an `example_input_array`, or a `validation_step` that needs no Trainer",
    )


def step_of(name: str, batch: Any) -> Step:
    """Returns a function that runs one step of a module on a batch.

    Args:
        name: Name of the method, as `find_step` says it.
        batch: Small batch.
    """

    def run(module: nn.Module) -> object:
        own = tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, batch)  # a step may write to it
        if name == "forward":
            return _called(module, own)
        with _listening(module) as said:
            answered = getattr(module, name)(own, 0)
        return answered, said

    return run


def _called(module: nn.Module, batch: Any) -> object:
    example = getattr(module, "example_input_array", None)
    if example is None:
        from nasplug.tasks.batches import _without_target

        example = _without_target(batch, "the batch")
    if isinstance(example, Mapping):
        return module(**example)
    return module(*example) if isinstance(example, (tuple, list)) else module(example)


@contextmanager
def _listening(module: Any) -> Iterator[dict[str, object]]:
    """Takes what a step logs, as nobody else would."""
    said: dict[str, object] = {}

    def log(name: str, value: object, *args: object, **kwargs: object) -> None:
        said[name] = value

    def log_dict(values: Mapping[str, object], *args: object, **kwargs: object) -> None:
        said.update(values)

    module.log, module.log_dict = log, log_dict
    try:
        yield said
    finally:
        del module.log, module.log_dict

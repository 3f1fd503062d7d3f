"""Lightning Trainers for trials: checked options, one device, and quiet."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import logging
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, TypedDict, TypeVar

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.lightning.ddp import refuse_one_process
from nasplug.lightning.distribution import lightning_of as lightning_of

if TYPE_CHECKING:
    from types import ModuleType

    from pytorch_lightning import Trainer


#: Trainer options that a run decides elsewhere, with the place where.
DECIDED_ELSEWHERE: dict[str, str] = {
    "max_epochs": "set budget.epochs",
    "min_epochs": "leave it out: a trial must be free to stop early",
    "min_steps": "leave it out: a trial must be free to stop early",
    "callbacks": "list them under `callbacks:`",
    "precision": "use the evaluator's own option `precision`",
    "accelerator": "set run.device",
    "devices": "set run.device and run.gpus; more trials run side by side with run.workers",
    "strategy": "leave it out: trials on several devices (run.gpus) train with DDP",
    "num_nodes": "leave it out: a trial runs on one machine",
    "use_distributed_sampler": "leave it out: the training data of a trial on several devices are divided anyway",
    "enable_checkpointing": "leave it out; the evaluator's option `keep` says which weights are kept",
    "barebones": "leave it out: it switches metrics off",
    "fast_dev_run": "leave it out, and use limit_train_batches for short trials",
}


class DeviceOptions(TypedDict):
    """Trainer options that say where a training runs."""

    accelerator: str
    devices: int | list[int]


T = TypeVar("T")

#: Every option below may be overridden by the specification.
DEFAULTS: dict[str, bool | int] = {
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}

PRECISIONS: tuple[str, ...] = (
    "64-true",
    "32-true",
    "16-true",
    "16-mixed",
    "bf16-true",
    "bf16-mixed",
    "transformer-engine",
    "transformer-engine-float16",
)

#: Precisions that a processor does not have. The Trainer would turn 16-mixed into bf16-mixed there, which a study would
#: not know; the engine is a package for GPUs.
_GPU_ONLY = ("16-mixed", "transformer-engine", "transformer-engine-float16")


def check_options(options: Mapping[str, object], where: str) -> None:
    """Refuses Trainer options that no trial could run with.

    Lightning is imported only if there is an option to check.

    Raises:
        SpecError: An unknown option, one that is decided elsewhere, or a value that the Trainer refuses.
    """
    if not options:
        return
    trainer = lightning_of(None).Trainer
    known = [name for name in inspect.signature(trainer).parameters if name not in DECIDED_ELSEWHERE]
    for name in options:
        if name in DECIDED_ELSEWHERE:
            raise SpecError(f"the option {name!r} is not taken here", where=where, fix=DECIDED_ELSEWHERE[name])
        if name not in known:
            raise SpecError(f"the Trainer has no option {name!r}", where=where, fix=did_you_mean(name, known))
    try:
        with quiet():
            trainer(**{**DEFAULTS, **options}, accelerator="cpu", devices=1, enable_checkpointing=False)
    except Exception as error:  # Lightning raises its own exception types, which differ between its distributions
        raise SpecError(
            "the Trainer refuses these options", where=where, why=f"{type(error).__name__}: {error}"
        ) from error


def device_options(device: str, *, several: bool = False) -> DeviceOptions:
    """The Trainer options for a device name.

    Args:
        device: `cpu`, `cuda`, `cuda:1` and so on, `auto` for a GPU if there is one, or several: `cuda:0,1`, or
            `cpu:0,1` for two processes on the processor.
        several: Whether this training has a process for each device.

    Raises:
        SpecError: Another name, a GPU that is not there, or several devices for a training in one process.
    """
    import torch

    found = torch.cuda.device_count()
    if device == "auto":
        device = "cuda" if found else "cpu"
    family, _, index = device.partition(":")
    indices = (index or "0").split(",")
    if family not in ("cpu", "cuda") or not all(one.isdecimal() for one in indices):
        raise SpecError(
            f"there is no device {device!r}", where="run.device", fix=did_you_mean(device, ("cpu", "cuda", "auto"))
        )
    if len(indices) > 1 and not several:
        raise refuse_one_process(device)
    if family == "cpu":
        return {"accelerator": "cpu", "devices": len(indices)}
    if max(map(int, indices)) >= found:
        raise SpecError(
            f"the device {device!r} is not available",
            where="run.device",
            why=f"torch sees {found} CUDA devices",
            fix="use cpu or auto, or run where there is a GPU and a CUDA build of torch",
        )
    return {"accelerator": "gpu", "devices": [int(one) for one in indices]}


def check_precision(precision: str, accelerator: str) -> None:
    """Refuses a precision that the device of a trial does not have.

    Args:
        precision: Precision of the Trainer.
        accelerator: Accelerator of the Trainer, `cpu` or `gpu`.

    Raises:
        SpecError: The precision needs a GPU, and the trial has none.
    """
    if accelerator == "cpu" and precision in _GPU_ONLY:
        raise SpecError(
            f"the precision {precision} needs a GPU, and this trial has none",
            where="evaluator.precision",
            why="torch has no mixed precision with float16 on a processor"
            if precision == "16-mixed"
            else "the engine runs on GPUs only",
            fix="write 32-true, or bf16-mixed, which runs on both, or set run.device: cuda where there is a GPU",
        )


@cache
def as_checkpoint(mixin: type[T], lightning: ModuleType) -> type[T]:
    """Mixes a class with Lightning's `Checkpoint` callback, the kind whose hooks run last.

    Being one, it also keeps the Trainer from adding a checkpoint callback that writes files.
    """
    return type(mixin.__name__, (mixin, lightning.callbacks.Checkpoint), {"__doc__": mixin.__doc__})


@cache
def as_callback(mixin: type[T], lightning: ModuleType) -> type[T]:
    """Mixes a class with the `Callback` of the Lightning at hand."""
    return type(mixin.__name__, (mixin, lightning.Callback), {"__doc__": mixin.__doc__})


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hides Lightning's banners and hints, and nothing of anybody else."""
    importlib.import_module("pytorch_lightning")  # which sets the level of its logger
    # Only the packages' own loggers have a level, which those of their modules inherit.
    known = logging.Logger.manager.loggerDict
    found = [known.get(name) for name in ("pytorch_lightning", "lightning_fabric", "lightning", "lightning.pytorch")]
    chatty = [logger for logger in found if isinstance(logger, logging.Logger)]
    levels = [logger.level for logger in chatty]
    try:
        with warnings.catch_warnings():
            # Hints such as "consider more data loader workers", which trials of a search get wrong on purpose.
            warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric|lightning\.\w+)(\.|$)")
            for logger in chatty:
                logger.setLevel(max(logger.level, logging.WARNING))
            yield
    finally:
        for logger, level in zip(chatty, levels, strict=True):
            logger.setLevel(level)


def fit(trainer: Trainer, run: Callable[[], object]) -> None:
    """Runs `trainer.fit` or `trainer.validate` and lets Ctrl-C through.

    Lightning turns an interruption into the end of the process, with interruptions switched off; a search wants to
    write down what it has.

    Raises:
        KeyboardInterrupt: Somebody pressed Ctrl-C.
    """
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main else None
    try:
        run()
    except SystemExit as end:
        if trainer.interrupted and isinstance(end.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if main and signal.getsignal(signal.SIGINT) is signal.SIG_IGN and handler is not None:
            signal.signal(signal.SIGINT, handler)

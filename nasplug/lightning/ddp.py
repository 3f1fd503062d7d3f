"""What Lightning needs for a training in several processes that it has not started itself."""

from __future__ import annotations

import importlib
import os
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from nasplug.contract.errors import SpecError

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer

    from nasplug.evaluate.ranks import Ranks


T = TypeVar("T")


class Surroundings:
    """Processes that run already, and have met. A mixin for the `ClusterEnvironment` of the Lightning at hand.

    Args:
        ranks: Place of this process among them.
    """

    creates_processes_externally = True
    main_address = "127.0.0.1"
    main_port = 0

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self._ranks = ranks

    @staticmethod
    def detect() -> bool:
        """Returns False: they are named, never found."""
        return False

    def world_size(self) -> int:
        """Returns the number of processes."""
        return self._ranks.count

    def set_world_size(self, size: int) -> None:
        """Does nothing: the number is given."""

    def global_rank(self) -> int:
        """Returns the index of this process."""
        return self._ranks.rank

    def set_global_rank(self, rank: int) -> None:
        """Does nothing: the index is given."""

    def local_rank(self) -> int:
        """Returns the index of this process, as all are on one machine."""
        return self._ranks.rank

    def node_rank(self) -> int:
        """Returns 0: there is one machine."""
        return 0


class Alike:
    """Gives all processes the buffers of the first one before they validate. A mixin for Lightning's `Callback`.

    In training, each process collects statistics of its own batches (batch normalisation). Weights are kept by the
    first one, so that a validation must see its statistics.
    """

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Sends them."""
        from torch import distributed

        for buffer in module.buffers():
            distributed.broadcast(buffer, src=0)


def join(ranks: Ranks, lightning: ModuleType) -> dict[str, Any]:
    """Returns the options of a Trainer in one of several processes, and tells libraries which of them this is.

    Networks of a search space may have parts that a batch does not reach, so that unused parameters are looked for.

    Args:
        ranks: Place of this process.
        lightning: Distribution of Lightning.
    """
    from lightning_utilities.core.rank_zero import rank_zero_only

    setattr(rank_zero_only, "rank", ranks.rank)  # noqa: B010 (loggers of the others write nothing)
    os.environ.pop("PL_GLOBAL_SEED", None)  # with which Lightning would give all processes the same random numbers
    strategy = lightning.strategies.DDPStrategy(
        cluster_environment=_surroundings(lightning)(ranks), find_unused_parameters=True
    )
    return {"strategy": strategy, "use_distributed_sampler": False}


def refuse_one_process(device: str) -> SpecError:
    """Returns the refusal of several devices where a training has one process.

    Args:
        device: Devices of the trial, such as `cuda:0,1`.
    """
    return SpecError(
        f"this training runs in one process and on one device, and it was given {device!r}",
        where="run.gpus",
        why="several devices train a network together only in trials of the evaluator `lightning`, in one process for "
        "each; folds, supernets and retrainings do not",
        fix="give at most 1, or an evaluator of your own that uses run.devices",
    )


def everywhere(value: T) -> list[T]:
    """Returns a value of every process of a training, by rank; that of this one alone where there are no others.

    Args:
        value: Value of this process.
    """
    from torch import distributed

    if not distributed.is_available() or not distributed.is_initialized():
        return [value]
    found: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(found, value)
    return found


def averaged(metrics: dict[str, float]) -> dict[str, float]:
    """Returns metrics of a training in several processes: what is equal in all of them, and means of what is not.

    Args:
        metrics: Metric by name, as this process knows it; the names of the first process count.
    """
    found = everywhere(metrics)
    return {name: _mean([other[name] for other in found if name in other]) for name in found[0]}


def _mean(values: list[float]) -> float:
    return values[0] if all(value == values[0] for value in values) else sum(values) / len(values)


@cache
def _surroundings(lightning: ModuleType) -> Any:
    fabric = "lightning_fabric" if lightning.__name__ == "pytorch_lightning" else "lightning.fabric"
    base = importlib.import_module(f"{fabric}.plugins.environments").ClusterEnvironment
    return type("Surroundings", (Surroundings, base), {"__doc__": Surroundings.__doc__})

"""How long an epoch takes on this machine, before anything is searched."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import StudyError
from nasplug.run.assemble import compose

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog
    from nasplug.run.spec import RunSpec

NETWORKS = 3


def measured(spec: RunSpec, catalog: Catalog, batches: int = 4) -> float:
    """Seconds that one epoch of a typical network takes in one process.

    The median of some networks of the space, each trained for a few batches.

    Args:
        spec: Specification with task and space.
        catalog: Catalog to look slugs up in.
        batches: Number of batches that are timed, for each network.

    Raises:
        StudyError: The specification has no task.
        NasplugError: The data cannot be read.
    """
    import numpy as np
    import torch

    assembly = compose(spec, catalog, with_strategy=False)
    task = assembly.task
    if task is None:
        raise StudyError("the specification needs a task to train for", where="nasplug auto")
    torch.set_num_threads(1)
    data: Any = task.datamodule()
    data.prepare_data()
    data.setup("fit")
    loader = data.train_dataloader()
    seconds = []
    for index in range(NETWORKS):
        architecture = assembly.space.sample(np.random.default_rng(index))
        module: Any = task.module(assembly.space.build(architecture, task), {})
        optimizer = torch.optim.SGD(module.parameters(), 1e-4)
        times = []
        for number, batch in zip(range(batches), loader, strict=False):
            started = time.perf_counter()
            optimizer.zero_grad()
            loss = module.training_step(batch, number)
            (loss["loss"] if isinstance(loss, dict) else loss).backward()
            optimizer.step()
            times.append(time.perf_counter() - started)
        seconds.append(float(np.median(times)) * len(loader))
    return float(np.median(seconds))

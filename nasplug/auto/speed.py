"""How long an epoch takes on this machine, before anything is searched."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import StudyError
from nasplug.contract.jsondata import JsonObject
from nasplug.plugins.component import Component, instantiate
from nasplug.run.assemble import compose

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.records import Architecture
    from nasplug.plugins.catalog import Catalog
    from nasplug.run.spec import RunSpec

NETWORKS = 3


class Speed:
    """Seconds that one epoch of a typical network takes in one process; the data are read once.

    Attributes:
        steps: Number of batches of an epoch.

    Args:
        spec: Specification with the task.
        catalog: Catalog to look slugs up in.
        batches: Number of batches that are timed, for each network.

    Raises:
        StudyError: The specification has no task.
        NasplugError: The data cannot be read.
    """

    def __init__(self, spec: RunSpec, catalog: Catalog, batches: int = 4) -> None:
        import torch

        assembly = compose(spec, catalog, with_strategy=False)
        if assembly.task is None:
            raise StudyError("the specification needs a task to train for", where="nasplug auto")
        torch.set_num_threads(1)
        self.task: Any = assembly.task
        self._space: Any = assembly.space
        self._catalog = catalog
        data: Any = self.task.datamodule()
        data.prepare_data()
        data.setup("fit")
        loader = data.train_dataloader()
        self.steps = len(loader)
        self._batches = [batch for _, batch in zip(range(batches), loader, strict=False)]

    def __call__(self, space: JsonObject, networks: int = NETWORKS) -> float:
        """The median of some networks of a space, each trained for a few batches.

        Args:
            space: Space, as a specification says it.
            networks: Number of networks.

        Returns:
            Seconds per epoch of training, without validation.
        """
        import numpy as np

        made: Any = instantiate("space", Component.parse(space, where="space"), self._catalog, where="space")
        drawn = [made.sample(np.random.default_rng(index)) for index in range(networks)]
        return float(np.median([self._seconds(made.build(architecture, self.task)) for architecture in drawn]))

    def of(self, architecture: Architecture) -> float:
        """Seconds per epoch of one network of the specification's space, without validation.

        Args:
            architecture: Architecture of the network.
        """
        return self._seconds(self._space.build(architecture, self.task))

    def _seconds(self, network: nn.Module) -> float:
        import torch

        module = self.task.module(network, {})
        optimizer = torch.optim.SGD(module.parameters(), 1e-4)
        times = []
        for number, batch in enumerate(self._batches):
            started = time.perf_counter()
            optimizer.zero_grad()
            loss = module.training_step(batch, number)
            (loss["loss"] if isinstance(loss, dict) else loss).backward()
            optimizer.step()
            times.append(time.perf_counter() - started)
        return statistics.median(times) * self.steps

"""Trainings inside a strategy: seeded, on a fixed number of threads, without a trace in global random generators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from pytorch_lightning.utilities.seed import isolate_rng

from nasplug.evaluate.trainer import quiet
from nasplug.run.seeding import seed_everything


@contextmanager
def isolated(seed: int, threads: int) -> Iterator[None]:
    """Seeds all global generators for the body, and puts them and the number of threads back afterwards.

    The number of threads changes the order of sums, and with it what is proposed: it must not depend on the machine.

    Args:
        seed: Random seed, below 2**31.
        threads: Number of torch threads of the body.
    """
    before = torch.get_num_threads()
    with isolate_rng(include_cuda=torch.cuda.is_available()), quiet():
        try:
            torch.set_num_threads(threads)
            seed_everything(seed)
            yield
        finally:
            torch.set_num_threads(before)

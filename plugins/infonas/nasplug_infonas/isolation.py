"""Trainings and inference of a strategy: seeded, on one thread, and without a trace in the global random generators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def isolated(seed: int, *, threads: int | None = 1) -> Iterator[None]:
    """Seeds all global generators for the body and puts them back afterwards.

    One thread, because the number of threads changes the order of sums, and with it the last bits of a proposal: a
    search must not depend on the machine's number of cores. Lightning's banners are hidden.

    Args:
        seed: Below 2**31.
        threads: Torch threads of the body; None leaves them alone.
    """
    from pytorch_lightning.utilities.seed import isolate_rng

    from nasplug.evaluate.trainer import quiet
    from nasplug.run.seeding import seed_everything

    with isolate_rng(include_cuda=False), quiet(), limited(threads):
        seed_everything(seed)
        yield


@contextmanager
def limited(threads: int | None = 1) -> Iterator[None]:
    """Runs the body on so many torch threads; None leaves them alone."""
    import torch

    before = torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        yield
    finally:
        torch.set_num_threads(before)

"""The wrapper `fraction`: trials train on a part of the training data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError, TrialError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import JsonObject

if TYPE_CHECKING:
    from collections.abc import Generator

    import numpy as np
    from pytorch_lightning import LightningDataModule

    from nasplug.evaluate.trialrun import TrialRun
    from nasplug.evaluate.workrun import WorkRun


class Fraction:
    """Trains on a random part of the training data; validation and test data stay whole.

    Classes keep their shares where the data set says its labels without being read. Any LightningDataModule works whose
    `train_dataloader` returns DataLoaders over data with positions; it is not subclassed, and its own transforms,
    collation, samplers and workers stay in use. The part follows from the seed of the run, so that all trials train on
    the same data. `nasplug retrain` trains on everything.

    Args:
        fraction: Part of the training data to keep, above 0 and at most 1.
        per_trial: Whether every trial, and every piece of work of the strategy, draws a part of its own.

    Raises:
        SpecError: The fraction is out of range.
    """

    search_only = True

    def __init__(self, fraction: float = 0.25, per_trial: bool = False) -> None:
        if not 0.0 < fraction <= 1.0:
            raise SpecError(f"fraction must be in (0, 1], got {fraction}", where="fraction")
        self.fraction, self.per_trial = fraction, per_trial

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries it with."""
        return [{"fraction": 0.5}, {"fraction": 0.5, "per_trial": True}]

    @hookimpl(wrapper=True)
    def configure_data(self, run: TrialRun | WorkRun) -> Generator[None, LightningDataModule, LightningDataModule]:
        """Replaces the `train_dataloader` of the trial's own data module.

        Raises:
            TrialError: There is none.
        """
        data = yield
        whole: Callable[[], object] | None = getattr(data, "train_dataloader", None)
        if whole is None:
            raise TrialError(
                "data",
                f"a {type(data).__name__} has no train_dataloader",
                where="fraction",
                fix="give the task a LightningDataModule with its training data",
            )
        if getattr(whole, "fraction", None) is self:  # a task that hands out one data module for all trials
            whole = whole.whole  # type: ignore[attr-defined]

        def rng(index: int) -> np.random.Generator:
            return run.rng("fraction", index) if self.per_trial else run.study.rng("fraction", index)

        def train_dataloader() -> object:
            from nasplug.data.fraction import cut

            return cut(whole(), self.fraction, rng)

        train_dataloader.fraction, train_dataloader.whole = self, whole  # type: ignore[attr-defined]
        data.train_dataloader = train_dataloader  # type: ignore[method-assign]
        return data

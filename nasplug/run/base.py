"""What every run has without naming it: the plugin that stands under all wrappers, and those made of its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningDataModule
    from torch import Tensor, nn

    from nasplug.contract.records import Proposal
    from nasplug.evaluate.trialrun import TrialRun
    from nasplug.evaluate.workrun import WorkRun
    from nasplug.ledger.view import StudyView


class Base:
    """Answers `build` with the space, `configure_data` with the task, and `inherit` where weights fit exactly."""

    @hookimpl(trylast=True)
    def build(self, run: TrialRun) -> nn.Module:
        """Returns the untransformed network."""
        return run.space.build(run.trial.architecture, run.task)

    @hookimpl(trylast=True)
    def configure_data(self, run: TrialRun | WorkRun) -> LightningDataModule:
        """Returns the task's data."""
        from nasplug.evaluate.wrapped import task_data

        return task_data(run)

    @hookimpl(trylast=True)
    def inherit(self, run: TrialRun, network: nn.Module, weights: Mapping[str, Tensor]) -> bool | None:
        """Takes weights whose names and shapes are all the same."""
        from nasplug.evaluate.structure import differences, structure

        if differences(structure(network), structure(weights)):
            return None
        network.load_state_dict(dict(weights))
        return True


class Enqueued:
    """Proposes given architectures before the strategy is asked."""

    def __init__(self, genotypes: tuple[Json, ...]) -> None:
        self.genotypes = genotypes

    @hookimpl(tryfirst=True)
    def propose(self, study: StudyView, count: int) -> list[Proposal] | None:
        """Returns the next of the given architectures, None when all were proposed."""
        start = study.proposed
        rest = self.genotypes[start : start + count]
        return [study.proposal(study.space.architecture(item), origin="enqueued") for item in rest] or None


class TrialCallbacks:
    """Gives every trial a fresh Lightning callback."""

    def __init__(self, make: Callable[[], Callback]) -> None:
        self.make = make

    @hookimpl
    def configure_callbacks(self, run: TrialRun) -> list[Callback]:
        """Returns one new callback."""
        return [self.make()]

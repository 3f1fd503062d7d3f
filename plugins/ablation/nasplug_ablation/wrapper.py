"""The wrapper `ablation`: takes features, augmentations and callbacks away, and looks that nothing comes back."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import TaskError
from nasplug.contract.hookspecs import hookimpl
from nasplug.evaluate.trainer import as_callback
from nasplug.lightning.distribution import lightning_of, overrides
from nasplug_ablation.bench import changes_of, places_of
from nasplug_ablation.components import Component
from nasplug_ablation.data.augmentations import without
from nasplug_ablation.data.loaders import Without, with_batches, with_samples
from nasplug_ablation.network.edits import still_there
from nasplug_ablation.source import DATA, Source
from nasplug_ablation.space import VariantSpace

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
    from torch import nn

    from nasplug.contract.jsondata import JsonObject
    from nasplug.evaluate.trialrun import TrialRun
    from nasplug.evaluate.workrun import WorkRun
    from nasplug.ledger.study import Study
    from nasplug.report.section import Section

_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader", "predict_dataloader")


class Ablating:
    """Takes away what stands around the network: features and augmentations of the data, callbacks.

    A study names it under `build:` beside the space `ablation`, which takes modules out of the network itself. On any
    other space it does nothing.
    """

    @hookimpl(wrapper=True)
    def build(self, run: TrialRun) -> Generator[None, nn.Module, nn.Module]:
        """Tells the space that it is at work."""
        if isinstance(run.space, VariantSpace):
            run.space.attached = True
        return (yield)

    @hookimpl(wrapper=True)
    def configure_data(self, run: TrialRun | WorkRun) -> Generator[None, LightningDataModule, LightningDataModule]:
        """Changes the loaders of the trial's own data module."""
        data: Any = yield
        flat = _components(run)
        changes = {name: value for name, value in changes_of(flat).items() if name.startswith(DATA)}
        if changes and isinstance(run.task, Source):
            data = run.task.make_data(changes)
        places = places_of(flat)
        steps = {str(one.target) for one in flat if one.kind == "augmentation"}
        if hasattr(data, "bind") and (places or steps):
            # Loaders of the module itself: taken now, so that they are not put back later.
            data.bind(run.network)  # type: ignore[union-attr]
            data.bind = lambda module: None
        for hook in _LOADERS if places or steps else ():
            if overrides(data, hook):
                setattr(data, hook, _changed(getattr(data, hook), places, steps if hook == _LOADERS[0] else set(), run))
        return data  # type: ignore[no-any-return]

    @hookimpl
    def configure_callbacks(self, run: TrialRun) -> Sequence[Callback]:
        """Gives the callbacks of the base without those that go, and one that looks whether something came back."""
        if not isinstance(run.space, VariantSpace) or not isinstance(run.task, Source):
            return []
        gone = {str(one.target) for one in _components(run) if one.kind == "callback"}
        kept = [callback for name, callback in run.task.make_callbacks().items() if name not in gone]
        edits = run.space.planned(run.trial.architecture, run.task).edits
        if edits:
            kept.append(as_callback(StaysAway, lightning_of(run.network))(edits))
        return kept

    @hookimpl
    def sections(self, study: Study) -> Sequence[Section] | None:
        """Adds the table and the picture of the study."""
        if not any("ablation" in trial.proposal.info for trial in study.trials):
            return None
        from nasplug_ablation.report.section import sections

        return sections(study)


class StaysAway:
    """Refuses a module that builds again what was taken out of it. A mixin for Lightning's `Callback`.

    Args:
        edits: Changes of the module.
    """

    def __init__(self, edits: Sequence[JsonObject]) -> None:
        super().__init__()
        self._edits = edits

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Looks at the module before its first step.

        Args:
            trainer: The Trainer.
            pl_module: Module that is trained.

        Raises:
            TaskError: Something removed is there again.
        """
        back = still_there(pl_module, self._edits)
        if back:
            raise TaskError(
                f"{back[0]!r} was taken away, and is there again when the training begins",
                where=type(pl_module).__name__,
                why="the module builds it in setup or on_fit_start, and the trial would train the base",
                fix="build it in __init__ or configure_model",
            )


def _components(run: TrialRun | WorkRun) -> list[Component]:
    trial = getattr(run, "trial", None)
    if trial is None or not isinstance(run.space, VariantSpace):
        return []
    found = run.space.components_of(trial.architecture, run.task)
    return [one for component in found for one in component.flat()]


def _changed(
    loader: Callable[[], object], places: list[Any], steps: set[str], run: TrialRun | WorkRun
) -> Callable[[], object]:
    def changed() -> object:
        made = loader()
        if steps:
            made = with_samples(made, lambda dataset: without(dataset, steps))
        return with_batches(made, Without(places, run.seed("permute"))) if places else made

    return changed

"""The contract between the core and its plugins.

Two levels, kept apart:

* **Catalogue level**, one per process. A distribution names a module in the entry-point group `nasplug`; its
  `register` announces factories as lazy `"module:Attribute"` strings and imports nothing heavy.
* **Study level**, one plugin manager per study. The instances that a run specification configures are registered in
  the order the specification fixes, never in the order of installation. A plugin implements the hooks it needs and
  may take fewer arguments than a hook offers.

Hooks of the driver get the `study`: everything that may be known, and nothing that can be changed. Hooks of a worker
get the `run`: one trial on its way, with its network, data, seeds, device, folder and live report.

`propose`, `evaluate`, `cost` and `hardware_target` are public and stable. A hook gains arguments only with a default,
and `CONTRACT_VERSION` tells when an old plugin cannot work any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningDataModule
    from torch import Tensor, nn

    from nasplug.contract.jsondata import JsonObject
    from nasplug.contract.protocols import HardwareTarget
    from nasplug.contract.records import Evaluation, Measurement, Proposal, Trial
    from nasplug.cost.candidate import Candidate
    from nasplug.evaluate.trialrun import TrialRun
    from nasplug.evaluate.workrun import WorkRun
    from nasplug.ledger.study import Study
    from nasplug.ledger.view import StudyView
    from nasplug.ledger.work import Work
    from nasplug.plugins.catalog import Catalog
    from nasplug.report.section import Section

#: Version of this contract. A plugin module may set `NASPLUG_CONTRACT`; another major number leaves it out.
CONTRACT_VERSION = "2.1"

PROJECT = "nasplug"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class CatalogSpecs:
    """Asked once per process of every installed distribution."""

    @hookspec
    def register(self, catalog: Catalog) -> None:
        """Announces what the distribution offers.

        Args:
            catalog: Takes names, lazy locations and one-line summaries; see `nasplug.Catalog`.
        """


class StudySpecs:
    """Asked of the plugins that one run specification configures."""

    # -- in the driver -------------------------------------------------------------------------------------------

    @hookspec
    def prepare(self, study: StudyView) -> Work | Sequence[Work] | None:
        """Names work that must be done before the first trial, such as a supernet that all trials are scored with.

        Asked of all plugins of a run, once, before the first trial that is not finished yet. The executor does the
        work, once for the study; trials find its files in `run.study.work_folder(work.key)`. Work that fails ends the
        run, since no trial could do without it.

        Args:
            study: The study, with its space, task, target, seed and budget; the work cannot see trials.

        Returns:
            Work, a list of pieces of it, or None.
        """

    @hookspec(firstresult=True)
    def propose(self, study: StudyView, count: int) -> list[Proposal] | None:
        """Names up to `count` architectures to evaluate next. Runs in the driver, and trains nothing there.

        Args:
            study: The study with every result this proposal may know: `study.trials`. Draw random numbers from
                `study.rng(role, index)` only, with an index of your own such as a generation or `study.proposed`.
                What must be trained first is work: `study.work(...)` hands it to the executor.
            count: Largest number of proposals wanted. It may decide how many come now, never which.

        Returns:
            Proposals; `[]` to wait for work that was asked for, or for results of the trials in `study.pending`.
            Waiting with nothing pending ends the search.
        """

    @hookspec
    def observe(self, study: StudyView, trial: Trial) -> None:
        """Takes note of a finished trial. Runs in the driver, strictly in the order of trial numbers.

        Args:
            study: The study; `trial` is already its last finished trial.
            trial: The finished trial, whatever its state.
        """

    # -- in a worker ---------------------------------------------------------------------------------------------

    @hookspec(firstresult=True)
    def build(self, run: TrialRun) -> nn.Module | None:
        """Turns the trial's architecture into a `torch.nn.Module`.

        The search space answers. A plugin that transforms networks (quantise, shrink, ablate) is a wrapper:
        `@hookimpl(wrapper=True)`, which takes the inner network and returns a new one. Wrappers listed later in the
        specification are applied later. Ask `run.network` for the result, which is built once.

        Args:
            run: The trial to build for.
        """

    @hookspec(firstresult=True)
    def configure_data(self, run: TrialRun | WorkRun) -> LightningDataModule | None:
        """Gives the `LightningDataModule` of a trial, or of work that a strategy trains, such as a supernet.

        The task answers. A plugin that changes data (fewer labels, one fold, noise) is a wrapper, as for `build`. It
        may change the data module in place, and in a Trainer of one's own (`nasplug.Plugins`) it must.
        Ask `run.data()` for the result. Plugins with a class attribute `search_only = True` are left out when the
        network that was found is trained again.

        Args:
            run: The trial, or the work, to prepare data for. Both have `study`, `task`, `space`, `seed` and `rng`.
        """

    @hookspec(firstresult=True)
    def inherit(self, run: TrialRun, network: nn.Module, weights: Mapping[str, Tensor]) -> bool | None:
        """Fits the weights of an earlier trial to the network of this one, which may have another structure.

        Asked for proposals that inherit with the mode `weights`; plugins are asked before the core, which takes
        weights that fit exactly.

        Args:
            run: The trial; `run.parent` is the earlier one.
            network: The untrained network, to be changed in place.
            weights: Tensor by name, as the earlier trial kept them.

        Returns:
            True if the network has the weights now, None to leave it to the next plugin. If nobody takes them, the
            trial fails with that reason.
        """

    @hookspec(firstresult=True)
    def edit(self, network: nn.Module, edit: JsonObject) -> nn.Module | None:
        """Repeats one recorded change of structure on a network that was built anew.

        Asked for every record of `trial.edits`, in order, wherever the network of a trial is built after its training:
        for costs, export, retraining and `study.network`.

        Args:
            network: The network before the change; may be changed in place.
            edit: The record, as the plugin that changed the network wrote it with `run.edit(...)`. Records of
                `nasplug.surgery` are repeated by the core, and no plugin is asked.

        Returns:
            The changed network, or None if the record is another plugin's.
        """

    @hookspec(firstresult=True)
    def evaluate(self, run: TrialRun) -> Evaluation | None:
        """Trains or looks up the trial and answers its metrics, with seeds and device set.

        Args:
            run: `run.network` and `run.data()` are what is trained, `run.task` makes the training module,
                `run.report(...)` says what was measured and whether to stop, `run.stage(...)` divides a trial into
                several fits.

        Returns:
            The evaluation, or None to leave it to the next evaluator.
        """

    @hookspec
    def cost(self, candidate: Candidate, target: HardwareTarget | None) -> Mapping[str, float] | None:
        """Prices a candidate, before training.

        A plugin whose class attribute `needs_trained_weights` is true is asked after training instead. Costs known
        before training are checked against the constraints, and a candidate that breaks one is never trained. If the
        network's structure changes in training, all costs are asked again.

        Args:
            candidate: Architecture, network, and example inputs; see `nasplug.Candidate`.
            target: The hardware target of the run, if the specification names one.

        Returns:
            Keys in the plugin's own namespace: its name, or `name/...`. Two plugins answering one key is an error.
        """

    @hookspec(firstresult=True)
    def hardware_target(self, name: str) -> HardwareTarget | None:
        """Finds a piece of hardware by name.

        Args:
            name: `cpu`, `cuda`, or `family:variant` such as `npu:wu32`.

        Returns:
            The target, or None if the name belongs to somebody else.
        """

    @hookspec(firstresult=True)
    def should_prune(self, run: TrialRun, measurement: Measurement) -> str | None:
        """Takes note of metrics during a training and may stop it early, once per step.

        Args:
            run: The trial; `run.measurements` holds its earlier steps, `run.study.trials` the results that were known
                when it was proposed, so that the answer does not depend on the number of workers.
            measurement: The new step, with all its metrics.

        Returns:
            None to go on, or the reason for stopping: the trial ends as `pruned`.
        """

    @hookspec
    def configure_callbacks(self, run: TrialRun) -> Sequence[Callback] | None:
        """Gives Lightning callbacks for the trial's Trainer.

        Args:
            run: The trial that is about to be trained.
        """

    # -- afterwards ----------------------------------------------------------------------------------------------

    @hookspec(firstresult=True)
    def recommend(self, study: StudyView) -> int | None:
        """Names the trial whose network to take from a search with one objective. Asked of the strategy.

        The trial with the best measured value is often the luckiest one; a strategy with a model of the results knows
        better. Its answer depends on the trials of the study alone: the strategy may be a new object that has proposed
        and observed nothing.

        Args:
            study: The study, with its space.

        Returns:
            Number of a trial that is complete and keeps the constraints; None for no opinion, which takes the best.
        """

    @hookspec
    def sections(self, study: Study) -> Sequence[Section] | None:
        """Adds sections to the report of a study.

        Args:
            study: The study that the report is about.
        """

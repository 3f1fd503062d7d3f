"""The contract between the core and its plugins.

Two levels, kept apart:

* **Catalogue level**, one per process. A distribution names a module in the entry-point group `nasplug`; its
  `register` announces factories as lazy `"module:Attribute"` strings and imports nothing heavy.
* **Study level**, one plugin manager per study. The instances that a run specification configures are registered in
  the order the specification fixes, never in the order of installation. A plugin implements the hooks it needs and
  may take fewer arguments than a hook offers.

`propose`, `evaluate`, `cost` and `hardware_target` are public and stable. A hook gains arguments only with a default,
and :data:`CONTRACT_VERSION` tells when an old plugin cannot work any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from nasplug.contract.protocols import HardwareTarget
    from nasplug.contract.records import Evaluation, Measurement, Proposal, Trial
    from nasplug.cost.candidate import Candidate
    from nasplug.ledger.study import Study
    from nasplug.plugins.catalog import Catalog

#: Version of this contract. A plugin module may set `NASPLUG_CONTRACT`; another major number leaves it out.
CONTRACT_VERSION = "1.0"

PROJECT = "nasplug"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class CatalogSpecs:
    """Asked once per process of every installed distribution."""

    @hookspec
    def register(self, catalog: Catalog) -> None:
        """Announces what the distribution offers.

        Args:
            catalog: Takes names, lazy locations and one-line summaries; see :class:`nasplug.Catalog`.
        """


class StudySpecs:
    """Asked of the plugins that one run specification configures."""

    @hookspec(firstresult=True)
    def propose(self, study: Study, count: int) -> list[Proposal] | None:
        """Names up to `count` architectures to evaluate next. Runs in the driver.

        Args:
            study: The study with every result this proposal may know: `study.trials`. Draw random numbers from
                `study.rng(role, index)` only, with an index of your own such as a generation or `study.proposed`.
            count: How many proposals are wanted at most. It may decide how many come now, never which.

        Returns:
            Proposals; `[]` to wait for results of the trials in `study.pending`. Waiting with nothing pending ends
            the search.
        """

    @hookspec(firstresult=True)
    def build(self, study: Study, trial: Trial) -> Any:
        """Turns the trial's architecture into a `torch.nn.Module`. Runs in a worker.

        The search space answers. A plugin that transforms networks (quantise, shrink, ablate) is a wrapper:
        `@hookimpl(wrapper=True)`, which takes the inner network and returns a new one. Wrappers listed later in the
        specification are applied later.

        Args:
            study: The study, for its task and space.
            trial: The trial to build for.
        """

    @hookspec(firstresult=True)
    def evaluate(self, study: Study, trial: Trial) -> Evaluation | None:
        """Trains or looks up the trial and answers its metrics. Runs in a worker, with seeds and device set.

        Args:
            study: `study.build(trial)` gives the network, `study.task` the data and the training module.
            trial: What to evaluate.

        Returns:
            The evaluation, or None to leave it to the next evaluator.
        """

    @hookspec
    def cost(self, candidate: Candidate, target: HardwareTarget | None) -> Mapping[str, float] | None:
        """Prices a candidate. Runs in a worker, before training.

        A plugin whose class attribute `needs_trained_weights` is true is asked after training instead. Costs known
        before training are checked against the constraints, and a candidate that breaks one is never trained.

        Args:
            candidate: Architecture, network, and shapes; see :class:`nasplug.Candidate`.
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
    def report(self, study: Study, trial: Trial, measurement: Measurement) -> str | None:
        """Takes note of metrics during a training and may stop it. Runs in a worker, once per step.

        Args:
            study: `study.trials` holds the results that were known when the trial was proposed, so that the answer
                does not depend on the number of workers.
            trial: The running trial; `trial.measurements` holds the earlier steps.
            measurement: The new step, with all its metrics.

        Returns:
            None to go on, or the reason for stopping: the trial ends as `pruned`.
        """

    @hookspec
    def configure_callbacks(self, study: Study, trial: Trial) -> Sequence[Any] | None:
        """Gives Lightning callbacks for the trial's Trainer. Runs in a worker.

        Args:
            study: The study.
            trial: The trial that is about to be trained.
        """

    @hookspec
    def observe(self, study: Study, trial: Trial) -> None:
        """Takes note of a finished trial. Runs in the driver, strictly in the order of trial numbers.

        Args:
            study: The study; `trial` is already its last finished trial.
            trial: The finished trial, whatever its state.
        """

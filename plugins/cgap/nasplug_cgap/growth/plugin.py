"""Continuous growth and pruning as a plugin: in a specification, or in a Trainer of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.io import Inputs, InputsLike, inputs_of
from nasplug_cgap.growth.orders import order_of
from nasplug_cgap.growth.settings import Growth, Pruning, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytorch_lightning import Callback, LightningModule
    from torch import nn

    from nasplug.evaluate.trialrun import TrialRun
    from nasplug.ledger.study import Study
    from nasplug.report.section import Section


class CGaP:
    """Trains networks by continuous growth and pruning (Du, Li and Cao 2019, arXiv 1905.11533).

    A network starts as a small seed, grows beside its most important channels until its capacity, loses the least
    important weights and then channels, and ends small and dense. A trial records every change.

    Args:
        growth: Settings of growth.
        pruning: Settings of pruning.
        residual: Groups that change: `coupled` all of them; `internal` leaves streams between residual blocks alone.
        score: Score of channels: `taylor`, `magnitude`, `gradient` or `random`.
        score_batches: Number of batches whose gradients a score averages.
        inputs: Inputs of the network in a Trainer of one's own; None takes the module's `example_input_array`.
        network_attribute: Attribute of the LightningModule that holds the network, in a Trainer of one's own.

    Raises:
        SpecError: A setting is outside its bounds.
    """

    def __init__(
        self,
        growth: Growth | None = None,
        pruning: Pruning | None = None,
        residual: Literal["coupled", "internal"] = "coupled",
        score: Literal["taylor", "magnitude", "gradient", "random"] = "taylor",
        score_batches: int = 4,
        inputs: InputsLike | None = None,
        network_attribute: str = "network",
    ) -> None:
        self.settings = Settings(growth or Growth(), pruning or Pruning(), residual, score, score_batches)
        self._inputs = None if inputs is None else Inputs.of(inputs)
        self._attribute = network_attribute

    @hookimpl
    def configure_callbacks(self, run: TrialRun) -> Sequence[Callback]:
        """One callback; none for a network that has grown already and starts anew, which is trained as it is.

        Raises:
            TrialError: The order of a strategy cannot be read.
        """
        inherits = run.trial.proposal.inherits
        continues = inherits is not None and inherits.mode == "training"
        if run.trial.edits and not continues:
            return []
        from nasplug.lightning.network import network_of
        from nasplug_cgap.growth.callback import Growing
        from nasplug_cgap.growth.ordered import Ordered

        alone = run.study.task is None

        def network(module: LightningModule) -> nn.Module:
            return network_of(module, self._attribute) if alone else run.network

        inputs = self._inputs if alone else inputs_of(run.task)
        edits = [record for record in run.trial.edits if "surgery" in record]
        order = order_of(run.trial.proposal.info, f"trial {run.number}, cgap")
        if order is None:
            return [Growing(self.settings, network, inputs, run.target, run.edit, run.trial.seed, edits)]
        return [Ordered(order, self.settings, network, inputs, run.target, run.edit, run.trial.seed, edits)]

    @hookimpl
    def sections(self, study: Study) -> Sequence[Section]:
        """Widths over time, of the best trials that grew."""
        from nasplug_cgap.growth.section import sections

        return sections(study)

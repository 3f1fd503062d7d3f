"""The strategy `reduction.sensitivity`: widths by what every layer earns, beside the uniform network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.records import Trial
from nasplug.ledger.work import Work
from nasplug_reduction.strategies.course import CANDIDATE, ORIGINAL, Keep, Reduction, Result, Search
from nasplug_reduction.strategies.routine import ROLE, Facts, space_of, value

if TYPE_CHECKING:
    from nasplug.ledger.view import StudyView


class Sensitivity(Reduction):
    """Measures without training how much narrowing each layer hurts, allocates widths, and tunes the better network.

    The damage of narrowing each channel group alone, and of passing by each block, is the growth of the training loss
    over a few batches, at widths around those of the uniform network: forward passes only. Widths follow by Lagrangian
    relaxation, under the budget and the multiply-accumulates of the uniform network. Both networks are then trained
    equally for a few epochs, and the better one goes on from there, the uniform one unless the other has a lead: nearly
    all work is training of the network that is handed over.

    Sources: sensitivities as in Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017, arXiv 1608.08710, and
    AMC (He et al., ECCV 2018, arXiv 1802.03494); statistics of batches in place of those of the original network as in
    EagleEye (Li et al., ECCV 2020).

    Args:
        keep: Share of the original network's parameters, such as 0.25, or shares by cost: `{macs: 0.5}`.
        at_most: Largest values by cost, such as `{npu/latency_s: 0.002}`.
        final_epochs: Number of epochs that the found network is trained in the end.
        compare: Whether to train the uniform network too, for as many epochs as the found one in all.
        probes: Number of widths at which every group is probed.
        batches: Number of training batches of a probe.
        tune_epochs: Number of epochs that both networks are trained before the better one is chosen; 0 recalibrates
            only.
        lead: Share of the original network's metric by which the allocated network must be better than the uniform one.

    Raises:
        SpecError: The budget is missing, or a number is out of range.
    """

    nasplug_conformance: ClassVar[Mapping[str, Any]] = {
        **Reduction.nasplug_conformance,
        "trials": 4,
        "make_task": lambda suite: _small_task(),
    }

    def __init__(
        self,
        keep: Keep | None = None,
        at_most: Mapping[str, float] | None = None,
        final_epochs: int = 10,
        compare: bool = True,
        probes: int = 2,
        batches: int = 4,
        tune_epochs: int = 1,
        lead: float = 0.02,
    ) -> None:
        super().__init__(keep, at_most, final_epochs, compare)
        if min(probes, batches) < 1 or min(tune_epochs, lead) < 0:
            raise SpecError(
                "probes and batches must be >= 1, tune_epochs and lead >= 0, got "
                f"{probes}, {batches}, {tune_epochs} and {lead:g}",
                where="reduction.sensitivity",
            )
        self.probes, self.batches, self.tune_epochs, self.lead = probes, batches, tune_epochs, lead

    def most_trials(self, groups: int) -> int:
        """Largest number of trials of the strategy."""
        return 5

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries the strategy with."""
        return [{"keep": 0.3, "final_epochs": 1}]

    def search(self, study: StudyView, facts: Facts) -> Search:
        """Probes, allocates, and lets the networks compete."""
        space, uniform = space_of(study), [int(index) for index in facts["uniform"][-1]]
        arguments: dict[str, Json] = {"uniform": list(uniform), "limits": dict(facts["limits"])}
        arguments |= {"probes": self.probes, "batches": self.batches}
        answer = yield Work("nasplug_reduction.sensitivity:analyse", arguments)
        networks = [space.from_vector(uniform), space.from_vector(answer["vector"])]
        if networks[0].key == networks[1].key:
            return None
        trials: list[Trial] = yield [
            study.proposal(network, epochs=self.tune_epochs, role=CANDIDATE) for network in networks
        ]
        even, other = (value(study, trial) for trial in trials)
        first = next(trial for trial in study.trials if trial.proposal.info.get(ROLE) == ORIGINAL)
        best = trials[int(other > even + self.lead * abs(value(study, first)))]
        if best.state != "complete":
            return None
        return Result(best.architecture, best if self.tune_epochs else None, self.tune_epochs)


def _small_task() -> object:
    from nasplug_reduction.example import images

    return images()

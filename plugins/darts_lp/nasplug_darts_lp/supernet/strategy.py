"""Differentiable search as a strategy: rounds of training a supernet, and proposals of the networks it prefers.

The driver imports this, and it imports no torch: supernets are trained by the executor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.records import Failure, Proposal
from nasplug.ledger.view import StudyView
from nasplug_darts_lp.supernet.capability import HasSupernet
from nasplug_darts_lp.supernet.cost import cost_model
from nasplug_darts_lp.supernet.mixing import Mixing
from nasplug_darts_lp.supernet.rounds import Record, Rounds
from nasplug_darts_lp.supernet.settings import (
    CostSettings,
    LogitsSettings,
    SupernetSettings,
    TrainingSettings,
)

_WHERE = "darts_lp.search"


class DifferentiableSearch:
    """Trains a supernet over all networks of a space, and proposes those its architecture parameters prefer.

    A round trains the supernet for `epochs` more on the training data of the task, and then proposes the `derive` most
    probable networks that were not proposed before; they are trained from scratch as every trial is. Validation data
    judge these trials and are never seen by the supernet, test data neither. After the last round the search ends.

    The executor trains the supernet, on the device and the threads of the run, while trials of the round before go on.
    With the study in a file, the supernet of every round is kept beside it, and a resumed search begins the round anew
    that it was in. A supernet that diverges, crashes or runs out of time gives a failed trial that says so; the next
    round starts from fresh weights.

    Sources: Liu et al., "DARTS", ICLR 2019; Xu et al., "PC-DARTS", ICLR 2020; Dong and Yang, "GDAS", CVPR 2019; Chen
    et al., "DrNAS", ICLR 2021; Cai and Vasconcelos, "EdMIPS", CVPR 2020; Wu, TU Dresden 2024, chapter 4, of which only
    the headings could be read.

    Args:
        rounds: Number of rounds, each of which derives networks.
        epochs: Number of epochs of the supernet per round. Schedules and temperature run over all rounds.
        derive: Number of networks per round.
        mixing: Softmax or samples, and their temperature.
        supernet: Form of the supernet.
        training: Training of its weights.
        logits: Training of its logits.
        cost: Cost of networks in the loss.
        time_limit: Seconds that a round may take, in worker processes; without it, the run's limit for a trial counts.

    Raises:
        SpecError: An argument that is unknown or out of range.
    """

    requires = (HasSupernet,)

    @classmethod
    def nasplug_examples(cls) -> list[Mapping[str, Any]]:
        """A search that ends within seconds."""
        return [{"rounds": 3, "epochs": 1, "derive": 4, "cost": {"weight": 0.1}, "logits": {"warmup": 0.0}}]

    #: Arguments of earlier versions that have another name in their group; the others kept theirs.
    nasplug_renamed: ClassVar[Mapping[str, str]] = {"power": "cost.model"}

    #: The supernet trains on images; the trials are judged by the suite's evaluator.
    nasplug_conformance: ClassVar[Mapping[str, Any]] = {
        "trials": 12,
        "make_space": lambda suite: _small_space(),
        "make_task": lambda suite: _small_task(),
    }

    def __init__(
        self,
        rounds: int = 4,
        epochs: int = 5,
        derive: int = 1,
        mixing: Mixing = Mixing(),
        supernet: SupernetSettings = SupernetSettings(),
        training: TrainingSettings = TrainingSettings(),
        logits: LogitsSettings = LogitsSettings(),
        cost: CostSettings = CostSettings(),
        time_limit: float | None = None,
    ) -> None:
        for name, value in (("rounds", rounds), ("epochs", epochs), ("derive", derive)):
            if value < 1:
                raise SpecError(f"{name} must be >= 1, got {value}", where=_WHERE)
        if time_limit is not None and not time_limit > 0:
            raise SpecError(f"time_limit must be > 0, got {time_limit}", where=_WHERE)
        self.cost = cost
        settings = {
            "mixing": asdict(mixing),
            "supernet": asdict(supernet),
            "training": asdict(training),
            "logits": asdict(logits),
            "cost": asdict(cost),
        }
        self.rounds = Rounds(rounds, epochs, derive, settings, time_limit)
        self._records: list[Record] = []
        self._handed_out = 0

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Proposes the next networks of the current round; asks for the next round when all were handed out.

        Raises:
            SpecError: The run lacks a task, or a target that the cost needs.
        """
        if not self._records:
            self._check(study)
        rank = self._handed_out
        for number in range(self.rounds.rounds):
            if number == len(self._records):
                outcome = study.work(self.rounds.work(study, self._records))
                if outcome is None:
                    return []
                self._records.append(self.rounds.record(study, self._records, outcome))
            record = self._records[number]
            if rank < len(record.networks):
                end = min(rank + count, len(record.networks))
                self._handed_out += end - rank
                return [self._proposal(study, record, index) for index in range(rank, end)]
            rank -= len(record.networks)
        return []

    def _proposal(self, study: StudyView, record: Record, rank: int) -> Proposal:
        network = record.networks[rank]
        info: dict[str, Any] = {
            "round": record.number,
            "rank": rank,
            "probability": network.probability,
            "cost": network.cost,
            "losses": list(record.losses),
            "probabilities": dict(record.probabilities),
        }
        architecture = study.space.architecture(network.genotype)
        if record.failure is None:
            return study.proposal(architecture, **info)
        what = "diverged" if record.failure.kind == "nan" else "failed"
        reason = f"the supernet of round {record.number} {what}: {record.failure.message}"
        failure = Failure(record.failure.kind, reason, record.failure.traceback)
        return study.proposal(architecture, failure=failure, **info)

    def _check(self, study: StudyView) -> None:
        """Refuses before anything is trained what no round could do."""
        if study.task is None:
            raise SpecError(
                "a supernet is trained on a task, and the run does not have one", where=_WHERE, fix="add `task:`"
            )
        cost_model(self.cost.model, study.target)


def _small_space() -> Any:
    """The space that the conformance suite searches, by name: spaces lie above this room."""
    from nasplug.plugins.component import Component, instantiate
    from nasplug.plugins.discovery import discover

    bits: dict[str, Any] = {"weight_bits": [1, 4], "activation_bits": [2, 8], "first_last_bits": None}
    small = Component("darts_lp.layers", {"width": 0.125, "blocks": 1, "kernels": [1, 3], **bits})
    return instantiate("space", small, discover().catalog, where=_WHERE)


def _small_task() -> Any:
    from nasplug.tasks import ImageClassification

    return ImageClassification(limit=30, batch_size=16)

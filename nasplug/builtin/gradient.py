"""Search by gradients: one network of all decisions is trained, and what its weights favour is proposed."""

from __future__ import annotations

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.protocols import Relaxes
from nasplug.contract.records import Proposal
from nasplug.ledger.view import StudyView
from nasplug.ledger.work import Work

_WHERE = "strategy 'gradient'"


class GradientSearch:
    """Trains the relaxed network of a space by the task's own loss, and proposes the network that it favours.

    Decisions and weights are trained together, on the same batches and by the same optimiser. Every trial is a search
    of its own, with its own seed; one is enough to have a network. With the space `dints` this is the search of DiNTS
    (He et al., CVPR 2021, arXiv 2103.15954) with one level of optimisation, and without its terms for memory and for
    the entropy of the topology.

    Args:
        epochs: Number of epochs that a relaxed network is trained.
        time_limit: Seconds that a training may take; needs an executor with processes. None means no limit.

    Raises:
        SpecError: An argument is out of range.
    """

    requires: tuple[type, ...] = (Relaxes,)

    def __init__(self, epochs: int = 10, time_limit: float | None = None) -> None:
        if epochs < 1:
            raise SpecError(f"epochs must be >= 1, got {epochs}", where=_WHERE)
        if time_limit is not None and not time_limit > 0:
            raise SpecError(f"time_limit must be > 0, got {time_limit}", where=_WHERE)
        self.epochs, self.time_limit = epochs, time_limit

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Proposes what the next search has found; asks for it if it was not made yet.

        Raises:
            SpecError: The run lacks a task.
        """
        if study.task is None:
            raise SpecError("a relaxed network is trained on a task", where=_WHERE, fix="add `task:`")
        number = study.proposed
        arguments = {"epochs": self.epochs, "number": number}
        outcome = study.work(Work("nasplug.evaluate.relaxed:train", arguments, time_limit=self.time_limit))
        if outcome is None:
            return []
        if outcome.failure is not None:
            drawn = study.space.sample(study.rng("gradient.failed", number))
            return [study.proposal(drawn, failure=outcome.failure)]
        architecture = study.space.architecture(outcome.result["genotype"])
        return [study.proposal(architecture)]

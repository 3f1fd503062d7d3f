"""The strategy `darts_lp.sensitivity`: bits where they are missed most, under an exact budget.

The driver imports this, and it imports no torch: networks are trained and measured by the executor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.records import Failure, Proposal
from nasplug.ledger.view import StudyView
from nasplug.ledger.work import Work
from nasplug_darts_lp.sensitivity.capability import HasPrecisions

_WHERE = "darts_lp.sensitivity"


class Sensitivity:
    """Gives every layer the bits that it misses most, and trains the network that results.

    A network with the most bits is trained first, unless its model has weights that are trained already. Then every
    layer alone gets every pair of bits, and what the loss rises by over a few training batches is its harm; dynamic
    programming finds the assignment with the least sum of harms whose cost is within the budget. The networks start
    from the weights of the first training. The last trial is the network with the same bits everywhere within the same
    budget, trained alike: the one that has to be beaten.

    Sources: sensitivities of single layers as in Wang et al., "HAQ", CVPR 2019, and Cai et al., "ZeroQ", CVPR 2020,
    whose assignment is a dynamic programme too; `hessian` as in Dong et al., "HAWQ-V2", NeurIPS 2020.

    Args:
        keep: Share of the cost of the network with the most bits, such as `{bit_operations: 0.25}`; costs are
            `average_bits`, `bit_operations`, and what the run's target estimates, such as `npu/energy_j`.
        at_most: Largest cost as a number, such as `{average_bits: 4}`, in place of `keep`.
        measure: Kind of the sensitivities: `loss`, the rise of the loss with the layer quantised; or `hessian`, the
            curvature of the loss times the squared error of quantisation.
        epochs: Number of epochs of the first training; None means as many as a trial's, 0 measures the model's own
            weights.
        batches: Number of training batches that sensitivities are measured on.
        derive: Number of assignments, the best by harm first.
        compare: Whether to train the network with the same bits everywhere, too.

    Raises:
        SpecError: Not exactly one cost is limited, or a number is out of range.
    """

    requires = (HasPrecisions,)

    #: Networks are measured on images; the trials are judged by the suite's evaluator.
    nasplug_conformance: ClassVar[Mapping[str, Any]] = {
        "trials": 5,
        "make_space": lambda suite: _small_space(),
        "make_task": lambda suite: _small_task(),
    }

    def __init__(
        self,
        keep: Mapping[str, float] | None = None,
        at_most: Mapping[str, float] | None = None,
        measure: Literal["loss", "hessian"] = "loss",
        epochs: int | None = None,
        batches: int = 8,
        derive: int = 1,
        compare: bool = True,
    ) -> None:
        limits = {**(keep or {}), **(at_most or {})}
        if len(limits) != 1 or (keep and at_most):
            raise SpecError(
                f"expected one limited cost, got {sorted(limits) or 'none'}",
                where=_WHERE,
                fix="give keep: {bit_operations: 0.25}, or at_most: {average_bits: 4}",
            )
        ((self.cost, value),) = limits.items()
        if not value > 0 or (keep and value > 1):
            raise SpecError(f"the limit of {self.cost} must be > 0, and a share at most 1, got {value:g}", where=_WHERE)
        if measure not in ("loss", "hessian"):
            raise SpecError(f"cannot measure {measure!r}", where=_WHERE, fix="write loss or hessian")
        if batches < 1 or derive < 1 or (epochs or 0) < 0:
            raise SpecError(
                f"batches and derive must be >= 1, epochs >= 0, got {batches}, {derive} and {epochs}", where=_WHERE
            )
        self._arguments: dict[str, Any] = {
            **{"cost": self.cost, "keep": value if keep else None, "most": None if keep else value},
            **{"measure": measure, "batches": batches, "count": derive},
        }
        self.epochs, self.compare = epochs, compare

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """A search that ends within seconds."""
        return [{"keep": {"bit_operations": 0.5}, "epochs": 1, "batches": 2, "derive": 4}]

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Proposes the assignments, and the network with the same bits everywhere.

        Raises:
            SpecError: The run lacks a task.
        """
        if study.task is None:
            raise SpecError("sensitivities are measured on a task", where=_WHERE, fix="add `task:`")
        epochs = study.budget.epochs if self.epochs is None else self.epochs
        outcome = study.work(Work("nasplug_darts_lp.sensitivity.work:assign", {**self._arguments, "epochs": epochs}))
        if outcome is None:
            return []
        if outcome.failure is not None:
            if study.proposed:
                return []
            what = f"the network to measure failed: {outcome.failure.message}"
            failure = Failure(outcome.failure.kind, what, outcome.failure.traceback)
            return [study.proposal(study.space.sample(study.rng(_WHERE)), failure=failure)]
        found = outcome.result
        rows: list[tuple[Any, dict[str, Any]]] = [
            (genotype, {"role": "assigned", "rank": rank, "cost": found["costs"][rank]})
            for rank, genotype in enumerate(found["genotypes"])
        ]
        if self.compare and found["uniform"] is not None:
            rows.append((found["uniform"], {"role": "uniform"}))
        return [
            study.proposal(study.space.architecture(genotype), limit=found["limit"], weights=outcome.key, **info)
            for genotype, info in rows[study.proposed : study.proposed + count]
        ]


def _small_space() -> Any:
    """The space that the conformance suite searches, by name: spaces lie above this room."""
    from nasplug.plugins.component import Component, instantiate
    from nasplug.plugins.discovery import discover

    small = {"model": "nasplug_darts_lp.example:small_network", "weights": "random", "inputs": [1, 8, 8]}
    return instantiate("space", Component("darts_lp.bits", small), discover().catalog, where=_WHERE)


def _small_task() -> Any:
    from nasplug_darts_lp.example import small_task

    return small_task()

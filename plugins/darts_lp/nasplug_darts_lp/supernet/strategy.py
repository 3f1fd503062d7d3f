"""Differentiable search as a strategy: rounds of training a supernet, and proposals of the networks it prefers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.records import Failure, Proposal
from nasplug.ledger.study import Study
from nasplug_darts_lp.supernet.base import HasSupernet, SupernetOptions
from nasplug_darts_lp.supernet.cost import cost_model
from nasplug_darts_lp.supernet.mixing import Mixing
from nasplug_darts_lp.supernet.rounds import Record, Rounds
from nasplug_darts_lp.supernet.settings import (
    CostSettings,
    LogitsSettings,
    SearchSettings,
    SupernetSettings,
    TrainingSettings,
)
from nasplug_darts_lp.supernet.training import Plan

_WHERE = "darts_lp.search"


class DifferentiableSearch:
    """Trains a supernet over all networks of a space, and proposes those its architecture parameters prefer.

    A round trains the supernet for `epochs` more on the training data of the task, and then proposes the `derive` most
    probable networks that were not proposed before; they are trained from scratch as every trial is. Validation data
    judge these trials and are never seen by the supernet, test data neither. After the last round the search ends.

    With the study in a file, the state of the supernet is kept beside it, and a resumed search goes on with the round
    it was in. A supernet whose loss is not finite gives a failed trial that says so; the next round starts from fresh
    weights.

    Sources: Liu et al., "DARTS", ICLR 2019; Xu et al., "PC-DARTS", ICLR 2020; Dong and Yang, "GDAS", CVPR 2019; Cai and
    Vasconcelos, "EdMIPS", CVPR 2020; Wu, TU Dresden 2024, chapter 4, of which only the headings could be read.

    Args:
        rounds: Number of rounds, each of which derives networks.
        epochs: Number of epochs of the supernet per round. Schedules and temperature run over all rounds.
        derive: Number of networks per round.
        mixing: Softmax or samples, and their temperature.
        supernet: Form of the supernet.
        training: Training of its weights.
        logits: Training of its logits.
        cost: Cost of networks in the loss.
        device: Device of the supernet: `cpu`, `cuda` or `auto`.
        threads: Number of torch threads of the supernet; part of the result, since they change floating-point sums.

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
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        for name, value in (("rounds", rounds), ("epochs", epochs), ("derive", derive), ("threads", threads)):
            if value < 1:
                raise SpecError(f"{name} must be >= 1, got {value}", where=_WHERE)
        self.rounds, self.epochs, self.derive = rounds, epochs, derive
        self.mixing, self.supernet = mixing, supernet
        self.settings = SearchSettings(training, logits, cost)
        self.device, self.threads = device, threads
        self._rounds: Rounds | None = None
        self._handed_out = 0

    @hookimpl
    def propose(self, study: Study, count: int) -> list[Proposal]:
        """Proposes the next networks of the current round; a new one is trained when all were handed out.

        Raises:
            SpecError: The run lacks a task, or its data, the target or the device do not fit the arguments.
        """
        rounds = self._open(study)
        rank = self._handed_out
        for number in range(rounds.rounds):
            record = rounds.record(number)
            if rank < len(record.networks):
                end = min(rank + count, len(record.networks))
                self._handed_out += end - rank
                return [self._proposal(study, record, index) for index in range(rank, end)]
            rank -= len(record.networks)
        return []

    def _proposal(self, study: Study, record: Record, rank: int) -> Proposal:
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
        if record.diverged is not None:
            reason = f"the supernet of round {record.number} diverged: {record.diverged}"
            return study.proposal(architecture, failure=Failure("nan", reason), **info)
        return study.proposal(architecture, **info)

    def _open(self, study: Study) -> Rounds:
        """Returns the rounds, made when the study is first known."""
        if self._rounds is None:
            if study.task is None:
                raise SpecError(
                    "a supernet is trained on a task, and the run does not have one", where=_WHERE, fix="add `task:`"
                )
            assert isinstance(study.space, HasSupernet)  # `requires`, checked when the run is composed
            plan = Plan(
                study.space,
                study.task,
                SupernetOptions(self.mixing, self.supernet, cost_model(self.settings.cost.model, study.target)),
                self.settings,
                self.epochs,
                division_seed=_seed(study, "darts_lp.division", 0),
                device=self.device,
                threads=self.threads,
            )
            self._rounds = Rounds(
                plan,
                self.rounds,
                self.derive,
                lambda number: _seed(study, "darts_lp.supernet", number),
                None if study.folder is None else study.folder / "darts_lp",
                self._fingerprint(study),
            )
        return self._rounds

    def _fingerprint(self, study: Study) -> str:
        assert study.task is not None
        space: Any = study.space
        facts = {
            "rounds": [self.rounds, self.epochs, self.derive],
            "settings": [asdict(group) for group in (self.mixing, self.supernet, self.settings)],
            "device": [self.device, self.threads],
            "seed": study.seed,
            "space": [space.name, [[choice.name, choice.options] for choice in getattr(space, "choices", ())]],
            "task": [study.task.input_shape, study.task.outputs],
            "target": None if study.target is None else study.target.name,
        }
        return json.dumps(facts, sort_keys=True, default=str)


def _seed(study: Study, role: str, index: int) -> int:
    return int(study.rng(role, index).integers(2**31))


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

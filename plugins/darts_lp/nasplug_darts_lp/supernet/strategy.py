"""Differentiable search as a strategy: rounds of training a supernet, and proposals of the networks it prefers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.records import Failure, Proposal
from nasplug.ledger.study import Study
from nasplug_darts_lp.supernet.base import HasSupernet, SupernetOptions
from nasplug_darts_lp.supernet.cost import power_model
from nasplug_darts_lp.supernet.mixing import Annealing, Kind, Mixing
from nasplug_darts_lp.supernet.rounds import Record, Rounds
from nasplug_darts_lp.supernet.scaling import Reading, WeightedSum
from nasplug_darts_lp.supernet.schedules import Schedule
from nasplug_darts_lp.supernet.settings import Optimisation, OptimizerName, PowerLoss, SearchSettings
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
        rounds: How often networks are derived.
        epochs: Epochs of the supernet per round. Schedules and temperature run over all rounds.
        derive: Networks per round.
        mixing: `softmax`, `gumbel` or `gumbel_hard`.
        temperature: Temperature at the start and at the end; None means 5 and 0.1 for samples, 1 for softmax.
        annealing: Course of the temperature: `linear`, `exponential` or `constant`.
        shared: One convolution for all kernel sizes and bit widths, or one for every combination.
        scaling: Forward-and-backward scaling: `none`, `gradient`, `normalise` or `importance`.
        activations: Quantiser of activations in shared convolutions: `shared` (one range for all bit widths) or a kind
            of the plugin's quantisers, with one for every width.
        partial: PC-DARTS: one of so many channels goes through the candidates of a cell's edge.
        optimisation: `bilevel` or `joint`; see `SearchSettings`, also for the
            following ones.
        order: 1 or 2, of the gradient of the logits.
        optimizer: Of the weights: `sgd` or `adam`.
        lr: Largest rate of the weights.
        lr_min: Smallest rate of the weights.
        schedule: Of the weights' rate: `cosine`, `constant` or `inverted`.
        momentum: Of sgd.
        weight_decay: Of the weights.
        gradient_clip: Largest norm of the gradient of the weights.
        logits_lr: Largest rate of the logits.
        logits_schedule: Of the logits' rate.
        logits_weight_decay: Of the logits.
        logits_fraction: Part of the training data that the logits learn from, in `bilevel`.
        warmup: Share of the search in which the logits stay as they are.
        power: What convolutions cost: `bits`, `mpic`, `target` (the run's hardware target), `target:KEY` (one of its
            answers), or a table such as `{w4a4: 0.25, w8a8: 1.0}`.
        power_weight: Weight of the power in the loss.
        power_loss: `add`, `multiply` or `hinge`.
        power_target: Power to reach, as a share of the largest network on 8x8 bits.
        power_range: Smallest and largest power of the networks to derive, out of the 20,000 most probable ones.
        device: Where the supernet trains: `cpu`, `cuda` or `auto`.
        threads: Torch threads of the supernet; part of the result, since they change floating-point sums.

    Raises:
        SpecError: An argument that is unknown or out of range.
    """

    requires = (HasSupernet,)

    @classmethod
    def nasplug_examples(cls) -> list[Mapping[str, Any]]:
        """A search that ends within seconds."""
        return [{"rounds": 3, "epochs": 1, "derive": 4, "power_weight": 0.1, "warmup": 0.0}]

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
        mixing: Kind = "gumbel",
        temperature: tuple[float, float] | None = None,
        annealing: Annealing = "linear",
        shared: bool = True,
        scaling: Reading = "none",
        activations: str = "shared",
        partial: int = 1,
        optimisation: Optimisation = "bilevel",
        order: int = 1,
        optimizer: OptimizerName = "sgd",
        lr: float = 0.025,
        lr_min: float = 0.001,
        schedule: Schedule = "cosine",
        momentum: float = 0.9,
        weight_decay: float = 3e-4,
        gradient_clip: float = 5.0,
        logits_lr: float = 0.01,
        logits_schedule: Schedule = "inverted",
        logits_weight_decay: float = 1e-3,
        logits_fraction: float = 0.5,
        warmup: float = 0.1,
        power: str | Mapping[str, float] = "bits",
        power_weight: float = 0.0,
        power_loss: PowerLoss = "add",
        power_target: float = 1.0,
        power_range: tuple[float, float] | None = None,
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        for name in ("rounds", "epochs", "derive", "partial", "threads"):
            if given[name] < 1:
                raise SpecError(f"{name} is {given[name]}, less than 1", where=_WHERE)
        self.settings = SearchSettings(
            optimisation=optimisation,
            order=order,
            optimizer=optimizer,
            lr=lr,
            lr_min=lr_min,
            schedule=schedule,
            momentum=momentum,
            weight_decay=weight_decay,
            gradient_clip=gradient_clip,
            logits_lr=logits_lr,
            logits_schedule=logits_schedule,
            logits_weight_decay=logits_weight_decay,
            logits_fraction=logits_fraction,
            warmup=warmup,
            power_weight=power_weight,
            power_loss=power_loss,
            power_target=power_target,
        )
        start, end = temperature or (None, None)
        self.mixing = Mixing(mixing, start, end, annealing)
        WeightedSum(1, scaling)  # refuses an unknown reading now
        self._given = given
        self._rounds: Rounds | None = None
        self._handed_out = 0

    @hookimpl
    def propose(self, study: Study, count: int) -> list[Proposal]:
        """The next networks of the current round; a new one is trained when all were handed out.

        Raises:
            SpecError: There is no task, or its data, the target or the device do not fit the arguments.
        """
        rounds = self._open(study)
        place = self._handed_out
        for number in range(rounds.rounds):
            record = rounds.record(number)
            if place < len(record.networks):
                found = [
                    self._proposal(study, record, rank)
                    for rank in range(place, min(place + count, len(record.networks)))
                ]
                self._handed_out += len(found)
                return found
            place -= len(record.networks)
        return []

    def _proposal(self, study: Study, record: Record, rank: int) -> Proposal:
        network = record.networks[rank]
        info: dict[str, Any] = {
            "round": record.number,
            "rank": rank,
            "probability": network.probability,
            "power": network.power,
            "losses": list(record.losses),
            "probabilities": dict(record.probabilities),
        }
        architecture = study.space.architecture(network.genotype)
        if record.diverged is not None:
            reason = f"the supernet of round {record.number} diverged: {record.diverged}"
            return study.proposal(architecture, failure=Failure("nan", reason), **info)
        return study.proposal(architecture, **info)

    def _open(self, study: Study) -> Rounds:
        """The rounds, made when the study is first known."""
        if self._rounds is None:
            if study.task is None:
                raise SpecError(
                    "a supernet is trained on a task, and the run has none", where=_WHERE, fix="add `task:`"
                )
            given, space, power_range = self._given, study.space, self._given["power_range"]
            assert isinstance(space, HasSupernet)  # `requires`, checked when the run is composed
            options = SupernetOptions(
                mixing=self.mixing,
                shared=given["shared"],
                scaling=given["scaling"],
                activations=given["activations"],
                partial=given["partial"],
                power=power_model(given["power"], study.target),
            )
            plan = Plan(
                space,
                study.task,
                options,
                self.settings,
                given["epochs"],
                division_seed=_seed(study, "darts_lp.division", 0),
                device=given["device"],
                threads=given["threads"],
            )
            self._rounds = Rounds(
                plan,
                given["rounds"],
                given["derive"],
                None if power_range is None else (float(power_range[0]), float(power_range[1])),
                lambda number: _seed(study, "darts_lp.supernet", number),
                None if study.folder is None else study.folder / "darts_lp",
                self._fingerprint(study),
            )
        return self._rounds

    def _fingerprint(self, study: Study) -> str:
        assert study.task is not None
        space: Any = study.space
        facts = {
            "arguments": self._given,
            "seed": study.seed,
            "space": [space.name, [[choice.name, choice.options] for choice in getattr(space, "choices", ())]],
            "task": [study.task.input_shape, study.task.outputs],
            "target": None if study.target is None else study.target.name,
        }
        return json.dumps(facts, sort_keys=True, default=str)


def _seed(study: Study, role: str, index: int) -> int:
    return int(study.rng(role, index).integers(2**31))


def _small_space() -> Any:
    from nasplug_darts_lp.spaces.layers.space import LayersSpace

    bits: dict[str, Any] = {"weight_bits": (1, 4), "activation_bits": (2, 8), "first_last_bits": None}
    return LayersSpace(width=0.125, blocks=1, kernels=(1, 3), **bits)


def _small_task() -> Any:
    from nasplug.tasks import ImageClassification

    return ImageClassification(limit=30, batch_size=16)

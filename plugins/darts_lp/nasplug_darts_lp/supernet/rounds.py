"""The rounds of a search as the driver knows them: what the executor is asked for, and what came of it.

Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nasplug.contract.records import Failure, freeze
from nasplug.ledger.view import StudyView
from nasplug.ledger.work import Outcome, Work

#: What trains a round; see `nasplug_darts_lp.supernet.work`.
FUNCTION = "nasplug_darts_lp.supernet.work:train_supernet"
#: So often a network that was not proposed before is drawn, where a round ended without naming one.
_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Derived:
    """A network that a supernet prefers.

    Attributes:
        genotype: Genotype of the architecture.
        key: Key of the architecture.
        probability: Probability under the logits; None if the round failed before it knew them.
        cost: Cost relative to the largest network on 8x8 bits, or None likewise.
    """

    genotype: Any
    key: str
    probability: float | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What came of a round.

    Attributes:
        number: Number of the round, from 0.
        since: Number of the round whose weights were fresh.
        work: Key of the work, which names the folder of the supernet.
        networks: The most probable networks that earlier rounds did not give.
        probabilities: Probabilities of the options of every choice, by name.
        losses: Mean training loss of every epoch.
        failure: Reason why the training was given up, or None.
    """

    number: int
    since: int
    work: str
    networks: tuple[Derived, ...]
    probabilities: Mapping[str, list[float]]
    losses: tuple[float, ...]
    failure: Failure | None = None


@dataclass(frozen=True)
class Rounds:
    """Describes the rounds of a search as work.

    Every round starts from the supernet that the one before left, or from fresh weights if that one failed; the rest of
    the rounds then make a search of their own, with schedules from the start.

    Attributes:
        rounds: Number of rounds.
        epochs: Number of epochs of the supernet per round.
        derive: Number of networks per round.
        settings: Settings of the search by group, as JSON data.
        time_limit: Seconds that a round may take, or None.
    """

    rounds: int
    epochs: int
    derive: int
    settings: Mapping[str, Any]
    time_limit: float | None = None

    def work(self, study: StudyView, earlier: Sequence[Record]) -> Work:
        """Returns the work of the next round.

        Seeds, the work before and all settings are arguments, so that the key of the work names its outcome.

        Args:
            study: The study.
            earlier: All rounds before.
        """
        number = len(earlier)
        previous = earlier[-1] if earlier else None
        fresh = previous is None or previous.failure is not None
        arguments = {
            "number": number,
            "since": _since(earlier),
            "rounds": self.rounds,
            "epochs": self.epochs,
            "derive": self.derive,
            "seed": _seed(study, "darts_lp.supernet", number),
            "division_seed": _seed(study, "darts_lp.division", 0),
            "before": None if previous is None or fresh else previous.work,
            "taken": [network.key for record in earlier for network in record.networks],
            "settings": self.settings,
        }
        return Work(FUNCTION, arguments, time_limit=self.time_limit)

    def record(self, study: StudyView, earlier: Sequence[Record], outcome: Outcome) -> Record:
        """Reads the outcome of a round.

        Args:
            study: The study.
            earlier: All rounds before.
            outcome: Outcome of the work of this one.
        """
        number, since = len(earlier), _since(earlier)
        result = outcome.result
        if result is None:  # it crashed, ran out of time or memory: no supernet says which network is meant
            return Record(number, since, outcome.key, (_any_network(study, earlier),), {}, (), outcome.failure)
        networks = tuple(
            Derived(freeze(item["genotype"]), item["key"], item["probability"], item["cost"])
            for item in result["networks"]
        )
        losses = tuple(result["losses"])
        return Record(number, since, outcome.key, networks, result["probabilities"], losses, outcome.failure)


def _since(earlier: Sequence[Record]) -> int:
    if not earlier:
        return 0
    previous = earlier[-1]
    return previous.since if previous.failure is None else len(earlier)


def _any_network(study: StudyView, earlier: Sequence[Record]) -> Derived:
    """A network drawn at random, which stands for a supernet that says nothing."""
    taken = {network.key for record in earlier for network in record.networks}
    rng = study.rng("darts_lp.failed", len(earlier))
    for _ in range(_ATTEMPTS):
        architecture = study.space.sample(rng)
        if architecture.key not in taken:
            break
    return Derived(architecture.genotype, architecture.key)


def _seed(study: StudyView, role: str, index: int) -> int:
    return int(study.rng(role, index).integers(2**31))

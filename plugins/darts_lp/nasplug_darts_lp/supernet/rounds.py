"""The rounds of a search in their order, kept in files so that a resumed search need not train them again."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from nasplug.contract.errors import StorageError
from nasplug.contract.records import freeze
from nasplug_darts_lp.supernet.base import Supernet
from nasplug_darts_lp.supernet.training import Plan, Round, State, train_round

#: Decimals of facts in proposals: the last bits may differ between machines, and a resumed run must propose the same.
_DECIMALS = 6
#: So many of the most probable networks are looked at.
_MOST = 20_000
_LOG = logging.getLogger("nasplug_darts_lp")


@dataclass(frozen=True, slots=True)
class Derived:
    """A network that a supernet prefers.

    Attributes:
        genotype: Genotype of the architecture.
        key: Key of the architecture.
        probability: Probability under the logits.
        cost: Cost relative to the largest network on 8x8 bits.
    """

    genotype: Any
    key: str
    probability: float
    cost: float


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of a round, as JSON data.

    Attributes:
        number: Number of the round, from 0.
        since: Number of the round whose weights were fresh.
        networks: The most probable networks that earlier rounds did not give.
        probabilities: Probabilities of the options of every choice, by name.
        losses: Mean training loss of every epoch.
        diverged: Why the training was given up, or None.
    """

    number: int
    since: int
    networks: tuple[Derived, ...]
    probabilities: Mapping[str, list[float]]
    losses: tuple[float, ...]
    diverged: str | None


class Rounds:
    """Trains rounds when they are asked for, each once.

    Every round starts from the state that the one before left, or from fresh weights if that one diverged; the rest of
    the rounds then make a search of their own, with schedules from the start.

    Args:
        plan: Plan of the trainings; its cost range limits the networks to derive.
        rounds: Number of rounds.
        derive: Number of networks per round.
        seed: Function that gives the random seed of a round.
        folder: Folder to keep them in; None keeps them in memory.
        fingerprint: Text of all that decides the rounds: files with another one are not read.
    """

    def __init__(
        self,
        plan: Plan,
        rounds: int,
        derive: int,
        seed: Callable[[int], int],
        folder: Path | None,
        fingerprint: str,
    ) -> None:
        self.plan, self.rounds, self.count = plan, rounds, derive
        self._seed, self._folder, self._fingerprint = seed, folder, fingerprint
        self._records: dict[int, Record] = {}
        self._last: tuple[int, State] = (-1, {})

    def record(self, number: int) -> Record:
        """Returns the round of a number; it and those before are trained or read if need be.

        Raises:
            StorageError: Files cannot be written.
        """
        if number not in self._records:
            self._records[number] = self._read(number) or self._train(number)
        return self._records[number]

    def _train(self, number: int) -> Record:
        state, since = self._before(number)
        seed = self._seed(number)
        result = train_round(self.plan, state, seed, number - since, self.rounds - since)
        record = self._derive(result, number, since)
        self._last = (number, result.state)
        self._write(record, result.state)
        return record

    def _before(self, number: int) -> tuple[State, int]:
        """The state that a round starts from, and the round whose weights were fresh."""
        if number == 0:
            return {}, 0
        previous = self.record(number - 1)
        if previous.diverged is not None:
            return {}, number
        if self._last[0] != number - 1:
            state = self._read_state(number - 1)
            if state is None:
                self._train(number - 1)
            else:
                self._last = (number - 1, state)
        return self._last[1], previous.since

    def _derive(self, result: Round, number: int, since: int) -> Record:
        taken = {network.key for earlier in range(number) for network in self.record(earlier).networks}
        supernet: Supernet = result.supernet
        wanted = 1 if result.diverged else self.count
        within = None if result.diverged else self.plan.settings.cost.range
        networks: list[Derived] = []
        for architecture, probability in islice(supernet.ranked(), _MOST):
            if architecture.key in taken:
                continue
            cost = float(supernet.cost(supernet.weights_of(architecture)))
            if within is not None and not within[0] <= cost <= within[1]:
                continue
            networks.append(
                Derived(architecture.genotype, architecture.key, round(probability, _DECIMALS), round(cost, _DECIMALS))
            )
            if len(networks) == wanted:
                break
        if not networks:
            _LOG.warning("none of the %d most probable networks has a cost within %s", _MOST, within)
        probabilities = {
            name: [round(float(value), 4) for value in values]
            for name, values in supernet.logits.probabilities().items()
            if len(values) > 1
        }
        losses = tuple(round(loss, 4) for loss in result.losses)
        return Record(number, since, tuple(networks), probabilities, losses, result.diverged)

    # -- files ---------------------------------------------------------------------------------------------------

    def _path(self, number: int, ending: str) -> Path | None:
        return None if self._folder is None else self._folder / f"round-{number:03d}.{ending}"

    def _write(self, record: Record, state: State) -> None:
        facts, tensors = self._path(record.number, "json"), self._path(record.number, "safetensors")
        if facts is None or tensors is None:
            return
        try:
            facts.parent.mkdir(parents=True, exist_ok=True)
            part = facts.with_name(f"{facts.stem}.part")
            save_file(state, part)
            part.replace(tensors)
            part.write_text(json.dumps({"fingerprint": self._fingerprint} | asdict(record)))
            part.replace(facts)
        except (OSError, SafetensorError) as error:
            raise StorageError(
                "cannot keep the state of the supernet",
                where=str(facts.parent),
                why=str(error),
                fix="free disk space, then run again: it resumes",
            ) from error

    def _read(self, number: int) -> Record | None:
        path = self._path(number, "json")
        if path is None or not path.is_file():
            return None
        try:
            data = json.loads(path.read_text())
            if data.pop("fingerprint") != self._fingerprint:
                return None
            networks = tuple(
                Derived(**(network | {"genotype": freeze(network["genotype"])})) for network in data["networks"]
            )
            return Record(**(data | {"networks": networks, "losses": tuple(data["losses"])}))
        except (ValueError, KeyError, TypeError):
            return None  # a file that was cut short: the round is trained again, with the same result

    def _read_state(self, number: int) -> State | None:
        path = self._path(number, "safetensors")
        if path is None or not path.is_file():
            return None
        try:
            state: State = load_file(path)
            return state
        except SafetensorError:
            return None

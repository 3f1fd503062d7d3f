"""Q-NAS as an ask-and-tell machine, without any knowledge of networks or training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nasplug.contract.errors import SpecError, StorageError
from nasplug.contract.ranges import FloatRange, IntRange
from nasplug.contract.wording import plural
from nasplug_qnas.algorithm.anchoring import anchored
from nasplug_qnas.algorithm.arrays import BoolArray, FloatArray, IntArray, check_shape
from nasplug_qnas.algorithm.crossover import gene_crossover, numeric_crossover
from nasplug_qnas.algorithm.penalty import reduction_penalty, reduction_table
from nasplug_qnas.algorithm.population import Population
from nasplug_qnas.algorithm.pulses import UniformPulses
from nasplug_qnas.algorithm.quantum import QuantumNodes
from nasplug_qnas.algorithm.records import Candidate, GenerationRecord, Individual
from nasplug_qnas.algorithm.selection import REPLACEMENTS, Rank, descending, order_with_failures
from nasplug_qnas.algorithm.settings import QNASSettings
from nasplug_qnas.algorithm.stopping import stagnated

STATE_VERSION = 1


@dataclass(frozen=True)
class _Pending:
    """A generation that was proposed and not yet measured."""

    genes: IntArray
    numeric: FloatArray
    intensity: float


class QNASAlgorithm:
    """Quantum-inspired evolution of L categorical genes and H numeric hyperparameters; fitness is maximised.

    Generation g is one `ask` and one `tell`. Random numbers come from the generators passed in. Give each
    call a fresh one keyed by (seed, "ask" or "tell", g), and a resumed search repeats an uninterrupted one exactly.
    What is drawn, in this order:

    - `ask`: r, one number; genes (N, L); pulses (N, H); from g = 1 on, the mask of the numeric crossover (N, H) and,
      if that option is on, N and then (N, L) numbers for the crossover of genes, or the changes of anchored
      individuals; last, whatever replaces repeats.
    - `tell`: only if g is an update generation: the mask of the nodes (Q, L), then that of the pulses (Q, H).

    The same r is the intensity of crossover and update of its generation, so it is part of the state in between.

    Source: Szwarcman, Civitarese and Vellasco, Applied Soft Computing 120:108674, 2022.

    Args:
        choices: Number of choices of each node, length L.
        settings: Parameters of the evolution.
        initial: Starting probabilities: None for uniform, one vector for all nodes, or one per node.
        ranges: Range of every evolved hyperparameter by name.
        reduces: Choices with a stride above 1, for the penalty: flags shared by all nodes or one list per node.
        rank: Order of fitness values, best first, if there is more than one objective.

    Raises:
        SpecError: If an argument is out of range or does not fit the others.
    """

    def __init__(
        self,
        choices: Sequence[int],
        settings: QNASSettings | None = None,
        *,
        initial: Sequence[float] | Sequence[Sequence[float]] | None = None,
        ranges: Mapping[str, FloatRange | IntRange] | None = None,
        reduces: Sequence[bool] | Sequence[Sequence[bool]] | None = None,
        rank: Rank = descending,
    ) -> None:
        self.settings = settings or QNASSettings()
        self.nodes = QuantumNodes(self.settings.quantum_individuals, choices, initial)
        self.pulses = UniformPulses(self.settings.quantum_individuals, ranges or {})
        if self.settings.penalise_above > 0 and reduces is None:
            raise SpecError(
                f"penalise_above is {self.settings.penalise_above}, but nothing is known to reduce the resolution",
                where="Q-NAS",
                why="the search space does not say which choices have a stride above 1",
                fix="give `reduces`, or set penalise_above to 0",
            )
        self.history: list[GenerationRecord] = []
        self._reduces = reduction_table(self.nodes.choices, reduces)
        self._rank = rank
        self._survivors: Population | None = None
        self._pending: _Pending | None = None

    @property
    def generation(self) -> int:
        """Number of the generation that is asked for next or waits for its fitness; also how many are complete."""
        return len(self.history)

    @property
    def pending(self) -> list[Candidate] | None:
        """Candidates that wait for their fitness, or None; lets a resumed search continue inside a generation."""
        if self._pending is None:
            return None
        rows = zip(self._pending.genes, self._pending.numeric, strict=True)
        return [self._candidate(genes, values, i) for i, (genes, values) in enumerate(rows)]

    @property
    def survivors(self) -> list[Individual]:
        """Measured individuals that breed the next generation, best first; empty before the first `tell`."""
        population = self._survivors
        if population is None:
            return []
        return [
            Individual(
                tuple(population.genes[i].tolist()),
                self.pulses.decode(population.numeric[i]),
                None if population.failed[i] else population.fitness[i].tolist(),
                None if population.failed[i] else population.penalised[i].tolist(),
                int(population.born[i, 0]),
                int(population.born[i, 1]),
            )
            for i in range(len(population))
        ]

    @property
    def should_stop(self) -> bool:
        """Whether the optional stopping rule says that the evolution has stagnated."""
        if self.settings.patience == 0:
            return False
        return stagnated([record.best for record in self.history], self.settings.patience, self.settings.min_gain)

    def ask(self, rng: np.random.Generator, known: Callable[[Candidate], bool] | None = None) -> list[Candidate]:
        """Proposes the N candidates of the next generation.

        Args:
            rng: Source of randomness.
            known: Predicate of candidates that were proposed before, earlier ones of this generation included; it is
                asked once for every candidate in turn, and again for each that replaces it. Ignored if repeats are
                allowed.

        Raises:
            RuntimeError: If the previous generation still waits for its fitness.
        """
        if self._pending is not None:
            raise RuntimeError(
                f"Q-NAS: generation {self.generation} still waits for its fitness. Call tell() before the next ask(); "
                "the candidates are in `pending`."
            )
        intensity = float(rng.random())
        genes, numeric = self._drawn(rng, intensity)
        if known is not None and self.settings.redraws:
            self._replace_repeats(genes, numeric, known, rng, intensity)
        self._pending = _Pending(genes, numeric, intensity)
        candidates = self.pending
        assert candidates is not None
        return candidates

    def _replace_repeats(
        self,
        genes: IntArray,
        numeric: FloatArray,
        known: Callable[[Candidate], bool],
        rng: np.random.Generator,
        intensity: float,
    ) -> None:
        """Draws rows again, in place, as long as they are known and attempts are left."""
        for i in range(len(genes)):
            for _ in range(self.settings.redraws):
                if not known(self._candidate(genes[i], numeric[i], i)):
                    break
                others, numbers = self._drawn(rng, intensity)
                genes[i], numeric[i] = others[i], numbers[i]
            else:
                known(self._candidate(genes[i], numeric[i], i))

    def _drawn(self, rng: np.random.Generator, intensity: float) -> tuple[IntArray, FloatArray]:
        """A generation of genes (N, L) and pulses (N, H)."""
        settings, survivors = self.settings, self._survivors
        genes = self.nodes.observe(rng, settings.repetition)
        numeric = self.pulses.observe(rng, settings.repetition)
        if survivors is None:
            return genes, numeric
        usable = ~survivors.failed
        numeric = numeric_crossover(
            numeric, survivors.numeric, intensity, rng, rate=settings.crossover_rate, usable=usable
        )
        if settings.sampling == "anchored":
            variable = np.asarray(self.nodes.choices) > 1
            for i in np.flatnonzero(usable):
                distributions = self.nodes.probabilities[i % settings.quantum_individuals]
                genes[i] = anchored(survivors.genes[i], distributions, variable, settings.redrawn, rng)
            return genes, numeric
        crossover, rate = settings.gene_crossover, settings.gene_crossover_rate
        return gene_crossover(genes, survivors.genes, crossover, rng, rate=rate, usable=usable), numeric

    def _candidate(self, genes: IntArray, values: FloatArray, index: int) -> Candidate:
        return Candidate(tuple(genes.tolist()), self.pulses.decode(values), index % self.settings.quantum_individuals)

    def tell(
        self,
        fitness: FloatArray | Sequence[float],
        rng: np.random.Generator,
        failed: BoolArray | Sequence[bool] | None = None,
    ) -> GenerationRecord:
        """Takes the fitness of the pending candidates, replaces survivors and updates the quantum individuals.

        A candidate that failed or broke a constraint ranks behind every measured one, is never a target of the update
        nor a mate, and does not count in the spread of the pulses. Its fitness is ignored and may be NaN.

        Args:
            fitness: Larger is better; (N,), or (N, K) for K objectives.
            rng: Source of randomness for the update masks.
            failed: Candidates without a measurement, (N,); none by default.

        Returns:
            The record of this generation, also appended to `history`.

        Raises:
            RuntimeError: If no generation is pending.
            ValueError: If a shape does not fit, or a measured fitness is not finite.
        """
        if self._pending is None:
            raise RuntimeError("Q-NAS: tell() needs a generation that was asked for; call ask() first.")
        size, generation, intensity = self.settings.population, self.generation, self._pending.intensity
        new = self._measured(self._pending, np.asarray(fitness, dtype=np.float64), failed, size)
        if self._survivors is None:
            survivors = new.take(order_with_failures(new.penalised, new.failed, self._rank))
        else:
            survivors = REPLACEMENTS[self.settings.replacement](new, self._survivors, self._rank)
        updated = generation > 0 and generation % self.settings.update_interval == 0
        if updated:
            self._update(survivors, intensity, rng)
        self._survivors, self._pending = survivors, None
        measured = new.fitness[~new.failed]
        record = GenerationRecord(
            generation=generation,
            best=None if survivors.failed[0] else survivors.penalised[0].tolist(),
            best_fitness=None if survivors.failed[0] else survivors.fitness[0].tolist(),
            mean_fitness=measured.mean(axis=0).tolist() if len(measured) else None,
            failed=int(new.failed.sum()),
            entropy=float(self.nodes.entropy().mean()),
            max_probability=float(self.nodes.max_probability().mean()),
            pulse_width=float(self.pulses.relative_width().mean()) if self.pulses.names else None,
            intensity=intensity,
            updated=updated,
        )
        self.history.append(record)
        return record

    def _measured(
        self, pending: _Pending, fitness: FloatArray, failed: BoolArray | Sequence[bool] | None, size: int
    ) -> Population:
        mask = np.zeros(size, dtype=np.bool_) if failed is None else np.asarray(failed, dtype=np.bool_)
        check_shape("failed", mask, (size,))
        if fitness.ndim not in (1, 2) or len(fitness) != size:
            raise ValueError(f"Q-NAS: fitness must have shape ({size},) or ({size}, objectives), got {fitness.shape}.")
        if self._survivors is not None and fitness.shape[1:] != self._survivors.fitness.shape[1:]:
            raise ValueError(
                f"Q-NAS: fitness has shape {fitness.shape}, but earlier generations had the trailing shape "
                f"{self._survivors.fitness.shape[1:]}."
            )
        broken = ~mask & ~np.isfinite(fitness.reshape(size, -1)).all(axis=1)
        if broken.any():
            raise ValueError(
                f"Q-NAS: the fitness of candidates {np.flatnonzero(broken).tolist()} is not finite. Mark candidates "
                "without a measurement in `failed` instead of giving them a number."
            )
        fitness = fitness.copy()
        fitness[mask] = np.nan
        penalty = reduction_penalty(
            pending.genes, self._reduces, self.settings.penalise_above, self.settings.penalty_weight
        )
        penalised = fitness.copy()
        penalised.reshape(size, -1)[:, 0] -= penalty  # of several objectives, the first alone has the penalty's unit
        born = np.column_stack([np.full(size, self.generation), np.arange(size)]).astype(np.int64)
        return Population(pending.genes, pending.numeric, fitness, penalised, mask, born)

    def _update(self, survivors: Population, intensity: float, rng: np.random.Generator) -> None:
        """Pulls quantum individual q towards the survivor at rank q, whichever quantum individual that came from."""
        settings, count = self.settings, self.settings.quantum_individuals
        active = ~survivors.failed[:count]
        self.nodes.update(
            survivors.genes[:count],
            intensity,
            rng,
            rate=settings.update_rate,
            max_update=settings.max_update,
            max_probability=settings.max_probability,
            guard=settings.guard,
            active=active,
        )
        if self.pulses.names and active.any():
            measured = survivors.numeric[~survivors.failed]
            self.pulses.update(
                survivors.numeric[:count], measured, intensity, rng, rate=settings.update_rate, active=active
            )

    def state_dict(self) -> dict[str, Any]:
        """Everything that the future depends on, as lists, strings and numbers that JSON holds exactly."""
        pending = self._pending
        return {
            "version": STATE_VERSION,
            "settings": asdict(self.settings),
            "ranges": {
                name: [of.low, of.high] if of.step is None else of.to_json() for name, of in self.pulses.ranges.items()
            },
            "scales": {name: "log" if of.log else "linear" for name, of in self.pulses.ranges.items()},
            "probabilities": self.nodes.state_dict(),
            "pulses": self.pulses.state_dict(),
            "survivors": None if self._survivors is None else self._survivors.state_dict(),
            "pending": None
            if pending is None
            else {
                "genes": pending.genes.tolist(),
                "numeric": pending.numeric.tolist(),
                "intensity": pending.intensity,
            },
            "history": [asdict(record) for record in self.history],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from what `state_dict` gave; the object must have been made with the same arguments.

        Nothing is changed unless the whole state is valid.

        Raises:
            StorageError: If the state is of another version, damaged, or of a search with other settings.
        """
        if state.get("version") != STATE_VERSION:
            raise StorageError(
                f"the stored state has version {state.get('version')!r}, this release reads {STATE_VERSION}",
                where="Q-NAS",
            )
        before = self.state_dict()
        # Settings that are younger than the stored state had the values of their defaults.
        state = {**state, "settings": asdict(QNASSettings()) | dict(state["settings"])}
        for part in ("settings", "ranges", "scales"):
            changed = [
                f"{key} was {state[part].get(key)!r}, is {before[part].get(key)!r}"
                for key in sorted(set(state[part]) | set(before[part]))
                if state[part].get(key) != before[part].get(key)
            ]
            if changed:
                raise StorageError(
                    f"the stored state belongs to a search with other {part}",
                    where="Q-NAS",
                    why="; ".join(changed),
                    fix="resume with the original specification, or start a new study",
                )
        try:
            self._load(state)
        except (KeyError, TypeError, ValueError) as error:
            self._load(before)
            raise StorageError("the stored state does not fit or is damaged", where="Q-NAS", why=str(error)) from error

    def _load(self, state: Mapping[str, Any]) -> None:
        size, length, numbers = self.settings.population, self.nodes.num_nodes, len(self.pulses.names)
        self.nodes.load_state_dict(state["probabilities"])
        self.pulses.load_state_dict(state["pulses"])
        self.history = [GenerationRecord(**record) for record in state["history"]]
        self._survivors = self._pending = None
        if state["survivors"] is not None:
            self._survivors = Population.from_state_dict(state["survivors"], length, numbers)
        stored = 0 if self._survivors is None else len(self._survivors)
        if stored != (size if self.history else 0):
            raise ValueError(
                f"the record has {plural(len(self.history), 'generation')} of {size}, but {plural(stored, 'survivor')}"
            )
        if state["pending"] is not None:
            genes = np.array(state["pending"]["genes"], dtype=np.int64)
            check_shape("the stored pending genes", genes, (size, length))
            numeric = np.array(state["pending"]["numeric"], dtype=np.float64).reshape(size, -1)
            check_shape("the stored pending numeric genes", numeric, (size, numbers))
            self._pending = _Pending(genes, numeric, float(state["pending"]["intensity"]))

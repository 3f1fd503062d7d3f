"""The strategies `reduction.evolution` and `reduction.supernet`: generations of networks that all use up the budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.records import Proposal, Trial
from nasplug.ledger.work import Work
from nasplug_reduction.strategies.course import CANDIDATE, STEP, SUPERNET, Keep, Reduction, Result, Search
from nasplug_reduction.strategies.routine import Facts, space_of, value

if TYPE_CHECKING:
    from nasplug.ledger.view import StudyView


class Evolution(Reduction):
    """Generations of networks that use up the budget, scored after recalibration alone or a short training.

    The first generation is random; later ones are crossed and mutated from the best that were seen. With a supernet,
    weights that are shared by all networks are trained once before, and every network is cut from them.

    Args:
        keep: Share of the original network's parameters, such as 0.25, or shares by cost: `{macs: 0.5}`.
        at_most: Largest values by cost, such as `{npu/latency_s: 0.002}`.
        final_epochs: Number of epochs that the found network is trained in the end.
        compare: Whether to train the uniform network too, for as many epochs as the found one in all.
        generations: Number of generations.
        children: Number of networks of a generation.
        parents: Number of the best networks that children come from.
        candidate_epochs: Number of epochs before a network is scored; 0 recalibrates only.
        supernet_epochs: Number of epochs that the shared weights are trained; 0 takes the original ones.
        samples: Number of random networks that every step of the supernet trains.

    Raises:
        SpecError: The budget is missing, or a number is out of range.
    """

    nasplug_conformance: ClassVar[Mapping[str, Any]] = {
        **Reduction.nasplug_conformance,
        "trials": 14,
        "stochastic": True,
    }

    def __init__(
        self,
        keep: Keep | None = None,
        at_most: Mapping[str, float] | None = None,
        final_epochs: int = 10,
        compare: bool = True,
        generations: int = 4,
        children: int = 8,
        parents: int = 4,
        candidate_epochs: int = 0,
        supernet_epochs: int = 0,
        samples: int = 2,
    ) -> None:
        super().__init__(keep, at_most, final_epochs, compare)
        if min(generations, children, parents, samples) < 1 or min(candidate_epochs, supernet_epochs) < 0:
            raise SpecError(
                "generations, children, parents and samples must be >= 1, epochs >= 0",
                where="reduction.evolution",
            )
        self.generations, self.children, self.parents = generations, children, parents
        self.candidate_epochs, self.supernet_epochs, self.samples = candidate_epochs, supernet_epochs, samples

    def most_trials(self, groups: int) -> int:
        """Largest number of trials of the strategy."""
        return 3 + self.generations * self.children

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries the strategy with."""
        return [{"keep": 0.3, "generations": 4, "children": 5, "final_epochs": 1}]

    def shared(self) -> Work:
        """The work that trains the shared weights."""
        return Work("nasplug_reduction.supernet:train", {"epochs": self.supernet_epochs, "samples": self.samples})

    def front(self, study: StudyView, facts: Facts) -> list[Proposal]:
        """Networks beside the search that are cut from the shared weights; none here."""
        del study, facts
        return []

    def search(self, study: StudyView, facts: Facts) -> Search:
        """Trains the shared weights if wanted, then breeds."""
        space, info = space_of(study), dict[str, Json]()
        if self.supernet_epochs:
            yield self.shared()
            info[SUPERNET] = self.shared().key
            sizes = self.front(study, facts)
            if sizes:
                yield sizes
        scored: list[tuple[float, list[int], Trial]] = []
        limits: dict[str, Json] = dict(facts["limits"])
        for _ in range(self.generations):
            best = [vector for _, vector, _ in scored[: self.parents]]
            arguments: dict[str, Json] = {
                "parents": best,
                "limits": limits,
                "count": self.children,
                "taken": [trial.architecture.key for _, _, trial in scored],
            }
            vectors = yield Work("nasplug_reduction.breeding:breed", arguments)
            if not vectors:
                break
            trials = yield [
                study.proposal(
                    space.from_vector(vector),
                    epochs=self.candidate_epochs,
                    role=CANDIDATE,
                    **info,  # type: ignore[arg-type]
                )
                for vector in vectors
            ]
            scored += [(value(study, each), vector, each) for vector, each in zip(vectors, trials, strict=True)]
            scored.sort(key=lambda each: -each[0])
        if not scored or scored[0][0] == float("-inf"):
            return None
        _, vector, trial = scored[0]
        trained = self.candidate_epochs > 0 or bool(self.supernet_epochs)
        spent = self.candidate_epochs + self.supernet_epochs
        return Result(space.from_vector(vector), trial if trained else None, spent)


class Supernet(Evolution):
    """Evolution on weights that are shared by all networks and trained once: every size is cut and recalibrated.

    Args:
        keep: Share of the original network's parameters, such as 0.25, or shares by cost: `{macs: 0.5}`.
        at_most: Largest values by cost, such as `{npu/latency_s: 0.002}`.
        final_epochs: Number of epochs that the found network is trained in the end.
        compare: Whether to train the uniform network too, for as many epochs as the found one in all.
        generations: Number of generations.
        children: Number of networks of a generation.
        supernet_epochs: Number of epochs that the shared weights are trained.
        samples: Number of random networks that every step of the supernet trains.
        sizes: Number of uniform networks on the way to the budget that are cut too and recalibrated: the curve of
            accuracy over size for one training.

    Raises:
        SpecError: The budget is missing, or a number is out of range.
    """

    nasplug_conformance: ClassVar[Mapping[str, Any]] = {
        **Evolution.nasplug_conformance,
        "make_task": lambda suite: _small_task(),
    }

    def __init__(
        self,
        keep: Keep | None = None,
        at_most: Mapping[str, float] | None = None,
        final_epochs: int = 2,
        compare: bool = True,
        generations: int = 4,
        children: int = 8,
        supernet_epochs: int = 10,
        samples: int = 2,
        sizes: int = 1,
    ) -> None:
        super().__init__(
            keep,
            at_most,
            final_epochs,
            compare,
            generations,
            children,
            supernet_epochs=supernet_epochs,
            samples=samples,
        )
        if sizes < 1 or supernet_epochs < 1:
            raise SpecError(
                f"sizes and supernet_epochs must be >= 1, got {sizes} and {supernet_epochs}", where="reduction.supernet"
            )
        self.sizes = sizes

    def most_trials(self, groups: int) -> int:
        """Largest number of trials of the strategy."""
        return super().most_trials(groups) + self.sizes

    def survey(self, sizes: int = 1) -> Work:
        """The work that finds out what the budget means."""
        return super().survey(self.sizes)

    def front(self, study: StudyView, facts: Facts) -> list[Proposal]:
        """Uniform networks of all sizes, cut from the shared weights."""
        if self.sizes == 1:
            return []
        space, info = space_of(study), {SUPERNET: self.shared().key}
        return [
            study.proposal(space.from_vector(vector), epochs=0, role=STEP, **info)  # type: ignore[arg-type]
            for vector in facts["uniform"]
        ]

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries the strategy with."""
        return [{"keep": 0.3, "generations": 4, "children": 5, "final_epochs": 1, "supernet_epochs": 1}]


def _small_task() -> object:
    from nasplug_reduction.example import images

    return images()

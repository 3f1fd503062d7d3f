"""What every evaluator must keep to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from nasplug.builtin.random import RandomSearch
from nasplug.contract.records import FAILURE_KINDS, Trial
from nasplug.ledger.study import Study
from nasplug.testing.search import outcome, run_search
from nasplug.testing.synthetic import SyntheticSpace


class EvaluatorConformance:
    """Subclass it, give :meth:`make_evaluator` (and mostly a task and a space), and change what does not fit.

    Attributes:
        trials: How many architectures are evaluated.
        epochs: Budget of each.
    """

    trials: ClassVar[int] = 3
    epochs: ClassVar[int] = 2

    def make_evaluator(self) -> Any:
        """A fresh evaluator, configured the same way every time."""
        raise NotImplementedError("give make_evaluator()")

    def make_space(self) -> Any:
        """A space whose architectures it evaluates."""
        return SyntheticSpace(length=3)

    def make_task(self) -> Any:
        """The task it evaluates on, or None."""
        return None

    def search(self, *, space: Any = None, seed: int = 0) -> Study:
        """Evaluates a few random architectures."""
        return run_search(
            RandomSearch(),
            space=space or self.make_space(),
            evaluator=self.make_evaluator(),
            task=self.make_task(),
            trials=self.trials,
            epochs=self.epochs,
            seed=seed,
        )

    def test_metrics_are_there_and_finite(self) -> None:
        """Trials complete with finite metrics, the main objective among them."""
        study = self.search()
        for trial in study.trials:
            assert trial.state == "complete", trial.failure
            assert trial.metrics
            assert all(math.isfinite(value) for value in trial.metrics.values()), trial.metrics
            assert study.objectives[0].name in trial.metrics

    def test_declared_objectives_are_reported(self) -> None:
        """An evaluator that declares `objectives` reports all of them, with a direction each."""
        declared: Mapping[str, str] = getattr(self.make_evaluator(), "objectives", {})
        assert set(declared.values()) <= {"max", "min"}
        for trial in self.search().trials:
            assert set(declared) <= set(trial.metrics)

    def test_equal_seeds_give_equal_metrics(self) -> None:
        """The seed of the trial decides everything; nothing is carried over from earlier trials."""
        assert outcome(self.search()) == outcome(self.search())

    def test_measurements_are_ordered(self) -> None:
        """Steps ascend, and hold plain finite-or-NaN numbers that JSON can keep."""
        for trial in self.search().trials:
            steps = [measurement.step for measurement in trial.measurements]
            assert steps == sorted(set(steps)), steps
            again = Trial.from_json(json.loads(json.dumps(trial.to_json())))
            assert again.to_json() == trial.to_json()

    def test_a_broken_candidate_fails_alone(self) -> None:
        """A network that cannot be built is a failed trial with its reason; the search goes on."""
        study = self.search(space=_Broken(self.make_space()))
        assert len(study.trials) == self.trials
        for trial in study.trials:
            assert trial.state in ("failed", "complete"), "complete is for evaluators that look results up"
            if trial.state == "failed":
                assert trial.failure is not None
                assert trial.failure.kind in FAILURE_KINDS
                assert "broken by the conformance suite" in trial.failure.message


class _Broken:
    """A space none of whose networks can be built."""

    def __init__(self, space: Any) -> None:
        self._space, self.name = space, space.name

    def architecture(self, genotype: Any) -> Any:
        """As the space."""
        return self._space.architecture(genotype)

    def validate(self, architecture: Any) -> None:
        """As the space."""
        self._space.validate(architecture)

    def sample(self, rng: Any) -> Any:
        """As the space."""
        return self._space.sample(rng)

    def build(self, architecture: Any, task: Any) -> Any:
        """Raises, as a candidate with wrong shapes does."""
        raise RuntimeError("broken by the conformance suite")

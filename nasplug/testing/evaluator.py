"""What every evaluator must keep to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from nasplug.builtin.random import RandomSearch
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.records import FAILURE_KINDS, Evaluation, Measurement, Trial
from nasplug.contract.tracker import Tracker
from nasplug.evaluate.trialrun import TrialRun
from nasplug.evaluate.workrun import WorkRun, carry_out
from nasplug.ledger.study import Study
from nasplug.plugins.discovery import discover
from nasplug.run.assemble import compose
from nasplug.run.parts import plain_or_object
from nasplug.run.preparing import prepared_by
from nasplug.run.seeding import seed_everything
from nasplug.run.spec import RunSpec
from nasplug.testing.search import Interrupted, outcome, run_search
from nasplug.testing.synthetic import SyntheticSpace

if TYPE_CHECKING:
    from nasplug.contract.protocols import Evaluator, SearchSpace, Task


class EvaluatorConformance:
    """Subclass it, give `make_evaluator` (and mostly a task and a space), and change what does not fit.

    Attributes:
        trials: Number of architectures to evaluate.
        epochs: Budget of each.
    """

    trials: ClassVar[int] = 3
    epochs: ClassVar[int] = 2

    def make_evaluator(self) -> Evaluator:
        """A fresh evaluator, configured the same way every time."""
        raise NotImplementedError("give make_evaluator()")

    def make_space(self) -> SearchSpace:
        """A space whose architectures it evaluates."""
        return SyntheticSpace(length=3)

    def make_task(self) -> Task | None:
        """The task it evaluates on, or None."""
        return None

    def search(self, *, space: Any = None, seed: int = 0, **options: Any) -> Study:
        """Evaluates a few random architectures."""
        return run_search(
            RandomSearch(),
            space=space or self.make_space(),
            evaluator=self.make_evaluator(),
            task=self.make_task(),
            trials=self.trials,
            epochs=self.epochs,
            seed=seed,
            **options,
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
        """Steps of each stage ascend, and hold plain finite-or-NaN numbers that JSON can keep."""
        for trial in self.search().trials:
            for stage in {measurement.stage for measurement in trial.measurements}:
                steps = [measurement.step for measurement in trial.measurements if measurement.stage == stage]
                assert steps == sorted(set(steps)), steps
            again = Trial.from_json(json.loads(json.dumps(trial.to_json())))
            assert again.to_json() == trial.to_json()

    def test_measurements_are_reported_as_they_come(self) -> None:
        """Every step goes through `run.report` (or `stage.report`), so that people see it and pruners may stop."""
        watch = _Steps()
        study = self.search(trackers=[watch])
        for trial in study.trials:
            steps = [(measurement.stage, measurement.step) for measurement in trial.measurements]
            assert watch.steps.get(trial.number, []) == steps, "steps of the result that were not reported, or others"

    def test_a_pruner_is_obeyed(self) -> None:
        """What `run.report` answers ends a training that has steps left, and is the reason of the trial."""
        whole = self.search().trials
        pruned = self.search(stoppers=[_PrunesAtOnce()]).trials
        for before, after in zip(whole, pruned, strict=True):
            if len(before.measurements) < 2:
                continue
            assert (after.state, after.reason) == ("pruned", "pruned by the conformance suite"), after
            assert len(after.measurements) < len(before.measurements)

    def test_stages_outlive_an_interruption(self, tmp_path: Path) -> None:
        """A trial that is interrupted in a stage and run again goes on with it, and ends as if nothing had happened."""
        trial = self.search().trials[0]
        if not trial.stages:
            pytest.skip("its trials are one fit each")
        whole, _ = self.evaluate(trial, tmp_path / "whole")
        last = list(trial.stages)[-1]
        with pytest.raises(Interrupted):
            self.evaluate(trial, tmp_path / "cut", interrupt=last)
        again, steps = self.evaluate(trial, tmp_path / "cut")
        assert dict(again.metrics) == dict(whole.metrics)
        assert set(steps) == {last}, f"stages that were finished are done again: {sorted(set(steps) - {last})}"

    def test_structure_that_changes_is_said(self, tmp_path: Path) -> None:
        """A network that ends with another structure comes with edits that lead there."""
        trial = self.search().trials[0]
        if trial.state != "complete":
            pytest.skip(f"the trial is {trial.state}")
        fresh = trial.with_(edits=())
        evaluation, _ = self.evaluate(fresh, tmp_path)
        if evaluation.network is None:
            pytest.skip("answers no network")
        from nasplug.evaluate.structure import differences, structure

        edits = tuple(evaluation.edits) or tuple(self._run.edits)
        rebuilt = self._run.rebuilt(fresh.with_(edits=edits))
        changed = differences(structure(rebuilt), structure(evaluation.network))
        assert not changed, f"{changed[0]} is not what the edits {list(edits)!r} lead to; call run.edit(record)"

    def evaluate(self, trial: Trial, folder: Path, *, interrupt: str | None = None) -> tuple[Evaluation, list[str]]:
        """Evaluates one trial as a worker does.

        Args:
            trial: Trial to evaluate.
            folder: Folder of artifacts.
            interrupt: Stage whose first step raises `Interrupted`.

        Returns:
            The evaluation, and the stage of every step that was reported.
        """
        objects: dict[str, Any] = {}
        given = {"space": self.make_space(), "evaluator": self.make_evaluator(), "task": self.make_task()}
        plain = {key: plain_or_object(key, value, objects) for key, value in given.items()}
        spec = RunSpec.parse({**plain, "budget": {"trials": 1, "epochs": self.epochs}})
        assembly = compose(spec, discover().catalog, objects, with_strategy=False)
        folder.mkdir(parents=True, exist_ok=True)
        ledger = assembly.ledger(folder=folder)
        for _, work in prepared_by(assembly.manager, ledger.view):
            preparing = WorkRun(work, ledger.view, manager=assembly.manager)
            seed_everything(preparing.seed())
            carry_out(preparing)
        ledger.propose(trial.with_(state="waiting"))
        steps: list[str] = []

        def emit(number: int, measurement: Measurement) -> None:
            if measurement.stage == interrupt:
                raise Interrupted
            steps.append(measurement.stage)

        self._run = TrialRun(trial, ledger.view, manager=assembly.manager, emit=emit)
        seed_everything(trial.seed)
        evaluation: Evaluation = assembly.manager.hook.evaluate(run=self._run)
        return evaluation, steps

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


class _Steps(Tracker):
    """Takes note of the steps of trials."""

    def __init__(self) -> None:
        self.steps: dict[int, list[tuple[str, int]]] = {}

    def measured(self, number: int, measurement: Measurement) -> None:
        """Takes note."""
        self.steps.setdefault(number, []).append((measurement.stage, measurement.step))


class _PrunesAtOnce:
    """Stops every training at its first step."""

    @hookimpl
    def should_prune(self, run: TrialRun, measurement: Measurement) -> str:
        """Stops."""
        return "pruned by the conformance suite"


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

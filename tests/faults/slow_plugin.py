"""A plugin for kills: trainings with checkpoints that continue, and a strategy with work of its own."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import ClassVar

import nasplug as nas
from nasplug.ledger.work import Work
from nasplug.testing.synthetic import SyntheticSpace

NASPLUG_CONTRACT = "2.0"


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    catalog.evaluator("slow", f"{__name__}:Slow", summary="Continues what its parent trained.")
    catalog.evaluator("mortal", f"{__name__}:Mortal", summary="Kills its own process, once in some trials.")
    catalog.space("small", f"{__name__}:small", summary="The synthetic space of graphs, with 625 architectures.")
    catalog.task("noise", "nasplug_reduction.example:images", summary="Small colour images of noise.")
    catalog.strategy("slow.work", f"{__name__}:Worked", summary="Has something trained before every generation.")


class Slow:
    """Sums up a value per epoch; the sum is kept as checkpoint, and continued from there."""

    objectives: ClassVar = {"score": "max"}

    @nas.hookimpl
    def evaluate(self, run):
        state = {"epoch": 0, "sum": 0.0}
        if run.parent is not None:
            state = json.loads((run.study.artifacts() / run.parent.artifacts["checkpoint"]).read_text())
        for epoch in range(state["epoch"], run.budget.epochs):
            time.sleep(0.001)
            value = sum(gene == "a" for gene in run.trial.architecture.genotype)
            state = {"epoch": epoch + 1, "sum": state["sum"] + value + run.rng("epoch", epoch).random()}
            reason = run.report(nas.Measurement(epoch + 1, {"score": state["sum"]}))
            if reason:
                return nas.Evaluation({"score": state["sum"]}, tuple(run.measurements), pruned=reason)
        path = run.folder / "last.json"
        path.write_text(json.dumps(state))
        return nas.Evaluation(
            {"score": state["sum"]}, tuple(run.measurements), artifacts={"checkpoint": run.artifact(path)}
        )


def small() -> SyntheticSpace:
    """A space of graphs that an embedder sees in milliseconds."""
    return SyntheticSpace(length=4)


class Mortal:
    """Kills its own process before, in the middle of or after some trials, the first time that they run.

    Args:
        folder: Folder that remembers who has died.
        share: Share of the trials.
        seed: Seed of the choice.
    """

    objectives: ClassVar = {"score": "max"}

    def __init__(self, folder: str, share: float = 0.3, seed: int = 0) -> None:
        self.folder, self.share, self.seed = Path(folder), share, seed

    @nas.hookimpl
    def evaluate(self, run):
        rng = random.Random(f"{self.seed} {run.number}")
        dies = rng.randrange(3) if rng.random() < self.share else -1
        score = sum(gene == "a" for gene in run.trial.architecture.genotype) + run.rng("score").random()
        for step in range(2):
            if dies == step:
                self._die(run.number)
            reason = run.report(nas.Measurement(step, {"score": score * (step + 1) / 2}))
            if reason:
                return nas.Evaluation({"score": score}, tuple(run.measurements), pruned=reason)
        if dies == 2:
            self._die(run.number)
        return nas.Evaluation({"score": score}, tuple(run.measurements))

    def _die(self, number: int) -> None:
        mark = self.folder / f"died-{number}"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Worked:
    """Every eighth proposal needs a number that work draws from what is known by then."""

    def __init__(self) -> None:
        self.seen = 0

    @nas.hookimpl
    def propose(self, study, count):
        generation = study.proposed // 8
        if study.trials[: generation * 8] != list(study.trials)[: generation * 8] or len(study.trials) < generation * 8:
            return []
        outcome = study.work(Work(f"{__name__}:draw", {"generation": generation}, trials=generation * 8))
        if outcome is None:
            return []
        rng = study.rng(f"slow.{outcome.result}", study.proposed)
        return [study.proposal(study.space.sample(rng), drawn=outcome.result)]

    @nas.hookimpl
    def observe(self, study, trial):
        self.seen += 1

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


def draw(run, generation):
    """Work: a number that depends on the study, and a file."""
    (run.folder / "drawn.txt").write_text(str(generation))
    time.sleep(0.002)
    return int(run.rng("draw").integers(1000)) + sum(trial.number for trial in run.study.trials)

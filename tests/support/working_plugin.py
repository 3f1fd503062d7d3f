"""Strategies that have something trained before they propose, and an evaluator of several stages. Without torch."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import nasplug as nas
from nasplug.evaluate.workrun import WorkRun
from nasplug.testing import SyntheticSpace

NASPLUG_CONTRACT = "2.0"


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    catalog.space("line", f"{__name__}:Line", summary="A chain of operations.")
    catalog.strategy("workshop", f"{__name__}:Workshop", summary="Asks for work before every few trials.")
    catalog.strategy("unsaved_workshop", f"{__name__}:UnsavedWorkshop", summary="The same without a state.")
    catalog.evaluator("folds", f"{__name__}:Folds", summary="Three stages.")
    catalog.evaluator("seeds", f"{__name__}:Seeds", summary="Answers what the seed draws.")
    catalog.stopper("at_fold", f"{__name__}:AtFold", summary="Prunes in one stage.")
    catalog.strategy("given", f"{__name__}:Given", summary="Given seeds for given architectures.")


class Line(SyntheticSpace):
    """A chain of operations."""

    def __init__(self) -> None:
        super().__init__(length=4)


# -- work -----------------------------------------------------------------------------------------------------------


def draw(run: WorkRun, round: int, log: str = "", trouble: str = "", seconds: float = 0.0) -> dict:
    """Draws some positions and leaves the file `drawn.txt`; says in `log` that it ran."""
    if log:
        with Path(log).open("a") as file:
            file.write(f"{round} {run.work.key}\n")
    time.sleep(seconds)
    run.progress(0.5, {"round": float(round)})
    if trouble == "raise":
        raise RuntimeError(f"the supernet of round {round} diverged")
    if trouble == "hang":
        time.sleep(600)
    if trouble.startswith("exit"):
        os._exit(int(trouble.removeprefix("exit")))
    if trouble == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if trouble == "not json":
        return {"drawn": {1, 2}}
    if trouble == "stop":
        raise nas.errors.StorageError("the disk is full")
    seen = [trial.architecture.key for trial in run.study.trials]
    drawn = [int(run.rng("draw", i).integers(4)) for i in range(4)]
    (run.folder / "drawn.txt").write_text(" ".join(map(str, drawn)))
    return {"drawn": drawn, "seen": seen, "seed": run.seed("again"), "nan": float("nan")}


class Workshop:
    """Asks for work before every `every` trials, and proposes what it drew.

    Args:
        every: Number of trials per piece of work.
        sees: Whether the work sees the trials that are finished then.
        twin: Whether to ask for two pieces at once.
        log: File in which the work counts its calls.
        time_limit: Seconds for the work.
        trouble: What the work does wrong, in round 1.
        seconds: How long the work takes.
    """

    def __init__(
        self,
        every: int = 3,
        sees: bool = True,
        twin: bool = False,
        log: str = "",
        time_limit: float | None = None,
        trouble: str = "",
        seconds: float = 0.0,
    ) -> None:
        self.every, self.sees, self.twin, self.log = every, sees, twin, log
        self.time_limit, self.trouble, self.seconds = time_limit, trouble, seconds

    def work(self, round: int, part: int = 0) -> nas.Work:
        arguments = {
            "round": round + 1000 * part,
            "log": self.log,
            "trouble": self.trouble if round == 1 else "",
            "seconds": self.seconds,
        }
        trials = round * self.every if self.sees else 0
        return nas.Work(f"{draw.__module__}:draw", arguments, trials, self.time_limit)

    @nas.hookimpl
    def propose(self, study: nas.StudyView, count: int) -> list[nas.Proposal]:
        round, position = divmod(study.proposed, self.every)
        if self.sees and len(study.trials) < round * self.every:
            return []
        outcomes = [study.work(self.work(round, part)) for part in range(1 + self.twin)]
        if any(outcome is None for outcome in outcomes):
            return []
        outcome = outcomes[0]
        if outcome.failure is not None:
            architecture = study.space.sample(study.rng("workshop", study.proposed))
            failure = nas.Failure("work", outcome.failure.message)
            return [study.proposal(architecture, failure=failure)]
        assert (study.work_folder(outcome.key) / "drawn.txt").is_file()
        info = {"key": outcome.key, "seen": outcome.result["seen"], "work_seed": outcome.result["seed"]}
        vector = [(value + position) % 4 for value in outcome.result["drawn"]]
        return [study.proposal(study.space.from_vector(vector), **info)]

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        pass


class UnsavedWorkshop:
    """A `Workshop` that is replayed on resume."""

    def __init__(self, log: str = "") -> None:
        self._inner = Workshop(log=log)

    @nas.hookimpl
    def propose(self, study: nas.StudyView, count: int) -> list[nas.Proposal]:
        return self._inner.propose(study, count)


# -- stages ---------------------------------------------------------------------------------------------------------


class Folds:
    """Three stages of `epochs` steps; `log` counts how often each one runs.

    Args:
        log: File to write a line to for every stage that runs.
        die_in: Stage in which the process is killed, once, as long as the file `log`.dead does not exist.
        result: What the second stage answers.
        seconds: How long a stage takes.
    """

    objectives = {"score": "max"}  # noqa: RUF012

    def __init__(self, log: str = "", die_in: str = "", result: float = 0.5, seconds: float = 0.0) -> None:
        self.log, self.die_in, self.result, self.seconds = log, die_in, result, seconds

    @nas.hookimpl
    def evaluate(self, run: nas.TrialRun) -> nas.Evaluation:
        for fold in range(3):
            with run.stage(f"fold-{fold}") as stage:
                if stage.finished:
                    continue
                if self.log:
                    with Path(self.log).open("a") as file:
                        file.write(f"{run.number} {stage.name} {stage.seed}\n")
                time.sleep(self.seconds)
                for step in range(1, run.budget.epochs + 1):
                    reason = stage.report(step, {"score": step / 10 + fold})
                    if reason:
                        return nas.Evaluation({"score": float(step)}, pruned=reason)
                self._die(stage.name)
                score = self.result if fold == 1 else stage.seed % 1000 / 1000
                (stage.folder / "weights.txt").write_text(str(score))
                stage.finish({"score": score})
        scores = [stage.metrics["score"] for stage in run.stages.values()]
        finite = [score for score in scores if score == score]
        return nas.Evaluation({"score": sum(finite) / len(finite)})

    def _die(self, name: str) -> None:
        if self.die_in == name:
            mark = Path(f"{self.log}.dead")
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)


class AtFold:
    """Prunes at the second step of a stage."""

    def __init__(self, stage: str = "fold-1") -> None:
        self.stage = stage

    @nas.hookimpl
    def should_prune(self, run: nas.TrialRun, measurement: nas.Measurement) -> str | None:
        return "enough" if (measurement.stage, measurement.step) == (self.stage, 2) else None


# -- seeds ----------------------------------------------------------------------------------------------------------


class Seeds:
    """Answers what the generators of the trial draw; `log` counts trials."""

    objectives = {"score": "max"}  # noqa: RUF012

    def __init__(self, log: str = "") -> None:
        self.log = log

    @nas.hookimpl
    def evaluate(self, run: nas.TrialRun) -> nas.Evaluation:
        import random

        if self.log:
            with Path(self.log).open("a") as file:
                file.write(f"{run.number}\n")
        return nas.Evaluation({"score": random.random(), "own": float(run.rng("own").random())})


class Given:
    """Proposes given architectures (vectors) with given seeds.

    Args:
        pairs: Vector and seed (None for a derived one), in order.
    """

    def __init__(self, pairs: list) -> None:
        self.pairs = pairs

    @nas.hookimpl
    def propose(self, study: nas.StudyView, count: int) -> list[nas.Proposal]:
        some = self.pairs[study.proposed : study.proposed + count]
        return [study.proposal(study.space.from_vector(vector), seed=seed) for vector, seed in some]

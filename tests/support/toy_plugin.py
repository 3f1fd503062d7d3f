"""A plugin in one file, without torch: a small space, and an evaluator that fails in all ways we promise to survive."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

import nasplug as nas

NASPLUG_CONTRACT = "2.0"

#: On the command line of processes that a candidate leaves behind.
MARK = "nasplug-test-orphan"


class Odd(BaseException):
    """Not even an Exception."""


RAISES = {
    "sys.exit": SystemExit(0),
    "sys.exit text": SystemExit("enough"),
    "interrupt": KeyboardInterrupt(),
    "generator": GeneratorExit(),
    "cancelled": asyncio.CancelledError(),
    "odd": Odd("odd"),
    "stop": StopIteration(),
}


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    catalog.space("toy", f"{__name__}:ToySpace", summary="Six edges, five operations.")
    catalog.evaluator("toy", f"{__name__}:ToyEvaluator", summary="Counts operations.")
    catalog.strategy("climb", f"{__name__}:Climb", summary="Mutates the best so far.")
    catalog.strategy("climb_unsaved", f"{__name__}:ClimbUnsaved", summary="The same without state_dict.")
    catalog.strategy("stumble", f"{__name__}:Stumble", summary="Fails at every third proposal.")
    catalog.cost("size", f"{__name__}:Size", summary="Weighted number of operations.")
    catalog.cost("rogue", f"{__name__}:Rogue", summary="Answers what is not its own.")
    catalog.stopper("impatient", f"{__name__}:Impatient", summary="Stops when earlier trials were better.")


class ToySpace(nas.ChoiceSpace):
    """Six edges with five operations each."""

    def __init__(self, edges: int = 6) -> None:
        super().__init__("toy", [nas.Choice(f"e{i}", ("a", "b", "c", "d", "x")) for i in range(edges)])

    def build(self, architecture, task):
        raise AssertionError("the toy evaluator builds nothing")


class ToyEvaluator:
    """`score` is the number of a's plus a little of the seed; `trouble` chooses what x's do."""

    objectives: ClassVar = {"score": "max", "loss": "min"}

    def __init__(
        self, trouble: str = "none", seconds: float = 0.0, steps: int = 0, count_in: str | None = None
    ) -> None:
        self.trouble, self.seconds, self.steps, self.count_in = trouble, seconds, steps, count_in

    @nas.hookimpl
    def evaluate(self, run: nas.TrialRun) -> nas.Evaluation:
        trial = run.trial
        genes = trial.architecture.genotype
        if self.count_in:
            with Path(self.count_in).open("a") as file:
                file.write(f"{trial.number}\n")
        # Even trials are slower, so that two workers finish out of order.
        time.sleep(self.seconds * (1 + trial.number % 2))
        if genes[0] == "x":
            self._misbehave()
        score = sum(gene == "a" for gene in genes) + trial.seed % 1000 / 10_000
        for step in range(self.steps):
            now = nas.Measurement(step, {"score": score * (step + 1) / self.steps, "loss": 1.0 / (step + 1)})
            reason = run.report(now)
            if reason:
                return nas.Evaluation({"score": score}, tuple(run.measurements), pruned=reason)
        return nas.Evaluation({"score": score, "loss": -score}, tuple(run.measurements))

    def _misbehave(self) -> None:
        if self.trouble == "raise":
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied (1x64 and 65x10)")
        if self.trouble == "nan":
            raise nas.errors.TrialError("nan", "the training loss is nan")
        if self.trouble == "memory":
            raise MemoryError("32 GiB")
        if self.trouble == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.trouble.startswith("unless "):  # a machine that is too small, until this file is there
            if not Path(self.trouble.removeprefix("unless ")).exists():
                raise nas.errors.TrialError("oom", "too small a machine")
            return
        if self.trouble == "hang":
            time.sleep(600)
        if self.trouble.startswith("exit"):
            os._exit(int(self.trouble.removeprefix("exit")))
        if self.trouble in RAISES:
            raise RAISES[self.trouble]
        if self.trouble == "close":
            os.closerange(3, 4096)
        if self.trouble == "wander":
            os.chdir("/")
        if self.trouble == "child":
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", MARK])
            os._exit(3)
        if self.trouble == "thread":  # it ends the process in the middle of a later trial
            threading.Thread(target=lambda: (time.sleep(0.3), os._exit(0)), daemon=True).start()


class Climb:
    """Mutates the best trial seen so far."""

    requires = (nas.Mutates,)

    def __init__(self) -> None:
        self.best, self.score = None, float("-inf")

    @nas.hookimpl
    def propose(self, study, count):
        rng = study.rng("climb", study.proposed)
        if self.best is None:
            return [study.proposal(study.space.sample(rng))]
        return [study.proposal(study.space.mutate(study.space.architecture(self.best), rng), seen=len(study.trials))]

    @nas.hookimpl
    def observe(self, study, trial):
        if study.score(trial) > self.score:
            self.best, self.score = trial.architecture.genotype, study.score(trial)

    def state_dict(self):
        return {"best": self.best, "score": self.score}

    def load_state_dict(self, state):
        self.best, self.score = state["best"], state["score"]


class ClimbUnsaved:
    requires = (nas.Mutates,)

    def __init__(self) -> None:
        self._inner = Climb()

    @nas.hookimpl
    def propose(self, study, count):
        return self._inner.propose(study, count)

    @nas.hookimpl
    def observe(self, study, trial):
        self._inner.observe(study, trial)


class Stumble:
    """Always the same architecture, and a failure of its own at every third."""

    @nas.hookimpl
    def propose(self, study, count):
        failure = None if study.proposed % 3 else nas.Failure("nan", f"stumbled at {study.proposed}")
        return [study.proposal(study.space.sample(study.rng("stumble", 0)), failure=failure)]


class Size:
    @nas.hookimpl
    def cost(self, candidate, target):
        return {"size": sum("abcdx".index(gene) + 1 for gene in candidate.architecture.genotype)}


class Rogue:
    def __init__(self, key: str = "size") -> None:
        self.key = key

    @nas.hookimpl
    def cost(self, candidate, target):
        return {self.key: 1.0}


class Impatient:
    """Stops at step 1 when any earlier trial had a better score there."""

    @nas.hookimpl
    def should_prune(self, run, measurement):
        if measurement.step != 1:
            return None
        earlier = [m.metrics["score"] for t in run.study.trials for m in t.measurements if m.step == 1]
        if any(value > measurement.metrics["score"] for value in earlier):
            return f"behind {len(run.study.trials)} known trials"
        return None

"""An evaluator whose trials share what one piece of work has left."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import nasplug as nas

NASPLUG_CONTRACT = "2.1"


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    catalog.evaluator("scaled", f"{__name__}:Scaled", summary="Scores on a scale that work has made.")
    catalog.strategy("scaling", f"{__name__}:Scaling", summary="Asks for the same work as the evaluator.")


def make_scale(run, *, log, trouble):
    if log:
        with Path(log).open("a") as file:
            file.write("made\n")
    if trouble and Path(trouble).exists():
        raise ValueError("the scale is bent")
    (run.folder / "scale.txt").write_text(str(run.rng("scale").random()))


class Scaled:
    objectives: ClassVar = {"score": "max"}

    def __init__(self, log: str = "", trouble: str = "") -> None:
        self.work = nas.Work(f"{__name__}:make_scale", {"log": log, "trouble": trouble})

    @nas.hookimpl
    def prepare(self, study):
        return [self.work]

    @nas.hookimpl
    def evaluate(self, run):
        scale = float((run.study.work_folder(self.work.key) / "scale.txt").read_text())
        return nas.Evaluation({"score": scale + run.rng("score").random()})


class Scaling:
    def __init__(self, log: str = "") -> None:
        self.work = nas.Work(f"{__name__}:make_scale", {"log": log, "trouble": ""})

    @nas.hookimpl
    def propose(self, study, count):
        if study.work(self.work) is None:
            return []
        return [study.proposal(study.space.sample(study.rng("scaling", study.proposed)))]

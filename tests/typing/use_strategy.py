"""A strategy of one's own, as a type checker sees it."""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np

import nasplug as nas
from nasplug.contract.jsondata import Json


class Climb:
    requires = (nas.Mutates,)

    @nas.hookimpl
    def propose(self, study: nas.StudyView, count: int) -> list[nas.Proposal]:
        assert_type(study.trials[0], nas.Trial)
        assert_type(study.best.hyperparameters["lr"], str | int | float | bool | None)
        assert_type(study.best.metrics["val_acc"], float)
        assert_type(study.best.proposal.info["origin"], Json)
        assert_type(study.rng("climb", study.proposed), np.random.Generator)
        outcome = study.work(nas.Work("package.module:train", {"epochs": 3, "sizes": [1, 2]}))
        assert_type(outcome, nas.Outcome | None)
        study.best.metrics = {}  # type: ignore[misc]
        study.trials = []  # type: ignore[misc]
        study.space.mutate  # type: ignore[attr-defined] # noqa: B018
        study.proposal("conv", epochs=3)  # type: ignore[arg-type]
        study.work(nas.Work("package.module:train", {"rng": study.rng("x")}))  # type: ignore[dict-item]
        space = study.space
        assert isinstance(space, nas.Mutates)
        child = space.mutate(study.best.architecture, study.rng("climb", study.proposed))
        assert_type(child, nas.Architecture)
        return [study.proposal(child, {"lr": 0.1}, parent=study.best, origin="mutation", parents=[1, 2])]

    @nas.hookimpl
    def observe(self, trial: nas.Trial) -> None:
        changed = trial.with_(state="complete", metrics={"val_acc": 0.5})
        assert_type(changed, nas.Trial)
        trial.with_(state="done")  # type: ignore[arg-type]
        trial.with_(metric={"val_acc": 0.5})  # type: ignore[call-arg]

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


strategy: nas.Strategy = Climb()


class NoStrategy:
    def suggest(self) -> list[nas.Proposal]:
        return []


wrong: nas.Strategy = NoStrategy()  # type: ignore[assignment]

nas.Objective("val_acc", "maximise")  # type: ignore[arg-type]
nas.Inherit(3, "optimizer")  # type: ignore[arg-type]

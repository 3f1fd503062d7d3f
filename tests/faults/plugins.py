"""Plugins that raise, exit, hang, or answer what the contract does not say, in every hook."""

from __future__ import annotations

import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

import nasplug as nas
from nasplug.contract.errors import NasplugError
from nasplug.run.spec import RunSpec
from tests.faults.tally import Hung, Tally, limit

VALUES: dict[str, Any] = {
    "numpy": np.float64(1),
    "array": np.zeros(3),
    "set": {1, 2},
    "path": pathlib.Path("x"),
    "true": True,
    "number": 3,
    "text": "abc",
    "list": [1],
    "object": object(),
    "keys": {1: 2},
    "nested set": {"x": {1}},
    "nan": float("nan"),
}
RAISED: dict[str, BaseException] = {
    "raises": ValueError("boom"),
    "exits": SystemExit(0),
    "interrupts": GeneratorExit(),
    "recurses": RecursionError("deep"),
}
HOOKS = (
    "propose", "info", "hyperparameters", "observe", "state_dict", "load_state_dict", "sample", "evaluate", "metric",
    "report", "measurement", "step", "artifact", "edits", "edit", "stage", "configure_data", "build", "cost",
    "cost value", "should_prune", "configure_callbacks", "tracker",
)  # fmt: skip
#: Whose failure belongs to one candidate: no other trial need fail alike.
CANDIDATES = frozenset({"evaluate", "metric", "report", "measurement", "step", "artifact", "edits", "edit", "stage"})
#: Hooks that the watchdog looks after; the others are part of an evaluation, which `run.time_limit` ends.
HANGING = (
    *("propose", "sample", "observe", "state_dict", "load_state_dict", "tracker"),
    *("cost", "build", "configure_data", "configure_callbacks", "should_prune"),
)


class Space(nas.ChoiceSpace):
    """Two choices."""

    def __init__(self, answer: Callable[[str, Any], Any]) -> None:
        super().__init__("two", [nas.Choice("a", ("x", "y", "z")), nas.Choice("b", tuple("pqrstuvw"))])
        self.answer = answer

    def sample(self, rng):
        return self.answer("sample", super().sample(rng))

    def build(self, architecture, task):
        return None


class Strategy:
    def __init__(self, answer: Callable[[str, Any], Any]) -> None:
        self.answer = answer

    @nas.hookimpl
    def propose(self, study, count):
        architecture = study.space.sample(study.rng("two", study.proposed))
        info = self.answer("info", 1)
        hyperparameters = {"lr": self.answer("hyperparameters", 0.1)}
        return self.answer("propose", [study.proposal(architecture, hyperparameters, a=info)])

    @nas.hookimpl
    def observe(self, study, trial):
        return self.answer("observe", None)

    def state_dict(self):
        return self.answer("state_dict", {})

    def load_state_dict(self, state):
        self.answer("load_state_dict", None)


class Evaluator:
    objectives: ClassVar = {"score": "max"}

    def __init__(self, answer: Callable[[str, Any], Any], hook: str) -> None:
        self.answer, self.hook = answer, hook

    @nas.hookimpl
    def evaluate(self, run):
        answer = self.answer
        run.callbacks()
        if self.hook == "configure_data":
            run.data()
        if self.hook == "build":
            assert run.network is not None
        metrics = {"score": answer("metric", 1.0)}
        measurement = nas.Measurement(answer("step", 1), {"score": answer("measurement", 1.0)})
        reason = run.report(answer("report", measurement))
        if reason:
            return nas.Evaluation(metrics, pruned=reason)
        artifacts = {}
        if self.hook == "artifact":
            (run.folder / "x").write_text("a")
            artifacts = {"x": answer("artifact", run.artifact(run.folder / "x"))}
        if self.hook == "edit":
            run.edit(answer("edit", {"a": 1}))
        edits = ({"a": answer("edits", 1)},) if self.hook == "edits" else ()
        if self.hook == "stage":
            with run.stage("a") as stage:
                stage.finish({"x": answer("stage", 1.0)})
        return answer("evaluate", nas.Evaluation(metrics, artifacts=artifacts, edits=edits))


class Others:
    """A cost, a pruner, callbacks and wrappers in one."""

    name = "mine"

    def __init__(self, answer: Callable[[str, Any], Any]) -> None:
        self.answer = answer


class Cost(Others):
    @nas.hookimpl
    def cost(self, candidate, target):
        return self.answer("cost", {"mine": self.answer("cost value", 1.0)})


class Pruner(Others):
    @nas.hookimpl
    def should_prune(self, run, measurement):
        return self.answer("should_prune", None)


class Callbacks(Others):
    @nas.hookimpl
    def configure_callbacks(self, run):
        return self.answer("configure_callbacks", [])


class Wrapper(Others):
    @nas.hookimpl
    def build(self, run):
        return self.answer("build", None)

    @nas.hookimpl
    def configure_data(self, run):
        return self.answer("configure_data", None)


class Watcher(nas.Tracker):
    """Made by a specification, so that its faults are those of a plugin."""

    answer: ClassVar[Callable[[str, Any], Any]]

    def observed(self, trial):
        type(self).answer("tracker", None)


def _search(answer: Callable[[str, Any], Any], hook: str, path: pathlib.Path, trials: int, **run: float) -> nas.Study:
    """Runs a search whose plugins ask `answer` what to do."""
    Watcher.answer = staticmethod(answer)
    objects = {
        "space": Space(answer),
        "strategy": Strategy(answer),
        "evaluator": Evaluator(answer, hook),
        "costs[0]": Cost(answer),
        "stoppers[0]": Pruner(answer),
        "callbacks[0]": Callbacks(answer),
        "build[0]": Wrapper(answer),
        "trackers[0]": Watcher(),
    }
    plain: dict[str, Any] = {}
    for key, value in objects.items():
        item = {"class_path": f"{__name__}.{type(value).__name__}"}
        plain[key.split("[")[0]] = [item] if "[" in key else item
    spec = RunSpec.parse({**plain, "budget": {"trials": trials}, "run": {"storage": str(path), **run}})
    return nas.run_spec(spec, objects=objects, snapshot_every=0)


def misbehave(hook: str, how: str, tally: Tally) -> str:
    """Runs a search whose plugin misbehaves in one hook, and counts what came of it.

    Returns:
        The message.
    """

    def answer(asked: str, default: Any) -> Any:
        if asked != hook or calm:
            return default
        if how in RAISED:
            raise type(RAISED[how])(*RAISED[how].args)
        return VALUES[how]

    calm = False
    kind, note = f"plugin: {hook} {how if how in RAISED else 'lies'}", how
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "s.sqlite"

        def search(trials: int) -> nas.Study:
            return _search(answer, hook, path, trials)

        try:
            with limit(60):
                if hook == "load_state_dict":
                    calm = True
                    search(4)
                    calm = False
                study = search(8)
                nas.load_study(path, objects={"space": Space(lambda asked, default: default)})
        except Hung:
            tally.add(kind, "hung", note)
            return ""
        except NasplugError as error:
            text = str(error)
            words = ("hook ", "cost ", "_dict", "tracker ", "run.report", "run.edit", "stage ")
            named = any(word in text for word in words)
            tally.add(kind, "refused" if named else "traceback", f"{note}: unnamed: {text}")
            return text
        except BaseException as error:
            tally.add(kind, "traceback", f"{note}: {type(error).__name__}: {error}")
            return ""
    failed = [trial for trial in study.trials if trial.failure is not None]
    if failed and hook not in CANDIDATES:
        tally.add(kind, "lost", f"{note}: {len(failed)} of {len(study.trials)} trials spent: {failed[0].failure}")
    else:
        tally.add(kind, "failed" if failed else "survived")
    return ""


def hang(hook: str, tally: Tally, after: int = 0) -> str:
    """Runs a search whose plugin never returns from one hook, ends it by `run.hook_limit`, and resumes it.

    Args:
        hook: Hook of the plugin, one of `HANGING`.
        tally: Gets the outcome.
        after: Number of calls of the hook that return.

    Returns:
        The message.
    """
    left = 0 if hook == "load_state_dict" else after  # it is called once
    kind, text = f"plugin: {hook} hangs", ""

    def quiet(asked: str, default: Any) -> Any:
        return default

    def answer(asked: str, default: Any) -> Any:
        nonlocal left
        if asked == hook:
            left -= 1
            if left < 0:
                time.sleep(3600)
        return default

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "s.sqlite"
        expected = [trial.proposal for trial in _search(quiet, "", path.with_name("quiet.sqlite"), 8).trials]
        try:
            with limit(60):
                if hook == "load_state_dict":
                    _search(quiet, "", path, 4)
                _search(answer, hook, path, 8, hook_limit=0.2)
        except Hung:
            tally.add(kind, "hung")
            return ""
        except NasplugError as error:
            text = str(error)
        found = [trial.proposal for trial in _search(quiet, "", path, 8).trials]
        named = "was ended after" in text and any(word in text for word in ("hook ", "_dict", "tracker "))
        tally.add(kind, "different" if found != expected else "refused" if named else "traceback", text)
    return text

"""The watchdog looks after constructors, imports and work as it looks after hooks, and what they raise has a name."""

from __future__ import annotations

import importlib
import time
from typing import ClassVar

import pytest

import nasplug as nas
from nasplug.contract.errors import PluginError, PluginImportError
from nasplug.plugins import watchdog
from nasplug.plugins.discovery import discover, forget
from nasplug.run.spec import RunSpec
from nasplug.testing.synthetic import SyntheticEvaluator, SyntheticSpace


class Base:
    """Does in its constructor what a test wants."""

    name = "troubled"
    objectives: ClassVar = {"score": "max"}

    def __init__(self, trouble: str = "none") -> None:
        if trouble == "hangs":
            time.sleep(60)
        if trouble == "calls back late":
            time.sleep(0.6)
        if trouble != "none":
            raise {"key": KeyError("absent"), "exits": SystemExit(0), "import": ImportError("no such library")}[trouble]


class Space(Base, SyntheticSpace):
    def __init__(self, trouble: str = "none") -> None:
        Base.__init__(self, trouble)
        SyntheticSpace.__init__(self)


class Evaluator(Base, SyntheticEvaluator):
    def __init__(self, trouble: str = "none") -> None:
        Base.__init__(self, trouble)
        SyntheticEvaluator.__init__(self)


class Strategy(Base):
    @nas.hookimpl
    def propose(self, study, count):
        return [study.proposal(study.space.sample(study.rng("x", study.proposed)))]


class Cost(Base):
    @nas.hookimpl
    def cost(self, candidate, target):
        return {"troubled": 1.0}


class Stopper(Base):
    @nas.hookimpl
    def should_prune(self, run, measurement):
        return None


class Callbacks(Base):
    @nas.hookimpl
    def configure_callbacks(self, run):
        return []


class Wrapper(Base):
    @nas.hookimpl
    def build(self, run):
        return None


class Following(Base, nas.Tracker):
    pass


class Working:
    """A strategy that waits for work."""

    def __init__(self, trouble: str = "none") -> None:
        self.work = nas.Work(f"{__name__}:train", {"trouble": trouble})

    @nas.hookimpl
    def propose(self, study, count):
        outcome = study.work(self.work)
        if outcome is None:
            return []
        return [study.proposal(study.space.sample(study.rng("x", study.proposed)), drawn=outcome.result)]


def train(run, trouble):
    if trouble == "hangs":
        time.sleep(60)
    for step in range(12):
        time.sleep(0.1)
        if trouble == "talks":
            run.progress(step / 12)
    return 7


KINDS = {
    "space": Space,
    "evaluator": Evaluator,
    "strategy": Strategy,
    "costs": Cost,
    "stoppers": Stopper,
    "callbacks": Callbacks,
    "build": Wrapper,
    "trackers": Following,
}
MANY = {"costs", "stoppers", "callbacks", "build", "trackers"}


def plain(key, trouble, **run):
    parts = {"space": Space, "evaluator": Evaluator, "strategy": Strategy, key: KINDS.get(key)}
    data = {}
    for name, kind in parts.items():
        if kind is not None:
            args = {"trouble": trouble} if name == key else {}
            item = {"class_path": f"{__name__}.{kind.__name__}", "init_args": args}
            data[name] = [item] if name in MANY else item
    return {**data, "budget": {"trials": 3}, "run": run}


def working(trouble):
    return {**plain("", ""), "strategy": {"class_path": f"{__name__}.Working", "init_args": {"trouble": trouble}}}


def run(data, **settings):
    return nas.run_spec(RunSpec.parse({**data, "run": {**data["run"], **settings}}))


@pytest.mark.parametrize("key", KINDS)
def test_a_constructor_that_never_returns_is_ended_by_name(key):
    begun = time.monotonic()
    with pytest.raises(PluginError, match="constructor: was ended after") as caught:
        run(plain(key, "hangs"), hook_limit=0.5)
    assert str(caught.value).startswith(f"{key}[0]: {__name__}" if key in MANY else f"{key}: {__name__}")
    assert "it stands in Base.__init__ (test_watchdog_everywhere.py, line" in str(caught.value)
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("key", KINDS)
@pytest.mark.parametrize("trouble", ["key", "exits", "import"])
def test_what_a_constructor_raises_names_it(key, trouble):
    raised = {"key": "KeyError: 'absent'", "exits": "SystemExit: 0", "import": "ImportError: no such library"}[trouble]
    with pytest.raises(PluginError) as caught:
        run(plain(key, trouble))
    text = str(caught.value)
    assert text.startswith(f"{key}[0]: {__name__}" if key in MANY else f"{key}: {__name__}")
    assert f"constructor: raised {raised}" in text
    assert "in Base.__init__ (test_watchdog_everywhere.py, line" in text


def test_a_slow_constructor_is_named_while_it_goes_on(caplog):
    with pytest.raises(PluginError, match="raised KeyError"):
        run(plain("space", "calls back late"), hook_warning=0.2)
    assert f"space: {__name__}.Space, constructor: has not returned after 0." in caplog.text


def test_constructors_in_workers_are_watched(tmp_path):
    """The driver makes it at once; only processes hang."""
    file = tmp_path / "hangs_in_workers.py"
    file.write_text(
        "import multiprocessing, time\nimport nasplug as nas\n\n\n@nas.hookimpl\ndef register(catalog):\n"
        '    catalog.cost("late", f"{__name__}:Late", summary="Late.")\n\n\nclass Late:\n    name = "late"\n\n'
        "    def __init__(self):\n        if multiprocessing.parent_process() is not None:\n"
        "            time.sleep(60)\n"
        '\n    @nas.hookimpl\n    def cost(self, candidate, target):\n        return {"late": 1.0}\n'
    )
    data = {"space": "late_space", **plain("", ""), "plugins": [str(file)], "costs": ["late"]}
    with pytest.raises(PluginError, match="cannot be set up") as caught:
        run(data, executor="process", hook_limit=3.0)
    assert "costs[0]: late, constructor: was ended after" in str(caught.value)


@pytest.mark.parametrize(("code", "raised"), [("import sys\nsys.exit(0)", "SystemExit: 0"), ("1 / 0", "ZeroDivision")])
def test_a_plugin_file_that_ends_the_program_while_it_is_imported_is_refused(tmp_path, code, raised):
    file = tmp_path / "ends.py"
    file.write_text(code)
    for _ in range(2):  # nothing half imported stays behind
        with pytest.raises(PluginImportError, match=raised) as caught:
            discover([file])
        assert str(file) in str(caught.value)


def test_a_plugin_file_that_never_ends_its_import_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(watchdog, "IMPORTS", 0.5)
    file = tmp_path / "sleeps.py"
    file.write_text("import time\ntime.sleep(60)\n")
    with pytest.raises(PluginError, match="plugins, import: was ended after") as caught:
        run({**plain("", ""), "plugins": [str(file)]}, hook_limit=0.3)
    assert "it stands in <module> (sleeps.py, line 2)" in str(caught.value)


def test_the_first_import_of_a_library_does_not_count(tmp_path, monkeypatch, caplog):
    (tmp_path / "slow_library.py").write_text("import time\ntime.sleep(1.2)\n")
    file = tmp_path / "uses_library.py"
    file.write_text(
        "import nasplug as nas\n\n\n@nas.hookimpl\ndef register(catalog):\n"
        '    catalog.cost("late", f"{__name__}:Late", summary="Late.")\n\n\nclass Late:\n    name = "late"\n\n'
        "    def __init__(self):\n        import slow_library\n\n"
        '    @nas.hookimpl\n    def cost(self, candidate, target):\n        return {"late": 1.0}\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    study = run({**plain("", ""), "plugins": [str(file)], "costs": ["late"]}, hook_limit=0.5, hook_warning=0.4)
    assert [trial.costs["late"] for trial in study.trials] == [1.0] * 3
    assert "late, constructor: has not returned" in caplog.text
    assert "slow_library.py" in caplog.text


def test_what_runs_inside_an_import_has_no_more_time_for_it(tmp_path, monkeypatch):
    """A program that is imported, such as a script of tests, does not spare the hooks that it calls."""
    found = []
    monkeypatch.setitem(globals(), "_search", lambda: hang(found))
    (tmp_path / "program.py").write_text(f"import {__name__} as tests\ntests._search()\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("program")
    assert "constructor: was ended after" in str(found[0])
    assert found[1] < 20


def hang(found):
    begun = time.monotonic()
    with pytest.raises(PluginError) as caught:
        run(plain("space", "hangs"), hook_limit=0.5)
    found += [caught.value, time.monotonic() - begun]


def test_a_package_that_ends_the_program_while_it_is_imported_is_left_out(monkeypatch):
    class Point:
        name, value, dist = "ends", "ends.plugin", None

        def load(self):
            raise SystemExit(0)

    monkeypatch.setattr("nasplug.plugins.discovery.metadata.entry_points", lambda group: [Point()])
    forget()
    try:
        found = discover()
        assert [(plugin.name, plugin.error) for plugin in found.broken] == [("ends", "SystemExit: 0")]
        assert found.catalog.has("strategy", "random")
    finally:
        monkeypatch.undo()
        forget()


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_work_that_hangs_is_ended_by_name(executor):
    begun = time.monotonic()
    with pytest.raises(PluginError, match="without a word") as caught:
        run(working("hangs"), executor=executor, hook_limit=2.0 if executor == "process" else 0.3)
    text = str(caught.value)
    assert text.startswith(f"strategy:{__name__}.Working, work {__name__}:train: was ended after")
    assert "it stands in train (test_watchdog_everywhere.py, line" in text
    assert "run.progress" in text
    assert time.monotonic() - begun < 45


def test_work_may_take_any_time_as_long_as_it_says_how_far_it_is(caplog):
    study = run(working("talks"), hook_warning=0.5, hook_limit=0.6)  # twice as long altogether
    assert [trial.proposal.info["drawn"] for trial in study.trials] == [7, 7, 7]
    assert "has not returned" not in caplog.text


def test_silent_work_is_named_and_goes_on(caplog):
    study = run(working("is silent"), hook_warning=0.4)
    assert len(study.trials) == 3
    assert f"work {__name__}:train: has not returned after 0." in caplog.text
    assert "ends such work" in caplog.text

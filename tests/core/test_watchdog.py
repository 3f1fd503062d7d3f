"""Hooks that do not return are named, and ended where there is a limit; others are left alone."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from typing import ClassVar

import pytest

import nasplug as nas
from nasplug.contract.errors import PluginError, SpecError
from nasplug.plugins.manager import Manager
from nasplug.plugins.watchdog import EXIT_CODE, OverdueError, Watchdog
from nasplug.run.baseline import unhindered
from nasplug.run.spec import RunSpec
from nasplug.testing.synthetic import SyntheticEvaluator, SyntheticSpace


class Plugin:
    """Calls a function in each of its hooks."""

    def __init__(self, observe=None, propose=None):
        self._observe, self._propose = observe, propose

    @nas.hookimpl
    def observe(self, study, trial):
        if self._observe is not None:
            self._observe()

    @nas.hookimpl
    def propose(self, study, count):
        return self._propose()


class Trains:
    """An evaluator that takes its time, and calls a hook meanwhile."""

    objectives: ClassVar = {"score": "max"}

    def __init__(self, inner=None):
        self._inner = inner

    @nas.hookimpl
    def evaluate(self, run):
        time.sleep(0.4)
        if self._inner is not None:
            self._inner()
        return nas.Evaluation({"score": 1.0})


def observe(manager):
    return manager.call("observe", study=None, trial=None)


def messages(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "nasplug"]


def sleeps():
    time.sleep(60)


def test_the_plugin_that_stands_is_named_among_those_that_are_asked():
    manager = Manager([("first", Plugin()), ("stuck", Plugin(sleeps)), ("last", Plugin())])
    with manager.watched(Watchdog(limit=0.1)), pytest.raises(PluginError) as caught:
        observe(manager)
    text = str(caught.value)
    assert text.startswith("stuck, hook observe: was ended after 0.")
    assert "it stands in sleeps (test_watchdog.py, line" in text
    assert "run.hook_limit" in text


def test_methods_that_are_not_hooks_are_ended_as_well():
    manager = Manager()
    with (
        manager.watched(Watchdog(limit=0.1)),
        pytest.raises(PluginError, match=r"mine, state_dict: was ended after 0\."),
    ):
        manager.guard("mine", "state_dict", sleeps)


@pytest.mark.parametrize("guarded", [True, False])
def test_the_innermost_is_to_blame(guarded):
    inner = Manager([("inner", Plugin(sleeps))])
    outer = Manager([("outer", Plugin(lambda: observe(inner)))])
    watchdog = Watchdog(limit=0.1)
    inner.watched_by(watchdog)
    with outer.watched(watchdog), pytest.raises(PluginError) as caught:
        outer.guard("around", "method", observe, outer) if guarded else observe(outer)
    assert caught.value.where == "inner, hook observe"


def test_a_loop_of_quick_hooks_is_the_fault_of_the_one_that_loops():
    inner = Manager([("inner", Plugin())])

    def loops():
        while True:
            observe(inner)
            time.sleep(0.001)

    outer = Manager([("outer", Plugin(loops))])
    watchdog = Watchdog(limit=0.2)
    inner.watched_by(watchdog)
    with outer.watched(watchdog), pytest.raises(PluginError) as caught:
        observe(outer)
    assert caught.value.where == "outer, hook observe"


def test_a_plugin_that_catches_errors_is_ended_all_the_same():
    def stubborn():
        while True:
            try:
                time.sleep(60)
            except Exception:
                continue

    manager = Manager([("stubborn", Plugin(stubborn))])
    with manager.watched(Watchdog(limit=0.1)), pytest.raises(PluginError, match="stubborn, hook observe"):
        observe(manager)


def test_a_slow_hook_is_named_while_it_goes_on(caplog):
    manager = Manager([("slow", Plugin(lambda: time.sleep(0.7)))])
    with caplog.at_level(logging.WARNING), manager.watched(Watchdog(0.2)):
        observe(manager)
    assert messages(caplog)[0].startswith("slow, hook observe: has not returned after 0.")
    assert "run.hook_limit" in messages(caplog)[0]


def test_it_is_named_again_at_twice_the_time_and_calls_around_it_are_not(caplog):
    watchdog = Watchdog(10.0)
    calls = [watchdog.enter("hook propose", "around"), watchdog.enter("hook cost", "slow")]
    said = {}
    for clock in (9.0, 10.0, 15.0, 19.0, 20.0, 39.0, 40.0, 41.0):
        watchdog._clock = clock
        watchdog._look(threading.get_ident(), calls)
        said[clock] = len(messages(caplog))
    assert said == {9.0: 0, 10.0: 1, 15.0: 1, 19.0: 1, 20.0: 2, 39.0: 2, 40.0: 3, 41.0: 3}
    assert all(text.startswith("slow, hook cost: ") for text in messages(caplog))


def test_quick_hooks_are_not_named_however_many(caplog):
    manager = Manager([("quick", Plugin(lambda: time.sleep(0.01)))])
    with caplog.at_level(logging.WARNING), manager.watched(Watchdog(0.3, 0.3)):
        for _ in range(60):
            observe(manager)
    assert messages(caplog) == []


def test_nothing_is_watched_without_a_warning_and_a_limit():
    before = threading.active_count()
    with Manager().watched(Watchdog(0.0)):
        assert threading.active_count() == before
    with Manager().watched(Watchdog(60.0)):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_afterwards_nobody_looks_any_more(caplog):
    manager = Manager([("slow", Plugin(lambda: time.sleep(0.3)))])
    with manager.watched(Watchdog(0.1, 0.1)):
        pass
    with caplog.at_level(logging.WARNING):
        observe(manager)
    assert messages(caplog) == []
    assert manager.watchdog is None


def test_a_signal_that_comes_too_late_does_nothing():
    watchdog = Watchdog(limit=0.1)
    call = watchdog.enter("hook observe", "slow")
    watchdog._condemned = call, PluginError("late"), 0.0
    with pytest.raises(OverdueError):
        watchdog._interrupt(0, None)
    watchdog.leave(call)
    watchdog._interrupt(0, None)


def test_what_comes_between_a_hook_and_its_return_is_the_same_error():
    watchdog = Watchdog(limit=10.0)
    call = watchdog.enter("hook observe", "slow")
    with pytest.raises(PluginError, match="late"), watchdog.awake():
        raise OverdueError(call, PluginError("late"))


def test_a_machine_that_slept_did_not_wait_for_a_hook(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watchdog = Watchdog(10.0)
    looked = []
    monkeypatch.setattr(watchdog, "_look", lambda thread, calls: looked.append(watchdog._clock))

    class Waits:
        def wait(self, seconds):
            now[0] += 3600.0 if len(looked) == 1 else seconds
            return len(looked) == 3

    watchdog.enter("hook observe", "slow")
    watchdog._ended = Waits()
    watchdog._watch()
    assert looked == [1.0, 3.0, 4.0]  # the hour counts as two ticks


def test_a_limit_needs_the_main_thread():
    found = []

    def search():
        try:
            nas.search(space=SyntheticSpace(), evaluator=Trains(), trials=1, hook_limit=5.0)
        except SpecError as error:
            found.append(str(error))

    thread = threading.Thread(target=search)
    thread.start()
    thread.join()
    assert "run.hook_limit" in found[0]
    assert "main thread" in found[0]


def test_a_training_may_take_any_time_but_not_the_hooks_inside():
    study = nas.search(space=SyntheticSpace(), evaluator=Trains(), trials=2, hook_warning=0.1, hook_limit=0.2)
    assert len(study.trials) == 2


def test_the_assembly_of_the_baseline_is_watched_too():
    manager = Manager([("strategy:mine", Plugin()), ("cost:stuck", Plugin(sleeps))])
    with manager.watched(Watchdog(limit=0.1)), pytest.raises(PluginError, match="cost:stuck, hook observe"):
        observe(unhindered(manager))


@pytest.mark.parametrize(("key", "value"), [("hook_warning", -1), ("hook_limit", 0), ("hook_limit", -2.5)])
def test_times_that_cannot_be_are_refused(key, value):
    with pytest.raises(SpecError, match=f"run.{key}"):
        RunSpec.parse({"space": "x", "run": {key: value}})


STUCK = """
import signal, sys, time
import nasplug as nas
from nasplug.plugins.manager import Manager
from nasplug.plugins.watchdog import Watchdog

class Plugin:
    @nas.hookimpl
    def observe(self, study, trial):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG])  # as native code that never returns
        time.sleep(60)

manager = Manager([("native", Plugin())])
with manager.watched(Watchdog(limit=0.2, grace=0.3)):
    manager.call("observe", study=None, trial=None)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals cannot be held back there")
def test_what_cannot_be_interrupted_ends_the_process_with_the_same_message():
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=120)
    assert done.returncode == EXIT_CODE
    assert "nasplug: native, hook observe: was ended after 0." in done.stderr
    assert "Traceback" not in done.stderr


class Stuck:
    """A cost that never comes back, for worker processes."""

    name = "stuck"

    @nas.hookimpl
    def cost(self, candidate, target):
        time.sleep(60)


def test_workers_watch_their_hooks():
    begun = time.monotonic()
    with pytest.raises(PluginError, match="hook cost: was ended after") as caught:
        nas.search(
            space=SyntheticSpace(),
            evaluator=SyntheticEvaluator(),
            costs=[Stuck()],
            trials=4,
            executor="process",
            hook_limit=0.5,
        )
    assert "cost 'stuck'" in str(caught.value)
    assert time.monotonic() - begun < 45

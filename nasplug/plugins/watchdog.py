"""A watch over plugins that do not return: says which one it is and where it stands, and may end the run.

Every call of a plugin's code, be it a hook, a constructor or a function of work, is on a list while it lasts, and one
thread looks at that list a few times a second. A call that takes long is named in the log. Beyond a limit, if there is
one, it is ended by an exception that only the watch raises and that becomes one error with a name. What cannot be ended
that way, such as native code that never comes back to Python, ends the process: trials are stored when they finish, so
nothing is lost that a killed run would keep.

A function of work trains and may take hours; for it, the time counts from when it last said how far it is. `evaluate`
is left out, since `run.time_limit` is the limit of a trial.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType

import pluggy

from nasplug.contract.errors import PluginError, SpecError

_log = logging.getLogger("nasplug")

#: Hooks whose duration is the trial's own.
TRIALS = frozenset({"evaluate"})
#: Name of the calls that are alive as long as they say how far they are.
WORK = "work"
#: Seconds until a call that is still running is named.
WARNING = 60.0
#: Seconds of imports that do not count to the limit: a library that is loaded for the first time is nobody's fault.
IMPORTS = 60.0
_IMPORTING = frozenset({"_find_and_load", "exec_module"})
#: Seconds that a call has for its end once it is over the limit; then the process ends.
GRACE = 10.0
#: Exit code of a process that had to be ended, that of a broken environment.
EXIT_CODE = 3
#: A signal that does nothing by itself, in case it comes a moment too late; Windows has none.
_SIGNAL: signal.Signals | None = getattr(signal, "SIGURG", None)


@dataclass(eq=False, slots=True)
class Call:
    """A call that has not returned.

    Attributes:
        began: Time of the watch's clock at which it began, or last said how far it is.
        due: Age in seconds at which it is named next.
        hook: Name of what was called, such as `hook propose`.
        plugins: Name and function of those that may be running.
        imports: Number of imports around the call.
        spared: Seconds that do not count, as something was imported.
    """

    began: float
    due: float
    hook: str
    plugins: Sequence[pluggy.HookImpl] | str
    imports: int = 0
    spared: float = 0.0


class OverdueError(BaseException):
    """Ends a call that is over the limit; no error, so that a plugin that goes on after errors does not go on.

    Args:
        call: The call.
        error: Error that the run ends with.
    """

    def __init__(self, call: Call, error: PluginError) -> None:
        super().__init__(str(error))
        self.call, self.error = call, error


class Watchdog:
    """Watches what plugins do in one process.

    Args:
        warning: Seconds until a call is named, and again at twice the time; 0 for never.
        limit: Seconds that a call may take; None for any time.
        grace: Seconds that a call has for its end after the limit.
    """

    def __init__(self, warning: float = WARNING, limit: float | None = None, *, grace: float = GRACE) -> None:
        self.limit = limit
        self._warning, self._grace = warning or float("inf"), grace
        self._watches = warning > 0 or limit is not None
        # Only the watch moves its clock, by what it saw pass: a machine that slept has not kept a hook waiting.
        self._clock = 0.0
        self._tick = max(min(1.0, self._warning / 4, (limit or self._warning) / 4, grace / 4), 0.01)
        self._calls: dict[int, list[Call]] = {}
        self._condemned: tuple[Call, PluginError, float] | None = None
        self._ended = threading.Event()
        self._main = threading.main_thread().ident or 0

    # -- what managers tell ----------------------------------------------------------------------------------------

    def enter(self, hook: str, plugins: Sequence[pluggy.HookImpl] | str) -> Call:
        """Takes note of a call that begins.

        Args:
            hook: Name of what is called, such as `hook propose`.
            plugins: Implementations of a hook, or the name of the one plugin.
        """
        call = Call(self._clock, self._warning, hook, plugins)
        if self.limit is not None:
            call.imports = _imports(sys._getframe())
        self._calls.setdefault(threading.get_ident(), []).append(call)
        return call

    def leave(self, call: Call) -> None:
        """Takes note of the end of a call, and of those inside it."""
        calls = self._calls[threading.get_ident()]
        del calls[calls.index(call) :]

    @contextlib.contextmanager
    def watching(self, plugin: str, what: str) -> Iterator[Call]:
        """Watches a call of something other than a hook as long as the context lasts.

        Args:
            plugin: Name of the plugin.
            what: Name of what is called, such as `constructor`.

        Raises:
            PluginError: It took longer than it may.
        """
        call = self.enter(what, plugin)
        try:
            yield call
        except OverdueError as late:
            if late.call is call:
                raise late.error from None
            raise
        finally:
            self.leave(call)

    def alive(self, call: Call) -> None:
        """Takes note that a call goes on: its time begins anew."""
        call.began, call.due, call.spared = self._clock, self._warning, 0.0

    def before(self, name: str, implementations: Sequence[pluggy.HookImpl], arguments: Mapping[str, object]) -> None:
        """Listens to pluggy: a hook is called."""
        if name not in TRIALS:
            self.enter(f"hook {name}", implementations)

    def after(
        self,
        outcome: pluggy.Result[object],
        name: str,
        implementations: Sequence[pluggy.HookImpl],
        arguments: Mapping[str, object],
    ) -> None:
        """Listens to pluggy: a hook has returned or raised."""
        if name in TRIALS:
            return
        call = self._calls[threading.get_ident()].pop()
        if isinstance(outcome.exception, OverdueError) and outcome.exception.call is call:
            outcome.force_exception(outcome.exception.error)

    # -- the watch -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def awake(self) -> Iterator[None]:
        """Watches as long as the context lasts."""
        undo = self.begin()
        try:
            yield
        except OverdueError as late:  # came between a hook and its return
            raise late.error from None
        finally:
            undo()

    def begin(self) -> _Undo:
        """Begins to watch, for the rest of the process unless what is returned is called."""
        undo = _Undo()
        self._ended.clear()
        if self.limit is not None and _SIGNAL is not None and _is_main_thread():
            before = signal.signal(_SIGNAL, self._interrupt)
            undo.callback(signal.signal, _SIGNAL, signal.SIG_DFL if before is None else before)
        if self._watches:
            thread = threading.Thread(target=self._watch, name="nasplug watchdog", daemon=True)
            thread.start()
            undo.callback(thread.join)
            undo.callback(self._ended.set)
        return undo

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._ended.wait(self._tick):
            now = time.monotonic()
            step = min(now - last, 2 * self._tick)
            self._clock += step
            last = now
            for thread, calls in list(self._calls.items()):
                self._spare(thread, calls, step)
                self._look(thread, list(calls))

    def _spare(self, thread: int, calls: list[Call], step: float) -> None:
        """Lets the time of a step count for nothing where a thread stands in an import."""
        if self.limit is None or not calls:
            return
        inside = _imports(sys._current_frames().get(thread))
        for call in list(calls):
            if inside > call.imports and call.spared < IMPORTS:
                call.spared += step

    def _look(self, thread: int, calls: list[Call]) -> None:
        """Names or ends the innermost call of a thread that takes too long."""
        late = [call for call in calls if self._age(call) >= call.due]
        if late:
            _log.warning("%s", self._described(thread, late[-1], ended=False))
            for call in late:
                call.due = 2 * self._age(call)
        over = [call for call in calls if self.limit is not None and self._age(call) - call.spared >= self.limit]
        if not over:
            return
        if self._condemned is None or self._condemned[0] not in calls:
            self._condemned = over[-1], self._described(thread, over[-1], ended=True), self._clock
        call, error, since = self._condemned
        if call in calls and self._clock - since >= self._grace:
            print(f"nasplug: {error}", file=sys.stderr, flush=True)
            os._exit(EXIT_CODE)
        if thread == self._main and _SIGNAL is not None and hasattr(signal, "pthread_kill"):
            signal.pthread_kill(thread, _SIGNAL)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handles the signal, in the main thread; the call may have returned in the meantime."""
        if self._condemned is not None and self._condemned[0] in self._calls.get(self._main, ()):
            raise OverdueError(self._condemned[0], self._condemned[1])

    def _age(self, call: Call) -> float:
        return self._clock - call.began

    def _described(self, thread: int, call: Call, *, ended: bool) -> PluginError:
        frame = sys._current_frames().get(thread)
        works = call.hook.partition(" ")[0] == WORK
        silent = " without a word" if works else ""
        if ended:
            allow = "call run.progress more often, or allow more" if works else "allow more"
            fix = f"fix the plugin, or {allow} (run.hook_limit); the same command goes on with the stored trials"
        else:
            such = "such work" if works else "such a call"
            fix = f"wait, or press Ctrl-C: a stored run goes on later; run.hook_limit: SECONDS ends {such}"
        return PluginError(
            f"{'was ended' if ended else 'has not returned'} after {self._age(call):.3g} s{silent}",
            where=f"{_running(frame, call.plugins)}, {call.hook}",
            why=None if frame is None else f"it stands {position(frame)}",
            fix=fix,
        )


class _Undo(contextlib.ExitStack):
    """What ends a watch."""

    def __call__(self) -> None:
        self.close()


def check_limit(limit: float | None) -> None:
    """Refuses a limit where a hook could not be ended.

    Raises:
        SpecError: The search is not started in the main thread.
    """
    if limit is not None and not _is_main_thread():
        raise SpecError(
            "hooks can be ended in the main thread only",
            where="run.hook_limit",
            fix="start the search in the main thread, or leave the limit out: hooks that take long are named all the "
            "same (run.hook_warning)",
        )


def fault(error: BaseException, where: str) -> PluginError:
    """Returns the error that names who raised what, and in which line.

    Args:
        error: Error that was raised.
        where: Plugin, and what of it was called.
    """
    frame, location = error.__traceback__, ""
    while frame is not None:
        location = position(frame.tb_frame, frame.tb_lineno)
        frame = frame.tb_next
    return PluginError(
        f"raised {type(error).__name__}: {error}",
        where=where,
        why=location or None,
        fix="this is a fault of the plugin; `--debug` shows where",
    )


def position(frame: FrameType, line: int | None = None) -> str:
    """Returns function, file and line of a frame, for messages.

    Args:
        frame: The frame.
        line: Line, if it is not the one where the frame stands now.
    """
    code = frame.f_code
    return f"in {code.co_qualname} ({Path(code.co_filename).name}, line {line or frame.f_lineno})"


def _imports(frame: FrameType | None) -> int:
    """Number of imports that a thread stands in."""
    count = 0
    while frame is not None:
        code = frame.f_code
        count += code.co_name in _IMPORTING and code.co_filename.startswith("<frozen importlib")
        frame = frame.f_back
    return count


def _running(frame: FrameType | None, plugins: Sequence[pluggy.HookImpl] | str) -> str:
    """The name of the plugin that is running: the innermost whose function is among the callers."""
    if isinstance(plugins, str):
        return plugins
    codes = {_code(item): item.plugin_name for item in plugins}
    objects = {(_code(item), id(item.plugin)): item.plugin_name for item in plugins}
    while frame is not None:
        code = frame.f_code
        if code in codes:  # of several plugins of one class, the one that is called
            own = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
            return objects.get((code, id(own)), codes[code])
        frame = frame.f_back
    return " or ".join(item.plugin_name for item in reversed(plugins)) or "a plugin"


def _code(item: pluggy.HookImpl) -> CodeType | None:
    return getattr(getattr(item.function, "__func__", item.function), "__code__", None)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()

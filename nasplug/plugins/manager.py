"""One plugin manager for everything that asks hooks: runs, Trainers, exports, nested strategies, tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ParamSpec, TypeVar

import pluggy

from nasplug.contract.errors import NasplugError, PluginError, SpecError
from nasplug.contract.hookspecs import PROJECT, StudySpecs
from nasplug.contract.records import Scalar
from nasplug.plugins.watchdog import OverdueError, Watchdog, fault

P = ParamSpec("P")
T = TypeVar("T")

#: Names of the hooks of a study.
HOOKS: tuple[str, ...] = tuple(name for name in vars(StudySpecs) if not name.startswith("_"))


class Manager:
    """The configured plugins of one study, in the order of their registration.

    Args:
        plugins: Name and plugin, registered at once.
        watchdog: Watchdog that looks after the calls.

    Attributes:
        hook: Calls hooks: `manager.hook.propose(study=..., count=...)`.
        watchdog: The watchdog, if there is one.
    """

    def __init__(self, plugins: Iterable[tuple[str, object]] = (), watchdog: Watchdog | None = None) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(StudySpecs)
        self.hook: pluggy.HookRelay = self._manager.hook
        self._names: dict[str, str] = {}
        self.watchdog: Watchdog | None = None
        #: Makes the plugins of a single trial out of its hyperparameters; None where all trials have these.
        self.variants: Callable[[Mapping[str, Scalar]], Manager] | None = None
        if watchdog is not None:
            self.watched_by(watchdog)
        for name, plugin in plugins:
            self.register(plugin, name)

    def register(self, plugin: object, name: str) -> None:
        """Adds a plugin.

        Raises:
            PluginError: Its hooks do not fit the contract.
            SpecError: The name, or the very object, is there already.
        """
        self._names.clear()
        try:
            self._manager.register(plugin, name=name)
        except pluggy.PluginValidationError as error:
            raise PluginError("does not fit the contract", where=name, why=str(error)) from error
        except ValueError as error:
            raise SpecError(f"{name} is named twice", where="specification", why=str(error)) from error

    def watched_by(self, watchdog: Watchdog) -> Callable[[], None]:
        """Lets a watchdog look after all calls, and returns what ends that."""
        self.watchdog = watchdog
        undo = self._manager.add_hookcall_monitoring(watchdog.before, watchdog.after)

        def end() -> None:
            self.watchdog = None
            undo()

        return end

    @contextmanager
    def watched(self, watchdog: Watchdog) -> Iterator[None]:
        """Lets a watchdog look after all calls as long as the context lasts."""
        with watchdog.awake():
            undo = self.watched_by(watchdog)
            try:
                yield
            finally:
                undo()

    def call(self, hook: str, **arguments: object) -> Any:
        """Calls a hook; what a plugin raises becomes an error that names it.

        Raises:
            PluginError: A plugin raised something other than an error of ours.
        """
        try:
            return getattr(self.hook, hook)(**arguments)
        except (NasplugError, KeyboardInterrupt, OverdueError):
            raise
        except BaseException as error:
            raise fault(error, f"{self._raiser(hook, error)}, hook {hook}") from error

    def guard(self, name: str, method: str, function: Callable[P, T], *arguments: P.args, **more: P.kwargs) -> T:
        """Calls a method of a plugin; what it raises becomes an error that names it.

        Raises:
            PluginError: It raised something other than an error of ours, or took longer than a hook may.
        """
        watchdog = self.watchdog
        watched: AbstractContextManager[object] = nullcontext() if watchdog is None else watchdog.watching(name, method)
        with watched:
            try:
                return function(*arguments, **more)
            except (NasplugError, KeyboardInterrupt, OverdueError):
                raise
            except BaseException as error:
                raise fault(error, f"{name}, {method}") from error

    def _raiser(self, hook: str, error: BaseException) -> str:
        """The name of the plugin out of whose hook an error came."""
        found = self.blame(error, (hook,))
        return found[0] if found else "a plugin"

    def blame(self, error: BaseException, hooks: Iterable[str] = HOOKS) -> tuple[str, str] | None:
        """Returns name of the plugin and hook that an error came out of, the innermost if hooks call each other.

        Args:
            error: The error, with its traceback.
            hooks: Hooks to look at.
        """
        codes = {
            getattr(getattr(item.function, "__func__", item.function), "__code__", None): (item.plugin_name, hook)
            for hook in hooks
            for item in getattr(self.hook, hook).get_hookimpls()
        }
        found = None
        frame = error.__traceback__
        while frame is not None:
            found = codes.get(frame.tb_frame.f_code, found)
            frame = frame.tb_next
        return found

    def names(self, hook: str) -> str:
        """Returns names of the plugins that implement a hook, for messages about an answer."""
        if hook not in self._names:
            self._names[hook] = f"{' or '.join(name for name, _ in self.who(hook)) or 'a plugin'}, hook {hook}"
        return self._names[hook]

    def of_trial(self, hyperparameters: Mapping[str, Scalar]) -> Manager:
        """Returns the plugins of a trial, some of whose arguments its hyperparameters may decide.

        Args:
            hyperparameters: Hyperparameters of the trial.
        """
        return self if self.variants is None else self.variants(hyperparameters)

    def unregister(self, plugin: object) -> None:
        """Removes a plugin."""
        self._names.clear()
        self._manager.unregister(plugin)

    def named(self) -> list[tuple[str, object]]:
        """Returns name and plugin, in the order of registration."""
        return [(name, plugin) for name, plugin in self._manager.list_name_plugin() if plugin is not None]

    def who(self, hook: str) -> list[tuple[str, object]]:
        """Returns name and plugin of those that implement a hook, in the order they are asked."""
        found = getattr(self.hook, hook).get_hookimpls()
        return [(implementation.plugin_name, implementation.plugin) for implementation in reversed(found)]

    def without(self, plugins: Iterable[object], hook: str) -> pluggy.HookCaller:
        """Returns a caller of a hook that leaves some plugins out."""
        return self._manager.subset_hook_caller(hook, remove_plugins=list(plugins))


def hooks_of(plugin: object) -> set[str]:
    """Returns the names of the hooks that an object implements."""
    manager = pluggy.PluginManager(PROJECT)
    return {name for name in HOOKS if manager.parse_hookimpl_opts(plugin, name) is not None}

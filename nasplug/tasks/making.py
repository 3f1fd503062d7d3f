"""How a LightningModule gets the candidate network: as an argument, or in place of the network that it builds."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections import abc
from collections.abc import Callable, Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import NasplugError, TaskError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

_TAKES_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_PLAIN = ("str", "int", "float", "bool", "list", "dict", "tuple")
#: Names that arguments for a network usually have, the usual ones first.
_USUAL = ("network", "net", "model", "backbone")
#: Hooks of a module that may build its network, in the order of Lightning's calls.
_BUILDING = ("setup", "configure_model")


class Maker:
    """Makes modules around candidate networks.

    Args:
        factory: LightningModule class, or a function that returns a module.
        label: Name of the task, for messages.
        argument: Name of the argument that takes the network; None finds it: one that is annotated as a module or has
            a usual name (network, net, model, backbone), otherwise the first.
        attribute: Path of the attribute that the network replaces, such as `model` or `task.encoder`; the module is
            then made without the network.
        given: Names of arguments that have values already, such as a loss or a teacher.

    Attributes:
        argument: Name of the argument that takes the network; None if it replaces an attribute.

    Raises:
        TaskError: The factory cannot take a network that way.
    """

    def __init__(
        self,
        factory: Callable[..., object],
        label: str,
        argument: str | None = None,
        attribute: str | None = None,
        given: Container[str] = (),
    ) -> None:
        self._factory, self._label, self._attribute = factory, label, attribute
        if not callable(factory) or (is_lightning(factory) and not isinstance(factory, type)):
            raise TaskError(
                f"module is a {type(factory).__name__}, neither a class nor a function",
                where=label,
                fix="hand over the LightningModule class itself; each network gets a module of its own",
            )
        if argument is not None and attribute is not None:
            raise TaskError(
                "network_argument and network_attribute are both given",
                where=label,
                fix="give network_argument if the module takes the network, network_attribute if it builds its own",
            )
        parameters = signature(factory).parameters
        self._open = any(item.kind is inspect.Parameter.VAR_KEYWORD for item in parameters.values())
        self._others = frozenset(name for name, item in parameters.items() if item.kind in _TAKES_NAME)
        self._guessed = False
        self.argument = None if attribute is not None else self._find(parameters, argument, given)
        self._by_position = self.argument is not None and self._takes_position(parameters)

    def check_names(self, names: Iterable[str], who: str) -> None:
        """Refuses names that are not arguments of the module.

        Args:
            names: Names of arguments.
            who: Beginning of the message, such as "module_args names".

        Raises:
            TaskError: One of the names is not an argument, or is the network's.
        """
        for name in names:
            if name == self.argument:
                raise TaskError(f"{who} {name!r}, the argument that takes the network", where=self._label)
            if name not in self._others and not self._open:
                raise TaskError(
                    f"{who} {name!r}, which the module does not take",
                    where=self._label,
                    why=did_you_mean(name, self._others - {self.argument or ""}),
                    fix=f"add an argument {name!r} to the module, or leave it out",
                )

    def make(self, network: nn.Module, arguments: Mapping[str, Any]) -> Any:
        """Returns a module with the network in it.

        Args:
            network: Candidate network.
            arguments: Further arguments of the module.

        Raises:
            TaskError: An argument is missing, the result is not a LightningModule, or it has no such attribute.
        """
        given = (network,) if self._by_position else ()
        named = {**arguments}
        if self.argument is not None and not self._by_position:
            named[self.argument] = network
        try:
            signature(self._factory).bind(*given, **named)
        except TypeError as error:
            raise self._not_made(error) from None
        try:
            made = self._factory(*given, **named)
        except NasplugError:
            raise
        except Exception as error:
            if not self._guessed:
                raise
            raise self._wrong_guess(error) from error
        if not is_lightning(made):
            raise TaskError(
                f"calling the module gave a {type(made).__name__}, not a LightningModule", where=self._label
            )
        if self._attribute is not None:
            self._put(made, self._attribute, network)
        return made

    # -- the argument ----------------------------------------------------------------------------------------------

    def _find(self, parameters: Mapping[str, inspect.Parameter], wanted: str | None, given: Container[str]) -> str:
        able = {name: item for name, item in parameters.items() if item.kind is not inspect.Parameter.VAR_KEYWORD}
        if wanted is not None:
            if wanted in able or self._open:
                return wanted
            raise TaskError(
                f"the module takes no argument {wanted!r}, which network_argument names",
                where=self._label,
                fix=did_you_mean(wanted, able),
            )
        hints = _hints(self._factory)
        likely = {
            name: _speaks_for(name, item, hints.get(name))
            for name, item in able.items()
            if name not in given and _may_be_network(item, hints.get(name))
        }
        most = max(likely.values(), default=0)
        found = [name for name, score in likely.items() if score == most] if most else []
        usual = [name for name in _USUAL if name in found]
        if len(found) > 1 and not usual:
            raise self._several(found)
        first = next(iter(parameters.values()), None)
        open_first = first is not None and first.name in likely and first.kind is not inspect.Parameter.KEYWORD_ONLY
        if found or (first is not None and open_first):
            self._guessed = not found
            return (usual or found or [first.name if first is not None else ""])[0]
        from nasplug.evaluate.inside import RECIPE

        why = "it has no arguments" if first is None else f"none of its arguments can be one: {', '.join(parameters)}"
        raise TaskError("the module takes no network", where=self._label, why=why, fix=RECIPE)

    def _several(self, names: list[str]) -> TaskError:
        return TaskError(
            f"several arguments of the module could take the candidate network: {', '.join(map(repr, names))}",
            where=self._label,
            why="the wrong one would train something else than the candidate",
            fix=f"name it, such as network_argument={names[-1]!r}, and give the others in module_args",
        )

    def _not_made(self, error: TypeError) -> TaskError:
        """What is said if an argument is missing; the network may have taken the place of another one."""
        from nasplug.evaluate.inside import RECIPE

        taken = f"; the network went to its first argument, {self.argument!r}" if self._guessed else ""
        fix = "give the argument in module_args, or a default in the module"
        return TaskError(
            "the module cannot be made",
            where=self._label,
            why=f"{error}{taken}",
            fix=f"{fix}. If {self.argument!r} is not for networks: {RECIPE}" if self._guessed else fix,
        )

    def _wrong_guess(self, error: Exception) -> TaskError:
        """What is said if a module fails with the network as its first argument, which only its place speaks for."""
        from nasplug.evaluate.inside import RECIPE

        return TaskError(
            f"the module cannot be made with the candidate network as its first argument, {self.argument!r}",
            where=self._label,
            why=" ".join(f"{type(error).__name__}: {error}".split())[:300],
            fix=RECIPE,
        )

    def _takes_position(self, parameters: Mapping[str, inspect.Parameter]) -> bool:
        """Whether the network goes first, by position: what a first argument can, whatever its name is."""
        first = next(iter(parameters.values()), None)
        return first is not None and first.name == self.argument and first.kind is not inspect.Parameter.KEYWORD_ONLY

    # -- the attribute ---------------------------------------------------------------------------------------------

    def _put(self, module: Any, path: str, network: nn.Module) -> None:
        """Puts the network in place of an attribute, now and after the hooks of the module that may build it again."""
        from nasplug.lightning.distribution import overrides

        late = [name for name in _BUILDING if overrides(module, name)]
        if not late or _at(module, path) is not None:
            self._replace(module, path, network)
        for position, name in enumerate(late):
            self._put_after(module, name, path, network, last=position == len(late) - 1)

    def _put_after(self, module: Any, hook: str, path: str, network: nn.Module, *, last: bool) -> None:
        """Puts the network in place of an attribute after a hook; no later one can build it after the last."""
        build = getattr(module, hook)

        @functools.wraps(build)
        def built(*args: Any, **kwargs: Any) -> Any:
            answer = build(*args, **kwargs)
            if last or _at(module, path) is not None:
                self._replace(module, path, network)
            return answer

        setattr(module, hook, built)

    def _replace(self, module: Any, path: str, network: nn.Module) -> None:
        from torch import nn

        *way, last = path.split(".")
        owner = module
        for step, name in enumerate((*way, last)):
            found = getattr(owner, name, None)
            if not isinstance(found, nn.Module) and not (step == len(way) and hasattr(owner, name) and found is None):
                raise self._missing(owner, ".".join([*way, last][: step + 1]), found)
            if step < len(way):
                owner = found
        old = getattr(owner, last)
        if old is network:
            return
        setattr(owner, last, network)
        for part in list(module.modules()) if old is not None else ():  # the same layer under another name
            for name, child in part._modules.items():
                if child is old:
                    setattr(part, name, network)

    def _missing(self, owner: Any, path: str, found: Any) -> TaskError:
        names = [name for name, _ in owner.named_children()]
        what = f"the module has no attribute {path!r}, which network_attribute names"
        if found is not None:
            what = f"network_attribute names {path!r}, which is a {type(found).__name__} and not a network"
        fix = did_you_mean(path.rpartition(".")[2], names)
        if not names:
            fix = "build the network in __init__, setup or configure_model, and name the attribute that holds it"
        return TaskError(what, where=self._label, fix=fix)


def is_lightning(thing: object) -> bool:
    """Returns whether it can what a LightningModule can; both distributions of Lightning are welcome."""
    return all(callable(getattr(thing, name, None)) for name in ("training_step", "configure_optimizers"))


def signature(factory: Callable[..., object]) -> inspect.Signature:
    """Returns the signature of a factory, of any arguments if it cannot be said."""
    try:
        return inspect.signature(factory)
    except ValueError:  # built in C, without a signature: nothing can be checked
        return inspect.signature(lambda *args, **kwargs: None)


def _at(module: Any, path: str) -> Any:
    found = module
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def _hints(factory: Callable[..., object]) -> dict[str, object]:
    target = factory.func if isinstance(factory, functools.partial) else factory
    function = getattr(target, "__init__", None) if isinstance(target, type) else target
    try:
        return typing.get_type_hints(function) if function is not None else {}
    except Exception:  # a hint that exists for type checkers only
        return dict(getattr(function, "__annotations__", {}))


def _is_module_hint(hint: object) -> bool:
    return any(
        option.rpartition(".")[2] == "Module" if isinstance(option, str) else _is_module(option)
        for option in _options(hint)
    )


def _is_module(option: object) -> bool:
    mro = option.__mro__ if isinstance(option, type) else ()
    return any(base.__name__ == "Module" and base.__module__.startswith("torch.nn") for base in mro)


def _speaks_for(name: str, parameter: inspect.Parameter, hint: object) -> int:
    """How much speaks for an argument as the network's: its annotation, its name, and that there must be a value.

    Losses and metrics are modules too, and usually have a default, a class of their own or a value in `module_args`.
    """
    annotated = 0
    if _is_module_hint(hint):
        annotated = 2 if any(str(getattr(o, "__name__", o)).endswith("Module") for o in _options(hint)) else 1
    named = 2 if name in _USUAL else 0
    return annotated + named + (parameter.default is parameter.empty) if annotated or named else 0


def _may_be_network(parameter: inspect.Parameter, hint: object) -> bool:
    """Whether a network can be meant: neither the default nor the annotation says something else."""
    default = parameter.default
    if default is not parameter.empty and default is not None and not callable(default):
        return False
    return hint is None or _is_module_hint(hint) or any(map(_is_open, _options(hint)))


def _options(hint: object) -> list[object]:
    """The parts of a union, as types or as they are written."""
    if isinstance(hint, str):
        return [part.strip() for part in hint.split("|")]
    parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return [part for part in parts if part is not type(None)]


def _is_open(option: object) -> bool:
    """Whether a type leaves room for a network: a class of the user, `Any` or a callable, unlike `str` or a path."""
    if isinstance(option, str):
        return option.partition("[")[0] not in (*_PLAIN, "None", "Path", "Literal")
    origin = typing.get_origin(option) or option
    if origin in (object, Any, abc.Callable):
        return True
    if isinstance(origin, type):
        return origin.__module__.partition(".")[0] not in sys.stdlib_module_names
    return origin is not typing.Literal

"""Components: a name and arguments as plain data, and how they become configured objects."""

from __future__ import annotations

import contextlib
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from nasplug.contract.errors import NasplugError, SpecError, did_you_mean
from nasplug.contract.jsondata import Json
from nasplug.contract.kinds import kind_of
from nasplug.plugins.catalog import Catalog, Factory, load_location
from nasplug.plugins.groups import check_group, groups_of, takes_changes, where_it_belongs
from nasplug.plugins.trust import check_argument, check_kind
from nasplug.plugins.watchdog import OverdueError, fault


@dataclass(frozen=True)
class Component:
    """A slug or class path with arguments; the plain-data form of a configured object.

    Attributes:
        name: A slug of the catalogue, or `package.module.Class`.
        args: Keyword arguments, JSON data; may hold further components.
        is_path: Whether `name` is a class path.
    """

    name: str
    args: Mapping[str, object] = field(default_factory=dict)
    is_path: bool = False

    @classmethod
    def parse(cls, value: object, *, where: str) -> Self:
        """Reads `slug`, `{slug: {args}}` or `{class_path: ..., init_args: {...}}`.

        Raises:
            SpecError: The value has none of these forms.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, Mapping):
            if "class_path" in value:
                unknown = set(value) - {"class_path", "init_args"}
                if unknown:
                    raise SpecError(
                        f"unknown key {sorted(unknown)[0]!r} beside class_path", where=where, fix="use init_args"
                    )
                path, args = value["class_path"], value.get("init_args") or {}
                if isinstance(path, str) and isinstance(args, Mapping):
                    return cls(path, dict(args), is_path=True)
            elif len(value) == 1:
                ((name, args),) = value.items()
                if isinstance(name, str) and (args is None or isinstance(args, Mapping)):
                    return cls(name, dict(args or {}))
        raise SpecError(
            f"cannot read {value!r} as a component",
            where=where,
            fix="write a name, {name: {argument: value}}, or {class_path: module.Class, init_args: {argument: value}}",
        )

    def to_plain(self) -> Json:
        """Back to the shortest plain form."""
        args = {name: plain(value) for name, value in self.args.items()}
        if self.is_path:
            return {"class_path": self.name, "init_args": args} if args else {"class_path": self.name}
        return {self.name: args} if args else self.name


def plain(value: object) -> Any:
    """Replaces components by their plain form, all the way down."""
    if isinstance(value, Component):
        return value.to_plain()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def component(name: str, /, **args: object) -> Component:
    """A component for Python callers: `component("qnas", preset="strong")`.

    Args:
        name: A slug, or `package.module.Class`; a name with a dot and a capital letter behind the last one is a class.
        **args: Arguments of its constructor.
    """
    module, _, last = name.rpartition(".")
    return Component(name, args, is_path=bool(module) and last[:1].isupper())


def resolve(kind: str, wanted: Component, catalog: Catalog, *, where: str) -> Factory:
    """The class or factory behind a component.

    Raises:
        UnknownNameError: There is no such slug.
        PluginError: A class path names what cannot be a component of this kind.
        TrustError: A class path comes out of a file that nobody here trusts.
    """
    if wanted.is_path:
        factory: Factory = load_location(wanted.name, where=where)
        check_kind(factory, kind, wanted.name, where)
        return factory
    return catalog.get(kind, wanted.name).load()


def instantiate(kind: str, wanted: Component, catalog: Catalog, *, where: str) -> Any:
    """Builds the configured object: arguments are checked against the constructor's annotations first.

    Args:
        kind: Kind of the component.
        wanted: Name and arguments.
        catalog: Catalog to look slugs up in, also those of nested components.
        where: Path inside the specification, for messages: `strategy`, `task.data`.

    Raises:
        UnknownNameError: No such slug.
        SpecError: An argument that does not exist, is missing or has the wrong type.
        PluginError: The constructor raised something other than an error of ours.
    """
    factory = resolve(kind, wanted, catalog, where=where)
    where = f"{where}: {wanted.name}"
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError) as error:
        raise SpecError("this cannot be configured", where=where, why=str(error)) from error
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    hints = hints_of(factory)
    groups = groups_of({name: hint for name, hint in hints.items() if kind_of(hint) is None})
    for name in wanted.args:
        if name not in parameters and not takes_any:
            moved = where_it_belongs(name, groups, getattr(factory, "nasplug_renamed", {}))
            raise SpecError(f"there is no argument {name!r}", where=where, fix=moved or did_you_mean(name, parameters))
    built, data = {}, {}
    for name, value in wanted.args.items():
        nested = kind_of(hints.get(name))
        if name in groups and isinstance(value, groups[name]):
            built[name] = value  # a ready record of a Python caller
        elif name in groups and (value is not None or not _optional(hints[name])):
            check_group(name, value, groups[name], where=where)
            if takes_changes(hints[name]):
                built[name] = _check_types(groups[name], plain(value), skip=set(), where=f"{where}.{name}")
            else:
                data[name] = value
        elif nested is None or value is None:
            check_argument(value, hints.get(name, inspect.Parameter.empty), f"{where}.{name}")
            data[name] = value
        elif not isinstance(value, (str, Mapping, list, tuple, Component)):
            built[name] = value  # a ready object of a Python caller
        elif isinstance(value, (list, tuple)):
            built[name] = [
                instantiate(
                    nested, Component.parse(item, where=f"{where}.{name}[{i}]"), catalog, where=f"{where}.{name}"
                )
                for i, item in enumerate(value)
            ]
        else:
            parsed = Component.parse(value, where=f"{where}.{name}")
            built[name] = instantiate(nested, parsed, catalog, where=f"{where}.{name}")
    checked = _check_types(factory, plain(data), skip={*built, *(set(parameters) - set(data))}, where=where)
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        and name not in checked
        and name not in built
    ]
    if missing:
        raise SpecError(f"the argument {missing[0]!r} is missing", where=where, fix=f"give {', '.join(missing)}")
    try:
        return factory(**checked, **built)
    except (NasplugError, KeyboardInterrupt, OverdueError):
        raise
    except (TypeError, ValueError) as error:
        raise SpecError("the arguments do not go together", where=where, why=str(error)) from error
    except BaseException as error:
        raise fault(error, f"{where}, constructor") from error


def hints_of(factory: Factory) -> dict[str, object]:
    """Returns the types of a constructor's parameters by name, without those that cannot be resolved."""
    function = inspect.getattr_static(factory, "__init__") if isinstance(factory, type) else factory
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):  # a hint that exists for type checkers only; the others still hold
        pass
    known: dict[str, object] = {}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        with contextlib.suppress(NameError, TypeError):
            alone = types.SimpleNamespace(__annotations__={name: annotation})
            known |= typing.get_type_hints(alone, getattr(function, "__globals__", {}))
    return known


def _optional(hint: object) -> bool:
    return type(None) in typing.get_args(hint)


def _check_types(
    factory: Factory, data: Mapping[str, object], *, skip: set[str | int], where: str
) -> dict[str, object]:
    """Validates and converts plain arguments by the annotations, with jsonargparse."""
    if not data:
        return {}
    from jsonargparse import ArgumentError, ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    named, hints = inspect.signature(factory).parameters, hints_of(factory)
    typed = [named[name].replace(annotation=hints[name]) for name in data if name in named and name in hints]
    try:
        if len(typed) == len([name for name in data if name in named]):
            parser.add_function_arguments(_stand_in(typed), fail_untyped=False)
        else:
            add = parser.add_class_arguments if isinstance(factory, type) else parser.add_function_arguments
            add(factory, skip=skip, fail_untyped=False)
    except ValueError as error:
        raise SpecError("its constructor cannot be read", where=where, why=str(error)) from error
    free = {name: value for name, value in data.items() if name not in named}  # for **kwargs: passed on unchecked
    try:
        config = parser.parse_object({name: value for name, value in data.items() if name in named})
        values = vars(parser.instantiate(config))
    except (ArgumentError, TypeError, ValueError) as error:
        raise _wrong_type(error, hints, data, where) from error
    return {**free, **{name: values[name] for name in data if name in values}}


def _wrong_type(error: Exception, hints: Mapping[str, object], data: Mapping[str, object], where: str) -> SpecError:
    """What jsonargparse says about an argument, in the words of a person who writes a file."""
    said = " ".join(line.strip() for line in str(error).splitlines() if line.strip())[:400]
    found = re.search(r'key "([\w.]+)": Expected an? (.+)\. Got value: (.*)', said)
    if found is None:
        return SpecError("an argument has the wrong type", where=where, why=said)
    name, wanted, given = found.groups()
    wanted = inspect.formatannotation(hints[name]) if name in hints else wanted
    wanted = re.sub(r"<class '([\w.]+)'>", r"\1", wanted)
    wanted = re.sub(r"\b(?:\w+\.)+(?=\w)", "", wanted)  # without names of modules
    wanted = re.sub(r"Literal\[(.*)\]", r"one of \1", wanted)
    return SpecError(
        f"the argument {name!r} has the wrong type",
        where=where,
        why=f"it takes {wanted}, and was given {data.get(name, given)!r:.100}",
        fix="`nasplug list NAME` explains the arguments of a component",
    )


def _stand_in(parameters: Sequence[inspect.Parameter]) -> Callable[..., None]:
    """A function with these parameters, whose annotations are types already.

    For texts jsonargparse would carry out the `if TYPE_CHECKING:` blocks of the module they stand in, and so import
    torch into a driver that has no need of it.
    """

    def stand_in(**_: object) -> None:
        return None

    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    stand_in.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    return stand_in

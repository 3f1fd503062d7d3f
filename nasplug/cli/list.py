"""`nasplug list`: every component a specification can name, or one of them with its parameters."""

from __future__ import annotations

import argparse
import inspect
import re
import types
import typing
from typing import TYPE_CHECKING, TypedDict

from nasplug.cli import output
from nasplug.cli.loading import find_plugins
from nasplug.cli.parser import Parser
from nasplug.contract.errors import NasplugError, UnknownNameError, did_you_mean
from nasplug.contract.jsondata import Json
from nasplug.contract.kinds import KINDS
from nasplug.plugins.component import hints_of
from nasplug.plugins.groups import groups_of
from nasplug.plugins.packages import missing

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog, Entry, Factory

SUMMARY = "List components that specifications can name, or explain one."


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug list`."""
    parser.add_argument("kind", metavar="KIND", nargs="?", help=f"only this kind: {', '.join(KINDS)}; plurals work too")
    parser.add_argument("name", metavar="NAME", nargs="?", help="explain this component: purpose, parameters, defaults")
    parser.add_argument("--json", action="store_true", help="print the list, or the explanation, as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints the list, or explains one component."""
    catalog = find_plugins(arguments, warn=True).catalog
    kind, entries = _chosen(catalog, arguments.kind, arguments.name)
    if arguments.name is not None or kind == "":
        explained = [explain(entry) for entry in entries]
        if arguments.json:
            output.print_json(explained[0] if len(explained) == 1 else explained)
        else:
            for item in explained:
                _print_explanation(item)
        return 0
    if arguments.json:
        output.print_json([_entry_json(entry) for entry in entries])
        return 0
    rows = [[entry.kind, entry.name, entry.summary, entry.distribution] for entry in entries]
    output.print_table(["kind", "name", "summary", "distribution"], rows)
    if not rows:
        print(f"no {kind} is installed")
    return 0


def _chosen(catalog: Catalog, kind: str | None, name: str | None) -> tuple[str | None, list[Entry]]:
    """The kind ("" if the first word was a component's own name) and the entries that are asked for."""
    if kind is None:
        return None, catalog.entries()
    singular = {**{known: known for known in KINDS}, **{_plural(known): known for known in KINDS}}
    if kind not in singular:
        named = [entry for entry in catalog.entries() if entry.name == kind]
        if named and name is None:
            return "", named
        words = [*KINDS, *(entry.name for entry in catalog.entries())]
        why, fix = missing(catalog, kind)
        raise UnknownNameError(
            f"{kind!r} is neither a kind nor a name",
            where="nasplug list",
            why=why,
            fix=fix or did_you_mean(kind, words),
        )
    kind = singular[kind]
    return kind, catalog.entries(kind) if name is None else [catalog.get(kind, name)]


def _plural(kind: str) -> str:
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


class _Listed(TypedDict):
    kind: str
    name: str
    summary: str
    distribution: str
    location: str


class _Parameter(TypedDict):
    name: str
    type: str
    required: bool
    default: Json
    description: str


class Explanation(_Listed, total=False):
    """A component as `nasplug list KIND NAME --json` prints it.

    Attributes:
        description: Docstring without its sections.
        parameters: Parameters of the constructor; settings of a group as `group.setting`.
        capabilities: Names of the protocols that a space fulfils.
        requires: Names of the protocols that a strategy asks of a space.
    """

    description: str
    parameters: list[_Parameter]
    capabilities: list[str]
    requires: list[str]


def _entry_json(entry: Entry) -> _Listed:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "summary": entry.summary,
        "distribution": entry.distribution,
        "location": entry.location,
    }


def explain(entry: Entry) -> Explanation:
    """Imports a component and reads its docstring, parameters and, for a space, its capabilities.

    Raises:
        PluginImportError: It does not import.
    """
    import docstring_parser

    factory = entry.load()
    parsed = docstring_parser.parse(_text(factory))
    data: Explanation = {
        "kind": entry.kind,
        "name": entry.name,
        "summary": entry.summary,
        "distribution": entry.distribution,
        "location": entry.location,
        "description": "\n\n".join(part for part in (parsed.short_description, parsed.long_description) if part),
        "parameters": _explained(factory),
    }
    if entry.kind == "space":
        data["capabilities"] = _capabilities(factory)
    if entry.kind == "strategy":
        data["requires"] = [protocol.__name__ for protocol in getattr(_default(factory), "requires", ())]
    return data


def _explained(factory: Factory) -> list[_Parameter]:
    """The parameters of a factory; those of a group of settings come after the group, as `group.setting`."""
    import docstring_parser

    described: dict[str, str] = {}
    for owner in reversed(inspect.getmro(factory)) if inspect.isclass(factory) else (factory,):  # what a base explains
        described |= {item.arg_name: item.description or "" for item in docstring_parser.parse(_text(owner)).params}
    hints = hints_of(factory)
    groups = groups_of(hints)
    rows: list[_Parameter] = []
    for parameter in _parameters(factory):
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        name, group = parameter.name, groups.get(parameter.name)
        plain = None if parameter.default is parameter.empty or group else output.json_safe(parameter.default)
        rows.append(
            {
                "name": name,
                "type": "group" if group else _type(hints[name]) if name in hints else _annotated(parameter),
                "required": parameter.default is parameter.empty,
                "default": plain,
                "description": " ".join(described.get(name, "").split()),
            }
        )
        if group is not None:
            for setting in _explained(group):
                setting["name"] = f"{name}.{setting['name']}"
                rows.append(setting)
    return rows


def _parameters(factory: Factory) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(factory).parameters.values())
    except (TypeError, ValueError):  # a plugin object or something built in C
        return []


def _annotated(parameter: inspect.Parameter) -> str:
    return "any" if parameter.annotation is parameter.empty else str(parameter.annotation)


def _text(factory: object) -> str:
    return inspect.getdoc(factory) or ""


def _type(hint: object) -> str:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " | ".join(map(str, parts))
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(_type, parts))
    if hint is type(None):
        return "None"
    if isinstance(hint, type) and not parts:
        return hint.__name__
    return re.sub(r"\b(?:[a-z_]+\.)+", "", str(hint))


def _default(factory: Factory) -> object:
    """An instance with all defaults, or the class itself if it has no default for everything."""
    try:
        return factory()
    except (NasplugError, TypeError, ValueError):
        return factory


def _capabilities(factory: Factory) -> list[str]:
    from nasplug.contract.protocols import CAPABILITIES

    space = _default(factory)
    if not isinstance(space, type):
        return [name for name, protocol in CAPABILITIES.items() if isinstance(space, protocol)]
    members = {
        name: [member for member in vars(protocol) if not member.startswith("_")]
        for name, protocol in CAPABILITIES.items()
    }
    return [name for name, needed in members.items() if needed and all(hasattr(space, member) for member in needed)]


def _default_text(parameter: _Parameter) -> str:
    if parameter["required"]:
        return "required"
    return "" if parameter["type"] == "group" else str(parameter["default"])


def _print_explanation(data: Explanation) -> None:
    print(f"{data['kind']} {data['name']}  ({data['distribution']}, {data['location']})\n")
    print(data["description"] or data["summary"] or "no description")
    for label, names in (("Capabilities", data.get("capabilities")), ("Needs a space with", data.get("requires"))):
        if names:
            print(f"\n{label}: {', '.join(names)}")
    print()
    rows = [[p["name"], p["type"], _default_text(p), p["description"]] for p in data["parameters"]]
    if rows:
        output.print_table(["parameter", "type", "default", "meaning"], rows)
    else:
        print("It takes no parameters.")

"""From entries as a person writes them to components: names are looked up, patterns expanded, mistakes refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.jsondata import Json
from nasplug_ablation.components import EACH, Component, Entry, location_of, options_of, read_entry
from nasplug_ablation.data.augmentations import check_name
from nasplug_ablation.network.names import is_glob, of_type, one_module, several_modules
from nasplug_ablation.source import resolved

if TYPE_CHECKING:
    from nasplug_ablation.bench import Workbench


def resolve(entries: Sequence[object], bench: Workbench) -> list[Component]:
    """Returns the components of a study, in order.

    Args:
        entries: Entries as they are written.
        bench: Workbench of the module and its data.

    Raises:
        SpecError: An entry matches nothing, is ambiguous, or two components have one name.
    """
    found: list[Component] = []
    for position, entry in enumerate(entries):
        found += resolve_entry(entry, bench, f"components[{position}]")
    seen: dict[str, Component] = {}
    for component in found:
        if component.name in seen:
            raise SpecError(
                f"two components are named {component.name!r}", where="components", fix="give one of them a `name`"
            )
        seen[component.name] = component
    if not found:
        raise SpecError("there is nothing to take away", where="components", fix="write `components: [{module: NAME}]`")
    return found


def resolve_entry(entry: object, bench: Workbench, where: str) -> list[Component]:
    """Returns the components that one entry stands for.

    Args:
        entry: The entry.
        bench: Workbench of the module and its data.
        where: Place of the entry, for messages.

    Raises:
        SpecError: It matches nothing, or is ambiguous.
    """
    kind, checked = read_entry(entry, where)
    where = f"{where}.{kind}"
    if kind == "group":
        return [_group(checked, bench, where)]
    if kind == "type":
        return _typed(checked, bench, where)
    if kind in EACH:
        return _each(EACH[kind], checked[kind], checked, bench, where)
    return [_ONE[kind](checked, bench, where)]


def _named(entry: Entry, otherwise: str) -> str:
    name = entry.get("name")
    return otherwise if name is None else str(name)


def _module(entry: Entry, bench: Workbench, where: str) -> Component:
    path = one_module(str(entry["module"]), bench.paths, where)
    return Component("module", _named(entry, path), path, options_of("module", entry))


def _span(entry: Entry, bench: Workbench, where: str) -> Component:
    ends = entry["span"]
    if not isinstance(ends, (list, tuple)) or len(ends) != 2:
        raise SpecError(f"cannot read {ends!r:.100}", where=where, fix="write both ends: [FIRST, LAST]")
    first, last = (one_module(str(end), bench.paths, where) for end in ends)
    return Component("span", _named(entry, f"{first} to {last}"), [first, last])


def _replace(entry: Entry, bench: Workbench, where: str) -> Component:
    path = one_module(str(entry["replace"]), bench.paths, where)
    by = entry.get("by")
    if by is None:
        raise SpecError("nothing is given in its place", where=where, fix="write `by: torch.nn.ReLU`")
    function = resolved(by, f"{where}.by")
    location = by if isinstance(by, str) else location_of(function)
    options: dict[str, Json] = {"by": location}
    if entry.get("args"):
        options["args"] = entry["args"]  # type: ignore[assignment]
    return Component(
        "replace", _named(entry, f"{path} -> {location.replace(':', '.').rpartition('.')[2]}"), path, options
    )


def _feature(entry: Entry, bench: Workbench, where: str) -> Component:
    wanted = entry["feature"]
    options = options_of("feature", entry)
    if isinstance(wanted, (list, tuple)):
        members = tuple(_one_feature(item, options, bench, where, None) for item in wanted)
        name = _named(entry, " + ".join(member.name for member in members))
        return Component("group", name, members=members)
    return _one_feature(wanted, options, bench, where, entry.get("name"))


def _one_feature(wanted: object, options: Mapping[str, Json], bench: Workbench, where: str, name: object) -> Component:
    place = bench.finder.find(wanted, where)
    words = [f"{key}={value}" for key, value in wanted.items()] if isinstance(wanted, Mapping) else [str(wanted)]
    known = " ".join(words)
    mode = options.get("mode", "fill")
    suffix = "" if mode == "fill" else f" ({mode})"
    return Component(
        "feature", str(name) if name is not None else f"feature {known}{suffix}", place.to_plain(), options
    )


def _callback(entry: Entry, bench: Workbench, where: str) -> Component:
    name = str(entry["callback"])
    known = list(bench.source.make_callbacks())
    if name not in known:
        raise SpecError(
            f"the study has no callback {name!r}",
            where=where,
            fix=did_you_mean(name, known) if known else "list the callbacks of the base under `callbacks:`",
        )
    return Component("callback", _named(entry, f"callback {name}"), name)


def _augmentation(entry: Entry, bench: Workbench, where: str) -> Component:
    name = str(entry["augmentation"])
    check_name(name, bench.augmentations, where)
    return Component("augmentation", _named(entry, f"augmentation {name}"), name)


def _loss(entry: Entry, bench: Workbench, where: str) -> Component:
    from nasplug_ablation.network.losses import silence

    path = str(entry["loss"])
    try:
        silence(bench.fresh(), path)
    except SpecError as error:
        raise SpecError(error.what, where=where, why=error.why, fix=error.fix) from None
    return Component("loss", _named(entry, f"loss {path}"), path)


def _hyperparameter(entry: Entry, bench: Workbench, where: str) -> Component:
    given = entry["hyperparameter"]
    if not isinstance(given, Mapping) or len(given) != 1:
        raise SpecError(f"cannot read {given!r:.100}", where=where, fix="write `- hyperparameter: {NAME: VALUE}`")
    ((name, value),) = given.items()
    before = bench.source.value_of(str(name))
    if before == value and type(before) is type(value):
        raise SpecError(
            f"{name} is {value!r} already: the trial would be the base", where=where, fix="give another value"
        )
    return Component("hyperparameter", _named(entry, f"{name}={value}"), [str(name), value])


def _custom(entry: Entry, bench: Workbench, where: str) -> Component:
    call: Callable[..., Any] = resolved(entry["custom"], where)
    return Component("custom", _named(entry, getattr(call, "__name__", "custom")), call=call)


_ONE: Mapping[str, Callable[[Entry, Any, str], Component]] = {
    "module": _module,
    "span": _span,
    "replace": _replace,
    "feature": _feature,
    "callback": _callback,
    "augmentation": _augmentation,
    "loss": _loss,
    "hyperparameter": _hyperparameter,
    "custom": _custom,
}


def _each(kind: str, given: object, entry: Entry, bench: Workbench, where: str) -> list[Component]:
    """One component for each of several: a list, a pattern of modules, or `all`."""
    options = {name: entry[name] for name in options_of(kind, entry)}
    wanted: list[object] = list(given) if isinstance(given, (list, tuple)) else [given]
    if kind == "module":
        wanted = list(dict.fromkeys(path for item in wanted for path in several_modules(str(item), bench.paths, where)))
    elif wanted == ["all"]:
        everything = {
            "feature": lambda: bench.finder.names,
            "callback": lambda: list(bench.source.make_callbacks()),
            "augmentation": lambda: bench.augmentations,
        }
        if kind not in everything:
            raise SpecError("nobody knows what all of them are", where=where, fix="name them")
        wanted = list(everything[kind]())
        if not wanted:
            raise SpecError(f"'all' matches nothing: there is no {kind}", where=where, fix="name them")
    return [_ONE[kind]({kind: item, **options}, bench, where) for item in wanted]


def _typed(entry: Entry, bench: Workbench, where: str) -> list[Component]:
    if not isinstance(entry["type"], (str, type)):
        raise SpecError(
            f"expected a class or the name of one, got {entry['type']!r:.80}",
            where=f"{where}.type",
            fix="write `- type: Dropout`",
        )
    name = entry["type"] if isinstance(entry["type"], str) else location_of(entry["type"]).replace(":", ".")
    named = [(path, module) for path, module in bench.module.named_modules() if path]
    paths = of_type(str(name), named, where)
    if len(paths) > 1 and "together" not in entry:
        raise SpecError(
            f"{len(paths)} modules are of type {name!r}: one trial for each, or one without all of them?",
            where=where,
            fix="add `together: true` or `together: false`",
        )
    options = options_of("type", entry)
    members = [Component("module", path, path, options) for path in paths]
    if not entry.get("together"):
        return members
    short = str(name).rpartition(".")[2]
    return [Component("group", _named(entry, f"all {short}"), members=tuple(members))]


def _group(entry: Entry, bench: Workbench, where: str) -> Component:
    given = entry["group"]
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, (list, tuple)) or not given:
        raise SpecError(f"cannot read {given!r:.100}", where=where, fix="write a pattern, or a list of components")
    members: list[Component] = []
    policy = {"policy": entry["policy"]} if "policy" in entry else {}
    for position, item in enumerate(given):
        if isinstance(item, str):
            members += _each("module", item, {"modules": item, **policy}, bench, where)
        else:
            members += resolve_entry(item, bench, f"{where}[{position}]")
    pattern = given[0] if len(given) == 1 and isinstance(given[0], str) else None
    if len(members) == 1 and pattern is not None and not is_glob(pattern):
        raise SpecError(f"the group {pattern!r} has one member", where=where, fix="write `- module:`")
    return Component("group", _named(entry, pattern or " + ".join(one.name for one in members)), members=tuple(members))

"""Changes of a module that a plan has decided, as JSON data, and how they are made on a module built anew."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from nasplug.contract.jsondata import JsonObject
from nasplug.plugins.catalog import load_location
from nasplug.surgery.modules import Dropped
from nasplug_ablation.network.losses import silence
from nasplug_ablation.network.removed import Adapter, Constant, Passing, Removed
from nasplug_ablation.network.repair import resize


def apply(module: nn.Module, edits: Sequence[JsonObject], calls: Mapping[str, Callable[..., object]]) -> nn.Module:
    """Makes changes in place, in order, and returns the module.

    Args:
        module: Whole module, freshly built.
        edits: Changes: `{"path", "put", ...}` puts something in place of a module, `{"path", "resize"}` gives a layer
            other sizes and new weights, `{"path", "silence"}` makes a loss term zero, `{"custom"}` calls a function.
        calls: Functions of custom components, by name.
    """
    for edit in edits:
        if "custom" in edit:
            module = _custom(module, calls[str(edit["custom"])])
        elif "silence" in edit:
            silence(module, str(edit["silence"]))
        elif "resize" in edit:
            sizes: Any = edit["resize"]
            resize(module.get_submodule(str(edit["path"])), sizes)
        else:
            put(module, str(edit["path"]), stand_in(edit))
    return module


def _custom(module: nn.Module, call: Callable[..., object]) -> nn.Module:
    """A function of the module changes it, or returns another; a function of nothing makes another."""
    made = call(module) if inspect.signature(call).parameters else call()
    return made if isinstance(made, nn.Module) else module


def stand_in(edit: JsonObject) -> nn.Module:
    """Makes what is put in place of a module.

    Args:
        edit: Change with the key `put`.

    Raises:
        ValueError: There is no adapter for these shapes.
    """
    what: Any = edit
    if edit["put"] == "input":
        plain = what["key"] == 0 and what["others"] is None
        return Dropped("input") if plain else Passing(what["key"], what["others"])
    if edit["put"] == "class":
        made = load_location(str(edit["by"]), where="replace")(**(what.get("args") or {}))
        if not isinstance(made, nn.Module):
            raise ValueError(f"{edit['by']} makes a {type(made).__name__}, not a module")
        return made
    if edit["put"] == "adapter":
        return Adapter(what["entered"], what["left"])
    if what["value"] == 0 and what["key"] == 0 and what["entered"] == what["left"]:
        return Dropped("zero")
    return Constant(float(what["value"]), what["key"], what["entered"], what["left"])


def put(module: nn.Module, path: str, new: nn.Module) -> None:
    """Puts a module in place of another one, under every name that this one has.

    Args:
        module: Whole module.
        path: Path of the module that goes.
        new: Module that comes.
    """
    old = module.get_submodule(path)
    for part in list(module.modules()):
        for name, child in list(part._modules.items()):
            if child is old:
                part._modules[name] = new


def still_there(module: nn.Module, edits: Sequence[JsonObject]) -> list[str]:
    """Returns the paths at which something removed stands again, as a module that builds itself late does.

    Args:
        module: Whole module at the beginning of its training.
        edits: Changes that were made.
    """
    back = []
    for edit in edits:
        if "put" not in edit:
            continue
        try:
            found: nn.Module | None = module.get_submodule(str(edit["path"]))
        except AttributeError:
            continue
        if not isinstance(found, type(stand_in(edit)) if edit["put"] == "class" else (Removed, Dropped)):
            back.append(str(edit["path"]))
    return back

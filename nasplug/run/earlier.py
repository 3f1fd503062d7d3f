"""Specifications in study files of earlier versions: settings that have a group now are written into it.

Only what a study file holds is brought up to date. A specification that somebody writes is refused with the new place,
so that there is one way to write it.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from nasplug.contract.errors import NasplugError
from nasplug.contract.kinds import kind_of
from nasplug.plugins.catalog import Catalog
from nasplug.plugins.component import Component, hints_of, resolve
from nasplug.plugins.groups import groups_of, places_of
from nasplug.run.parts import PARTS
from nasplug.run.spec import RunSpec


def updated(spec: RunSpec, catalog: Catalog) -> RunSpec:
    """Returns a specification in which every argument stands where components of today look for it.

    Arguments that fit nowhere, or into several groups, stay as they are, and are refused with the others when the
    component is made.

    Args:
        spec: Specification out of a study file.
        catalog: Catalog to look slugs up in.
    """
    changed: dict[str, Any] = {}
    for part in PARTS:
        given = getattr(spec, part.key)
        if part.many:
            changed[part.key] = tuple(_updated(part.kind, item, catalog) for item in given)
        elif given is not None:
            changed[part.key] = _updated(part.kind, given, catalog)
    return dataclasses.replace(spec, **changed)


def _updated(kind: str, wanted: Component, catalog: Catalog) -> Component:
    if not wanted.args:
        return wanted
    try:
        factory = resolve(kind, wanted, catalog, where=kind)
        parameters = inspect.signature(factory).parameters
    except (NasplugError, TypeError, ValueError):  # whoever makes the component says what is wrong
        return wanted
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return wanted
    hints = hints_of(factory)
    groups = groups_of({name: hint for name, hint in hints.items() if kind_of(hint) is None})
    kept: dict[str, Any] = {}
    moved: dict[str, dict[str, Any]] = {}
    for name, value in wanted.args.items():
        places = [] if name in parameters else places_of(name, groups, getattr(factory, "nasplug_renamed", {}))
        nested = kind_of(hints.get(name))
        if len(places) == 1:
            group, setting = places[0]
            moved.setdefault(group, {})[setting] = value
        elif nested is not None and isinstance(value, (str, Mapping, Component)):
            kept[name] = _updated(nested, Component.parse(value, where=name), catalog)
        elif nested is not None and isinstance(value, (list, tuple)):
            kept[name] = [_updated(nested, Component.parse(item, where=name), catalog) for item in value]
        else:
            kept[name] = value
    for group, settings in moved.items():
        own = kept.get(group, {})
        kept[group] = {**settings, **own} if isinstance(own, Mapping) else own
    return dataclasses.replace(wanted, args=kept)

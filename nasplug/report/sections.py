"""Sections that plugins add to the report: asked for, checked and brought into the page's own forms."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasplug.contract.errors import NasplugError, PluginError
from nasplug.contract.kinds import METHODS
from nasplug.ledger.facts import texts_of
from nasplug.report.figures import Picture
from nasplug.report.formats import number, text
from nasplug.report.section import Section
from nasplug.report.tables import Table

if TYPE_CHECKING:
    from nasplug.ledger.study import Study

#: Keys of a specification whose components may add sections, for studies that are read from a file.
_KEYS = ("task", "strategy", "costs", "build", "stoppers", "callbacks", "trackers")


@dataclass(frozen=True, slots=True)
class Shown:
    """A section as the template takes it.

    Attributes:
        title: Heading.
        paragraphs: Plain text.
        table: Table, or None.
        pictures: Pictures.
    """

    title: str
    paragraphs: list[str]
    table: Table | None
    pictures: list[Picture]


def sections(study: Study) -> tuple[list[Shown], list[str]]:
    """Returns what plugins add, and notices about those that could not be asked.

    A study that is still composed asks all of its plugins. One that was read from a file asks the components of its
    specification that have the hook, and no others, so that writing a report does not import what it does not need.

    Args:
        study: The study.
    """
    shown: list[Shown] = []
    notices: list[str] = []
    for name, answer in _answers(study):
        try:
            found = answer()
            shown += [_shown(section) for section in found or ()]
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a stranger's section must not cost the rest of the page
            notices.append(f"{name} could not add its section: {type(error).__name__}: {error}")
    return shown, notices


def _answers(study: Study) -> Iterator[tuple[str, Callable[[], list[Section]]]]:
    composed = study.composed
    if composed is not None:
        yield from composed.sections(study)
        return
    from nasplug.plugins.component import Component, instantiate, resolve
    from nasplug.plugins.discovery import discover
    from nasplug.plugins.manager import Manager
    from nasplug.plugins.trust import trusted, untrusted

    spec = study.meta.get("spec", {})
    with untrusted() if trusted() else contextlib.nullcontext():
        try:
            catalog = discover(texts_of(spec, "plugins")).catalog
        except NasplugError:
            return  # the notice about the missing plugin file stands on the page already
        for key in _KEYS:
            value = spec.get(key) or []
            for item in value if isinstance(value, list) else [value]:
                try:
                    component = Component.parse(item, where=key)
                    kind = {"costs": "cost", "build": "wrapper", "stoppers": "stopper"}.get(key, key.rstrip("s"))
                    assert kind in METHODS
                    if not hasattr(resolve(kind, component, catalog, where=key), "sections"):
                        continue
                    plugin = instantiate(kind, component, catalog, where=key)
                except NasplugError:
                    continue
                manager = Manager([(component.name, plugin)])

                def ask(manager: Manager = manager) -> list[Section]:
                    return [each for answer in manager.hook.sections(study=study) for each in answer or ()]

                yield component.name, ask


def _shown(section: object) -> Shown:
    if not isinstance(section, Section):
        raise PluginError(f"the hook `sections` gives Section records, not {type(section).__name__}")
    rows = [[cell if isinstance(cell, str) else number(cell) for cell in row] for row in section.rows]
    width = len(section.header)
    if any(len(row) != width for row in rows):
        raise PluginError(f"section {section.title!r}: a row has another length than the header of {width}")
    table = None
    if rows:
        numeric = [all(not isinstance(row[i], str) for row in section.rows) for i in range(width)]
        table = Table([text(name) for name in section.header], numeric, [[text(c) for c in row] for row in rows])
    title = text(section.title)
    pictures = [Picture(f"section-{i}", figure, title) for i, figure in enumerate(section.pictures)]
    return Shown(title, [text(paragraph) for paragraph in section.text], table, pictures)

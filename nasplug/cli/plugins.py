"""`nasplug plugins`: what is installed, what it offers, and what failed to load."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from nasplug.cli import output
from nasplug.cli.loading import find_plugins
from nasplug.cli.parser import Parser
from nasplug.contract.wording import plural

SUMMARY = "List installed plugins, and those that failed to load."


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug plugins`."""
    parser.add_argument("--known", action="store_true", help="list known packages instead, installed or not")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints the list; plugins that failed to load are named with their reasons."""
    if arguments.known:
        return _known(arguments)
    found = find_plugins(arguments)
    offers: dict[str, dict[str, list[str]]] = {}
    for entry in found.catalog.entries():
        offers.setdefault(entry.distribution, {}).setdefault(entry.kind, []).append(entry.name)
    if arguments.json:
        output.print_json(
            [
                {
                    "name": plugin.name,
                    "distribution": plugin.distribution.rpartition(" ")[0] or plugin.distribution,
                    "version": plugin.distribution.rpartition(" ")[2] if " " in plugin.distribution else None,
                    "module": plugin.module,
                    "offers": offers.get(plugin.distribution, {}) if plugin.error is None else {},
                    "error": plugin.error,
                }
                for plugin in found.plugins
            ]
        )
        return 0
    rows = []
    for plugin in found.plugins:
        if plugin.error is not None:
            text = f"LEFT OUT: {' '.join(plugin.error.split())}"
        else:
            kinds = offers.get(plugin.distribution, {})
            text = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items())
        rows.append([plugin.name, plugin.distribution, text])
    output.print_table(["plugin", "distribution", "offers"], rows)
    if found.broken:
        print(f"{len(found.broken)} of {plural(len(found.plugins), 'plugin')} failed to load; the others work")
    return 0


def _known(arguments: argparse.Namespace) -> int:
    """Prints the directory of packages, with those that are installed."""
    from nasplug.plugins.packages import is_installed, known

    here = {name: is_installed(name) for name in known()}
    if arguments.json:
        output.print_json([{"name": name, **asdict(facts), "installed": here[name]} for name, facts in known().items()])
        return 0
    rows = [
        [name, "yes" if here[name] else "no", facts.status, facts.contract, facts.licence, facts.purpose]
        for name, facts in known().items()
    ]
    output.print_table(["package", "installed", "status", "contract", "licence", "to"], rows)
    absent = [name for name in known() if not here[name]]
    if absent:
        print(f"to install one: pip install {absent[0]}")
    return 0

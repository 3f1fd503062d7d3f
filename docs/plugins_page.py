"""Writes docs/plugins.md from the directory of packages: `python docs/plugins_page.py`."""

from __future__ import annotations

from pathlib import Path

from nasplug.plugins.packages import Package, known

PAGE = Path(__file__).with_name("plugins.md")
HEAD = """# Packages

Written by `docs/plugins_page.py` from `nasplug/plugins/directory.toml`. `nasplug plugins --known` prints the same, and
says which are installed; a specification that names something of a known package answers with its `pip install`.

| package | to | offers | status | contract | licence |
|---|---|---|---|---|---|
"""
TAIL = """
Names of packages start with `nasplug-`; keywords have `nasplug-plugin`, and repositories that topic, so that a search
finds them. Yours works without an entry here, as soon as it is installed: an entry makes it known before it is
installed. To be listed, publish it, let `nasplug test-plugin` pass in its own CI with the lowest and the newest
nasplug (the workflows of `nasplug new-plugin` do), and propose an entry of `directory.toml`.

| status | what it promises |
|---|---|
| `stable` | names, arguments and trials of a specification change with a new major version alone |
| `beta` | they change with a new minor version, and the changelog says how to go on |
| `experimental` | they may change with any version |
"""


def row(name: str, facts: Package) -> str:
    """One package as a row of the table."""
    link = f"../{facts.page}/README.md" if facts.page.startswith("plugins/") else facts.page
    offers = "; ".join(f"{kind}: {', '.join(f'`{word}`' for word in words)}" for kind, words in facts.names.items())
    return (
        f"| [`{name}`]({link}) | {facts.purpose} | {offers} | {facts.status} | {facts.contract} | {facts.licence} |\n"
    )


def page() -> str:
    """The whole page."""
    return HEAD + "".join(row(name, facts) for name, facts in known().items()) + TAIL


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

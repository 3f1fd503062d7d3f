"""Writes the badges of the README from what the project states of itself: `python docs/badges.py`."""

from __future__ import annotations

import tomllib
from pathlib import Path

from nasplug.contract.hookspecs import CONTRACT_VERSION
from nasplug.testing.badge import badge

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "pictures" / "badges"


def badges() -> dict[str, str]:
    """The badges as SVG, by name."""
    facts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    minors = [int(line.rpartition(".")[2]) for line in facts["classifiers"] if ":: Python :: 3." in line]
    said = {
        "python": f"3.{min(minors)} to 3.{max(minors)}",
        "contract": CONTRACT_VERSION,
        "licence": facts["license"],
        "types": "strict",
        "packages": str(1 + sum(1 for _ in (ROOT / "plugins").glob("[a-z]*/pyproject.toml"))),
    }
    return {label: badge(label, message) for label, message in said.items()}


def main() -> None:
    """Writes all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for label, drawn in badges().items():
        (FOLDER / f"{label}.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()

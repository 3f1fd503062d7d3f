"""Whether the machine has what the packages declare, before its time is spent."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

from packaging.requirements import Requirement

#: Packages of the queue with the extras that it uses, and opponents.
NEEDED = (
    *("nasplug[train]", "nasplug-npu", "nasplug-cgap[train]", "nasplug-darts-lp", "nasplug-emonas", "nasplug-qnas"),
    *("torch-pruning>=1.6", "pebble>=5"),
)


def lacking(needed: Iterable[str] = NEEDED) -> list[str]:
    """What is not installed as declared, each with who asks for it.

    Args:
        needed: Requirements to begin with; what they require is looked at too, as far as it is nasplug's own.
    """
    found, seen = [], set()
    waiting = [(Requirement(one), "the campaign") for one in needed]
    while waiting:
        one, asked = waiting.pop(0)
        if (str(one), asked) in seen:
            continue
        seen.add((str(one), asked))
        try:
            there = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            found.append(f"{one} is not installed, {asked} needs it")
            continue
        if not one.specifier.contains(there, prereleases=True):
            found.append(f"{one.name} is {there}, {asked} needs {one.specifier}")
        if one.name.startswith("nasplug"):
            for text in metadata.requires(one.name) or ():
                other = Requirement(text)
                if other.marker is None or any(other.marker.evaluate({"extra": extra}) for extra in ("", *one.extras)):
                    waiting.append((other, one.name))
    return found

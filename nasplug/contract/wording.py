"""How messages and pages name a number of things."""

from __future__ import annotations


def plural(count: int, noun: str, many: str | None = None) -> str:
    """Returns the number with its noun in the form that agrees with it: `1 trial`, `3 trials`, `12,500 queries`.

    Args:
        count: Number of things.
        noun: Noun in the singular, with whatever must agree with it: `finished trial`, `trial is`.
        many: Noun in the plural; default: the regular plural of the last word, so `trials`, `queries`, `classes`.
    """
    return f"{count:,} {noun if count == 1 else many or _regular(noun)}"


def _regular(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "z", "sh", "tch", "nch", "rch")) else f"{noun}s"

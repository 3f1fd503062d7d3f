"""What rows of a comparison of reductions say together: accuracy over size, by network, share and method."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from _inference import interval

Row = Mapping[str, Any]


def compared(originals: Sequence[Row], rows: Sequence[Row]) -> dict[str, Any]:
    """Summaries beside the rows that they are made of.

    Args:
        originals: Figures of the original networks, with `network` and `seed`.
        rows: Rows of `_reduction_training.reduce`.
    """
    whole = {(one["network"], one["seed"]): one for one in originals}
    networks: dict[str, Any] = {}
    for name in dict.fromkeys(row["network"] for row in rows):
        own = [row for row in rows if row["network"] == name]
        first = [one for one in originals if one["network"] == name]
        networks[name] = {
            "original": {
                "test_acc": interval([one["test_acc"] for one in first]),
                "params": first[0]["params"],
                "macs": first[0]["macs"],
            },
            **{
                f"{share:g}": _methods(_of(own, "keep", share), whole)
                for share in dict.fromkeys(r["keep"] for r in own)
            },
        }
    return {"summary": networks, "originals": list(originals), "rows": list(rows)}


def _methods(rows: Sequence[Row], whole: Mapping[tuple[str, int], Row]) -> dict[str, Any]:
    """By method: accuracy, differences within a seed with intervals of 95 %, sizes as shares of the original."""
    baseline = {row["seed"]: row["test_acc"] for row in _of(rows, "method", "uniform")}
    found = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        own = _of(rows, "method", method)
        beside = [row["test_acc"] - baseline[row["seed"]] for row in own if row["seed"] in baseline]
        firsts = [whole[row["network"], row["seed"]] for row in own]
        found[method] = {
            "seeds": [row["seed"] for row in own],
            "test_acc": interval([row["test_acc"] for row in own]),
            "over_original": interval(
                [row["test_acc"] - first["test_acc"] for row, first in zip(own, firsts, strict=True)]
            ),
            "over_uniform": interval(beside) if beside else None,
            **{
                f"{key}_of_original": statistics.mean(
                    row[key] / first[key] for row, first in zip(own, firsts, strict=True)
                )
                for key in ("params", "macs")
            },
            "epochs": statistics.mean(row["epochs"] for row in own),
            "work": statistics.mean(row["work"] for row in own),
        }
    return found


def _of(rows: Iterable[Row], key: str, value: Any) -> list[Row]:
    return [row for row in rows if row[key] == value]

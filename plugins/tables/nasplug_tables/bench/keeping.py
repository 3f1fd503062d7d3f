"""Runs of a comparison on disk, one file each, so that an interrupted comparison goes on and a finished one grows."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nasplug.contract.jsondata import parse_json
from nasplug.contract.protocols import SearchSpace
from nasplug.files import complete_file
from nasplug_tables.bench.comparison import rounded
from nasplug_tables.bench.rules import Rules
from nasplug_tables.table import Table

#: What a run of one strategy with one seed found: `rows`, `observed` and `finished`, shape (queries,), and `seconds`.
Run = dict[str, Any]


class Kept:
    """Finished runs in a folder.

    A run counts only for the very same table, space, rules, number of queries, seed, strategy, plugin files and version
    of nasplug. What does not is run again and replaced. Changes in the code of an installed package are not seen.

    Args:
        folder: Folder of the files; made with the first of them.
        facts: Plain data that all runs share, from `facts_of`.
    """

    def __init__(self, folder: str | Path, facts: Mapping[str, Any]) -> None:
        self._folder, self._facts = Path(folder), dict(facts)

    def get(self, label: str, strategy: Any, seed: int) -> Run | None:
        """A finished run, or None if there is none of exactly this kind.

        Args:
            label: Name of the strategy in the comparison.
            strategy: Specification of it as plain data.
            seed: Seed of the run.
        """
        try:
            data = parse_json(self._path(label, seed).read_text())
            if not isinstance(data, dict) or data["of"] != self._of(strategy, seed):
                return None
            arrays = {name: _array(data[name]) for name in ("observed", "finished")}
            rows = np.array(data["rows"], dtype=np.int64)
            if any(array.shape != rows.shape for array in arrays.values()):
                return None
            return {"rows": rows, **arrays, "seconds": float(data["seconds"])}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, label: str, strategy: Any, seed: int, run: Run) -> None:
        """Writes a run; one of the same name is replaced once the new one is complete.

        Args:
            label: Name of the strategy in the comparison.
            strategy: Specification of it as plain data.
            seed: Seed of the run.
            run: Result of the run.
        """
        data = {
            "of": self._of(strategy, seed),
            "rows": run["rows"].tolist(),
            "observed": rounded(run["observed"], None),
            "finished": rounded(run["finished"], None),
            "seconds": run["seconds"],
        }
        path = self._path(label, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        with complete_file(path, "the run") as temporary:
            temporary.write_text(json.dumps(data, allow_nan=False))

    def _of(self, strategy: Any, seed: int) -> dict[str, Any]:
        return {**self._facts, "strategy": strategy, "seed": seed}

    def _path(self, label: str, seed: int) -> Path:
        plain = re.sub(r"[^A-Za-z0-9_.-]", "-", label)
        if plain != label:  # two labels may differ in such characters alone
            plain += "-" + hashlib.sha256(label.encode()).hexdigest()[:8]
        return self._folder / f"{plain}-{seed}.json"


def facts_of(
    table: Table, space: SearchSpace, queries: int, rules: Rules, plugins: tuple[str, ...], version: str
) -> dict[str, Any]:
    """What decides the runs of a comparison, beside their strategy and seed, as plain data.

    Args:
        table: Table, of which the content counts and not the name.
        space: Space, told apart by its name and by what it draws.
        queries: Trials per run.
        rules: Rules, of which those that only read curves do not count.
        plugins: Paths of single-file plugins, of which the content counts.
        version: Version of nasplug.
    """
    read = {"test", "convention"}
    return {
        "table": digest(table),
        "space": space.name,
        "draws": _draws(space),
        "queries": queries,
        "rules": {name: value for name, value in asdict(rules).items() if name not in read},
        "plugins": [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in plugins if Path(path).is_file()],
        "nasplug": version,
    }


def digest(table: Table) -> str:
    """SHA-256 of the columns of a table, in the order of their names."""
    found = hashlib.sha256()
    for name in sorted(table.columns):
        column = np.ascontiguousarray(table.columns[name])
        found.update(f"{name} {column.dtype.str} {column.shape}".encode())
        found.update(column.tobytes())
    return found.hexdigest()


def _draws(space: SearchSpace, count: int = 100) -> str:
    """SHA-256 of the first architectures that a space draws, which its options and arguments decide."""
    rng = np.random.default_rng(0)
    return hashlib.sha256("\n".join(space.sample(rng).key for _ in range(count)).encode()).hexdigest()


def _array(values: Any) -> Any:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

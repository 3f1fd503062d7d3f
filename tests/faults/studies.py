"""Study files to damage: complete ones, and copies of files in the middle of a run with a log beside them."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nasplug.ledger.sqlite import SQLiteStorage
from nasplug.run.api import run_spec
from nasplug.run.spec import RunSpec

TOY = Path(__file__).parents[1] / "support" / "toy_plugin.py"


def toy(folder: Path, **keys: Any) -> RunSpec:
    """Returns a specification of the toy search, kept in `s.sqlite` of a folder."""
    run = {"seed": 3, "storage": str(folder / "s.sqlite"), **keys.pop("run", {})}
    base = {
        "space": "toy",
        "strategy": "climb",
        "evaluator": {"toy": {"steps": 3}},
        "budget": {"trials": 40},
        "plugins": [str(TOY)],
    }
    return RunSpec.parse({**base, **keys, "run": run})


@dataclass
class Sample:
    """A study to damage.

    Attributes:
        folder: Folder of the file `s.sqlite` and, perhaps, its log.
        state: Fingerprint of what the file says.
        history: Fingerprints of all states that a transaction left, so that one of them may come back when the log
            is cut, as after a power cut.
        older: The file at earlier moments.
    """

    folder: Path
    state: str
    history: set[str] = field(default_factory=set)
    older: list[bytes] = field(default_factory=list)


def fingerprint(path: Path) -> str:
    """Returns a digest of everything in a study file.

    Raises:
        StorageError: The file is damaged.
    """
    storage = SQLiteStorage(path, writable=False)
    try:
        content = [
            storage.meta(),
            [trial.to_json() for trial in storage.trials()],
            storage.snapshot(),
            storage.work(),
        ]
    finally:
        storage.close()
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def samples(folder: Path, long: int = 300) -> list[Sample]:
    """Makes studies: finished, short, long, and two in the middle of a run.

    Args:
        folder: Folder for them.
        long: Number of trials of the long one.
    """
    made = []
    for name, trials, steps in (("finished", 40, 3), ("short", 3, 0), ("long", long, 12)):
        place = folder / name
        place.mkdir(parents=True)
        spec = toy(place, budget={"trials": trials}, evaluator={"toy": {"steps": steps}})
        run_spec(spec, snapshot_every=0)
        made.append(Sample(place, fingerprint(place / "s.sqlite")))
    made += [_running(folder / "running", made[0], 25), _running(folder / "checkpointed", made[2], long - 10)]
    return made


def _running(folder: Path, source: Sample, until: int) -> Sample:
    """Writes a study anew, one transaction after the other, and takes the files away while it is open."""
    folder.mkdir()
    writing = folder / "writing"
    writing.mkdir()
    reader = SQLiteStorage(source.folder / "s.sqlite", writable=False)
    meta, trials, snapshot = reader.meta(), reader.trials(), reader.snapshot()
    reader.close()
    path = writing / "s.sqlite"
    storage = SQLiteStorage(path)
    history, older = set(), []
    steps: list[Any] = [lambda: storage.write_meta(meta)]
    for trial in trials[:until]:
        steps.append(lambda trial=trial: storage.write([trial.with_(state="waiting", metrics={}, measurements=())]))
        steps.append(lambda trial=trial: storage.write([trial]))
    steps.append(lambda: storage.write_work("supernet-1", {"key": "supernet-1", "result": {"a": 1}}))
    assert snapshot is not None
    steps.insert(len(steps) // 2, lambda: storage.write_snapshot(snapshot))
    history.add(fingerprint(path))
    for number, step in enumerate(steps):
        step()
        history.add(fingerprint(path))
        if number % 10 == 0:
            older.append(path.read_bytes())
    for ending in ("", "-wal"):
        shutil.copy(f"{path}{ending}", folder / f"s.sqlite{ending}")
    state = fingerprint(path)
    storage.close()
    shutil.rmtree(writing)
    return Sample(folder, state, history, older)

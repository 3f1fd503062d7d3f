"""Records of what was done: one JSON file each, written as it ends; bundles that travel; and merging."""

from __future__ import annotations

import importlib
import json
import os
import tarfile
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from _record import RESULTS, made, record

from campaign_tasks.entries import Entry

#: Experiments that are merged into a result, and who does it.
SUMMARIES = {
    "campaign_checks": "checks:summary",
    "campaign_growth": "growth:summary",
    "campaign_quantisers": "quantisers:summary",
    "campaign_precision": "precision:summary",
    "campaign_emonas": "studies:summary",
    "campaign_qnas": "studies:summary",
    "campaign_segmentation": "segmentation:summary",
    "campaign_segmentation_folds": "folds:summary",
    "campaign_covid": "covid:summary",
    "campaign_infonas": "infonas:summary",
}


def resolve(task: str) -> Any:
    """The function that `module:function` names in this package."""
    module, _, name = task.partition(":")
    return getattr(importlib.import_module(f"campaign_tasks.{module}"), name)


def origin(device: str) -> dict[str, Any]:
    """Machine, versions and date, with the name of the card."""
    import torch

    found = made()
    if device == "cuda":
        found["machine"]["gpu"] = torch.cuda.get_device_name()
    found["versions"] |= {"torch": torch.__version__}
    return found


class Store:
    """Records below a folder.

    Args:
        out: The folder; made when something is written.
    """

    def __init__(self, out: Path) -> None:
        self.out = out

    def path(self, entry: Entry) -> Path:
        """Where the record of an entry is."""
        return self.out / "records" / entry.experiment / f"{entry.name}.json"

    def read(self, entry: Entry) -> dict[str, Any] | None:
        """The record of an entry; None while there is none.

        Raises:
            SystemExit: It was made with other arguments.
        """
        path = self.path(entry)
        if not path.is_file():
            return None
        found: dict[str, Any] = json.loads(path.read_text())
        if found["arguments"] != json.loads(json.dumps(dict(entry.arguments))):
            raise SystemExit(f"{path} was made with other arguments; give another --out, or another --scale")
        return found

    def read_named(self, experiment: str, name: str) -> dict[str, Any] | None:
        """A record by its name, whatever its arguments; None while there is none."""
        path = self.out / "records" / experiment / f"{name}.json"
        return json.loads(path.read_text()) if path.is_file() else None

    def write(self, entry: Entry, content: dict[str, Any]) -> None:
        """Writes a record whole or not at all."""
        path = self.path(entry)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        head = {"experiment": entry.experiment, "name": entry.name, "arguments": dict(entry.arguments)}
        partial.write_text(json.dumps(head | content, indent=1) + "\n")
        partial.replace(path)

    def failed(self, entry: Entry, error: BaseException, seconds: float) -> None:
        """Writes that a training failed, and how."""
        lines = "".join(traceback.format_exception(error))
        cause = getattr(error, "traceback", None)  # of the process in which it happened
        text = cause if isinstance(cause, str) else lines
        self.write(entry, {"state": "failed", "error": repr(error), "traceback": text, "seconds": seconds})

    def bundle(self, path: Path, folders: Iterable[str]) -> None:
        """Writes folders of the campaign into one tar file, whole or not at all."""
        partial = path.with_suffix(".partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(partial, "w") as tar:
            for name in folders:
                if (self.out / name).exists():
                    tar.add(self.out / name, name)
        partial.replace(path)


def merge(folders: Iterable[Path], results: Path = RESULTS) -> list[Path]:
    """Makes one result of every experiment of which there are records.

    Args:
        folders: Folders of campaigns. Of several records of the same work, the first that is done counts.
        results: Folder to write to.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for folder in folders:
        for path in sorted((folder / "records").glob("*/*.json")):
            one = json.loads(path.read_text())
            kept = found.setdefault(one["experiment"], {})
            if one["name"] not in kept or kept[one["name"]]["state"] != "done":
                kept[one["name"]] = one
    written = []
    for experiment, by_name in found.items():
        done = [one for one in by_name.values() if one["state"] == "done"]
        if not done:
            continue
        origins = []
        for one in done:
            if one["origin"] not in origins:
                origins.append(one["origin"])
        origins.sort(key=lambda origin: origin["date"])
        result = resolve(SUMMARIES[experiment])(done)
        failed = {one["name"]: one["error"] for one in by_name.values() if one["state"] == "failed"}
        more = {"failed": failed, "made_on": origins}
        written.append(record(experiment, result | more, folder=results, origin=origins[-1]))
    return written

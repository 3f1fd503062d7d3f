"""What an exported network is, as JSON data without code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from nasplug.contract.arguments import SEPARATOR
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Trial
from nasplug.export.needs import Needs
from nasplug.plugins.component import Component, plain

if TYPE_CHECKING:
    from nasplug.export.exporter import Found

FORMAT = 1


def describe(found: Found) -> dict[str, Any]:
    """Returns everything that building, feeding and understanding the network takes, but its weights."""
    from nasplug.plugins.discovery import discover
    from nasplug.run.versions import versions

    study, trial = found.study, found.trial
    opened = study.opened()
    spec: Any = study.meta["spec"]
    runs: Any = study.meta.get("runs") or [{}]
    plugins = list(spec.get("plugins", []))
    # Whoever changed the network while it trained is asked to repeat that, wherever the specification names it.
    editors = opened.editors() if opened and trial.edits else []
    parts = {
        "space": spec["space"],
        "build": [_of_trial(item, trial) for item in spec.get("build", [])],
        "editors": [[kind, _of_trial(plain(item), trial)] for kind, item in editors],
    }
    objects: Any = study.meta.get("objects", ())
    needs = Needs.of(parts, plugins, objects, discover(plugins).catalog)
    return {
        "format": FORMAT,
        **parts,
        "plugins": plugins,
        "needs": msgspec.to_builtins(needs),
        "architecture": trial.architecture.to_json(),
        "hyperparameters": dict(trial.hyperparameters),
        "edits": [dict(record) for record in trial.edits],
        "input_shape": list(found.inputs.shape),
        "outputs": found.output.channels,
        "inputs": found.inputs.to_plain(),
        "output": {"kind": found.output.kind, "channels": found.output.channels},
        "voxel_spacing": list(getattr(study.task, "voxel_spacing", ())),
        **facts(found),
        "metrics": _finite(trial.metrics),
        "costs": _finite(trial.costs),
        "trial": {"number": trial.number, "seed": trial.seed, "epochs": study.budget_of(trial).epochs},
        "versions": {"trained": runs[-1].get("versions", {}), "exported": versions()},
    }


def facts(found: Found) -> dict[str, Any]:
    """Returns what somebody needs who has raw data and the network: every format carries it."""
    return {
        "answers": found.answers,
        "classes": list(found.classes) or None,
        "preprocessing": dict(found.preprocessing or {}) or None,
    }


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _of_trial(item: Json, trial: Trial) -> Json:
    """A component as it was in a trial, with the arguments that its hyperparameters decided."""
    if not any(SEPARATOR in name for name in trial.hyperparameters):
        return item
    from nasplug.run.searched import with_arguments

    made: Json = plain(with_arguments(Component.parse(item, where="build"), trial.hyperparameters))
    return made

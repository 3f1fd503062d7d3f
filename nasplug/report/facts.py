"""What a reader of a report must know first, and what is needed to repeat the search."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.wording import plural
from nasplug.ledger.comparison import described
from nasplug.ledger.facts import part_of
from nasplug.report import series
from nasplug.report.formats import duration, number, shorten, text
from nasplug.report.labels import label

if TYPE_CHECKING:
    from nasplug.ledger.study import Study


def title(study: Study) -> str:
    """A name for the study: that of its file, or what was searched."""
    storage = part_of(_spec(study), "run").get("storage")
    if storage:
        return text(Path(str(storage)).stem)
    space = _component(_spec(study).get("space"))
    return f"Search of {space}" if space else "Architecture search"


def summary(study: Study) -> list[tuple[str, str]]:
    """What was searched, as names and values."""
    spec, meta = _spec(study), study.meta
    runs = meta.get("runs", [])
    machine = runs[-1].get("machine", {}) if runs else {}
    rows = [
        ("Strategy", _component(spec.get("strategy", "random" if spec else None))),
        ("Search space", _component(spec.get("space"))),
        ("Task", _component(spec.get("task"))),
        ("Objectives", ", ".join(f"{o.name} ({o.direction})" for o in study.objectives)),
        ("Constraints", ", ".join(map(str, study.constraints))),
        ("Baseline", baseline(study)),
        ("Target", text(spec.get("target") or "")),
        ("Budget of a trial", plural(study.budget.epochs, "epoch")),
        ("Seed", str(study.seed)),
        ("Started", _moment(meta.get("created")) + (f", in {plural(len(runs), 'run')}" if len(runs) > 1 else "")),
        ("Machine", ", ".join(text(v) if isinstance(v, str) else f"{text(v)} {text(k)}" for k, v in machine.items())),
    ]
    return [(name, value) for name, value in rows if value]


def baseline(study: Study) -> str:
    """The network to compare with, its values, and what the best trial has over it; empty without one."""
    found = study.baseline
    if found is None:
        return ""
    line = text(described(found, study.objectives))
    differences = study.against.said(study.best) if study.candidates() else ""
    return f"{line[0].upper()}{line[1:]}" + (f"; the best trial: {text(differences)}" if differences else "")


def tiles(study: Study) -> list[tuple[str, str, str]]:
    """The numbers of first interest: (label, value, remark)."""
    counts: Counter[str] = Counter(trial.state for trial in (*study.trials, *study.pending))
    total = len(study.trials) + len(study.pending)
    order = ("complete", "pruned", "failed", "running", "waiting")
    states = ", ".join(f"{counts[state]:,} {state}" for state in order if counts[state])
    found: list[tuple[str, str, str]] = []
    if study.candidates():
        best = study.best
        for objective in study.objectives[:3]:
            first = objective is study.objectives[0]
            remark = f"best: {label(study, best, 40)}, trial {best.number}" if first else f"of trial {best.number}"
            found.append((objective.name, number(series.value_of(best, objective.name)), remark))
        if len(study.objectives) > 1:
            front = len(study.pareto())
            found.append(("Pareto front", f"{front:,}", "trial" if front == 1 else "trials"))
    found.append(("Trials", f"{total:,}", states))
    own = [trial.seconds for trial in study.trials if trial.copied_from is None]
    if own:
        found.append(("Time in trials", duration(sum(own)), f"{duration(sum(own) / len(own))} each"))
    return found


def notices(study: Study) -> list[str]:
    """What a reader must know before believing a number."""
    found = []
    if not study.trials:
        found.append("No trial has finished yet. Write the report again when some have.")
    elif not study.candidates():
        found.append(
            "No finished trial is complete, finite in all objectives and within all constraints, so there is no best "
            "one. The reasons are below."
        )
    if study.pending and study.trials:
        found.append(
            f"{plural(len(study.pending), 'trial was', 'trials were')} not finished when this page was written."
        )
    if "unavailable" in study.meta:
        found.append(f"The search space could not be opened, so networks are not drawn. {study.meta['unavailable']}")
    chosen = [objective.name for objective in study.objectives if series.is_test(objective.name)]
    if chosen:
        found.append(
            f"The search chose by {', '.join(chosen)}, which looks like test data: the best values are not "
            "estimates of what the networks do on new data."
        )
    return found


def honesty(study: Study) -> str:
    """Where the numbers come from, in one sentence or two."""
    line = (
        "Values are those the search itself chose by: measured on validation data, unless the task says otherwise. "
        "The best of many is optimistic; a test on unseen data is a separate, last step."
    )
    hidden = _hidden(study)
    if hidden:
        line += f" Metrics of test data ({', '.join(hidden)}) are left out here, so that nobody chooses by them."
    return line


def specification(study: Study) -> str:
    """The run specification as YAML."""
    import yaml

    spec = _spec(study)
    if not spec:
        return ""
    try:
        return yaml.safe_dump(json.loads(json.dumps(spec, default=str)), sort_keys=False, allow_unicode=True)
    except yaml.YAMLError:  # characters YAML cannot write
        return json.dumps(spec, default=str, indent=2)


def versions(study: Study) -> list[tuple[str, str]]:
    """Versions of the last run."""
    runs = study.meta.get("runs", [])
    found = runs[-1].get("versions", {}) if runs else {}
    return [(text(name), text(version)) for name, version in found.items()]


def commands(study: Study) -> list[tuple[str, str]]:
    """Command lines to go on with, as (command, what it does)."""
    storage = part_of(_spec(study), "run").get("storage")
    found = []
    if _spec(study) and not study.meta.get("objects"):
        found.append(
            ("nasplug run search.yaml", "repeats the search from the specification below, saved as search.yaml")
        )
    if storage:
        file = shlex.quote(text(storage))
        found.append((f"nasplug trials {file}", "lists all trials"))
        if study.candidates():
            best = study.best.number
            found.append((f"nasplug export {file} --trial {best}", "writes the best network"))
            found.append((f"nasplug retrain {file} --trial {best}", "trains it fully and tests it"))
    return found


def _hidden(study: Study) -> list[str]:
    wanted = {objective.name for objective in study.objectives}
    names = dict.fromkeys(name for trial in study.trials for name in trial.metrics if series.is_test(name))
    return [name for name in names if name not in wanted]


def _spec(study: Study) -> JsonObject:
    return study.meta.get("spec", {})


def _moment(value: str | None) -> str:
    """An ISO time in UTC as a person writes it; anything else as it is."""
    if value is None:
        return ""
    try:
        return datetime.fromisoformat(value).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (TypeError, ValueError):
        return text(value)


def _component(value: Json) -> str:
    """A component of a specification in a few words: `qnas (preset strong)`."""
    if value is None:
        return ""
    if not isinstance(value, Mapping):
        return text(value)
    if "class_path" in value:
        return text(str(value["class_path"]).rsplit(".", 1)[-1])
    name, args = next(iter(value.items()), ("", None))
    given = args if isinstance(args, Mapping) else {}
    simple = [f"{key} {item}" for key, item in given.items() if isinstance(item, (str, int, float))]
    return shorten(f"{name} ({', '.join(simple)})" if simple else str(name), 80)

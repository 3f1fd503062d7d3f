"""The data that the page's script explores: every shown trial in columns, as compact JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import HasConditions, HasVector
from nasplug.contract.records import Trial
from nasplug.report import selection, series
from nasplug.report.formats import shorten, text
from nasplug.report.importance import importance
from nasplug.report.labels import label, space_of
from nasplug.report.networks import drawings
from nasplug.report.tables import broken_constraints, value_names

if TYPE_CHECKING:
    from nasplug.ledger.study import Study

#: States in the order of their codes on the page.
STATES = ("complete", "pruned", "failed")
#: Most numbers of learning curves on a page, and most points of one curve.
CURVE_NUMBERS, CURVE_POINTS = 250_000, 80
_LONGEST_NOTE, _LONGEST_KEY = 300, 600
_MOST_NAMES = 60


def payload(study: Study, title: str, ranking: Sequence[Trial]) -> dict[str, Json]:
    """Returns what the script must know about one study.

    Args:
        study: The study.
        title: Name of the study on the page.
        ranking: Complete trials of the study, best first.
    """
    shown, rule = selection.selected(study, ranking)
    candidates = {trial.number for trial in study.candidates()}
    front = {trial.number for trial in series.front(study)}
    places = {trial.number: place for place, trial in enumerate(ranking)}
    columns = _choices(study, shown)
    notes = series.provenance(shown)
    hyper = _columns(shown, lambda trial: trial.hyperparameters)
    baseline = study.baseline
    tried = shown
    if baseline is not None and baseline.state in STATES:  # in a last row, without choices of the space
        shown = [*tried, baseline]
    return {
        "name": title,
        "objectives": [[text(o.name), o.direction] for o in study.objectives],
        "constraints": [[text(c.name), c.operator, c.bound] for c in study.constraints],
        "total": len(study.trials),
        "rule": rule,
        "number": [trial.number for trial in shown],
        "state": [STATES.index(trial.state) for trial in shown],
        "label": [label(study, trial) for trial in shown],
        "key": [shorten(trial.architecture.key, _LONGEST_KEY) for trial in shown],
        "seconds": [_compact(trial.seconds) for trial in shown],
        "epochs": [study.budget_of(trial).epochs for trial in shown],
        "ok": [int(trial.number in candidates) for trial in shown],
        "front": [int(trial.number in front) for trial in shown],
        "place": [places.get(trial.number) for trial in shown],
        "note": [_note(study, trial) for trial in shown],
        "values": {text(n): [_value(trial.values.get(n)) for trial in shown] for n in _names(study, shown)},
        "costs": [text(name) for name in dict.fromkeys(name for trial in shown for name in trial.costs)],
        "hyper": {text(name): [_value(value) for value in values] for name, values in hyper.items()},
        "choices": [{"name": name, "options": options, "at": at} for name, options, at in columns],
        "info": {text(name): [[n, _value(v)] for n, v in points] for name, points in list(notes.items())[:_MOST_NAMES]},
        "curves": _curves([trial for trial in ranking if trial.number in front], ranking, shown),
        "networks": drawings(study, tried, (*series.front(study), *ranking, *tried)),
        "best": [[number, _value(value)] for number, value in series.running_best(study)],
        "last": max((trial.number for trial in study.trials), default=0),
        "importance": _importance(study, tried, columns, hyper),
        "baseline": len(tried) if len(shown) > len(tried) else None,
        "over": None if baseline is None else [[text(each) for each in study.against.of(trial)] for trial in shown],
        **_volume(study),
    }


def encode(data: Json) -> str:
    """Returns JSON that may stand inside a script element: no character in it can end the element or start a comment.

    Args:
        data: Plain data without numbers that are not finite.
    """
    raw = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        raw = raw.replace(character, f"\\u{ord(character):04x}")
    return raw


def _compact(value: float) -> float | int | None:
    """Six significant digits, whole numbers whole; None for what JSON cannot say."""
    if not math.isfinite(value):
        return None
    if float(value).is_integer() and abs(value) < 1e15:
        return int(value)
    return float(f"{value:.6g}")


def _value(value: object) -> Json:
    if value is None or isinstance(value, bool):
        return value
    return _compact(value) if isinstance(value, (int, float)) else shorten(value, 120)


def _names(study: Study, shown: Sequence[Trial]) -> list[str]:
    return value_names(study, shown)[:_MOST_NAMES]


def _note(study: Study, trial: Trial) -> str:
    if trial.failure is not None:
        return shorten(f"{trial.failure.kind}: {trial.failure.message}", _LONGEST_NOTE)
    if trial.state == "complete" and study.constraints:
        broken = broken_constraints(study, trial)
        if broken:
            return shorten(f"breaks {broken}", _LONGEST_NOTE)
    if trial.reason:
        return shorten(trial.reason, _LONGEST_NOTE)
    return "" if trial.copied_from is None else f"same as trial {trial.copied_from}"


def _columns(
    shown: Sequence[Trial], of: Callable[[Trial], Mapping[str, Json]], most: int = _MOST_NAMES
) -> dict[str, list[Json]]:
    found = [of(trial) for trial in shown]
    names = list(dict.fromkeys(name for each in found for name in each))[:most]
    return {name: [each.get(name) for each in found] for name in names}


def _choices(study: Study, shown: Sequence[Trial]) -> list[tuple[str, Json, list[float | int | None]]]:
    """(name, options as text or None for numbers, position or number per trial) of the choices that vary."""
    space = space_of(study)
    if not isinstance(space, HasVector) or not shown:
        return []
    try:
        vectors = [space.vector(trial.architecture) for trial in shown]
        made = [set(space.active(t.architecture)) for t in shown] if isinstance(space, HasConditions) else None
        found = []
        for index, choice in enumerate(space.choices):
            on = [made is None or choice.name in names for names in (made or [set()] * len(shown))]
            genes = [vector[index] if there else None for vector, there in zip(vectors, on, strict=True)]
            if len(set(genes)) < 2:
                continue
            values = [None if gene is None else choice.value(gene) for gene in genes]
            numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
            if len(numbers) == sum(value is not None for value in values):
                found.append(
                    (text(choice.name), None, [_compact(v) if isinstance(v, (int, float)) else None for v in values])
                )
                continue
            options = list(
                dict.fromkeys(text(v) for _, v in sorted({(g, choice.value(g)) for g in genes if g is not None}))
            )
            at = {option: place for place, option in enumerate(options)}
            found.append((text(choice.name), list(options), [None if v is None else at[text(v)] for v in values]))
        return found[:_MOST_NAMES]
    except Exception:  # a space's own code: a report must not fail for it
        return []


def _curves(front: Sequence[Trial], ranking: Sequence[Trial], shown: Sequence[Trial]) -> dict[str, Json]:
    """Steps and metrics of trainings with more than one step, the best ones first while there is room."""
    present = {trial.number for trial in shown}
    ordered = {trial.number: trial for trial in (*front, *ranking[:200], *shown) if trial.number in present}
    names: dict[str, int] = {}
    found: dict[str, Json] = {}
    room = CURVE_NUMBERS
    for trial in ordered.values():
        if len(trial.measurements) < 2 or room <= 0:
            continue
        lines: dict[str, list[Json]] = {}
        for name, points in _lines(trial).items():
            lines[str(names.setdefault(name, len(names)))] = [
                [_compact(step) for step, _ in points],
                [_compact(value) for _, value in points],
            ]
            room -= 2 * len(points)
        if lines:
            found[str(trial.number)] = {**lines}
    return {"metrics": [text(name) for name in names], "of": found, "cut": room <= 0}


def _lines(trial: Trial) -> dict[str, list[tuple[int, float]]]:
    """Points of every metric and stage with at least two of them, thinned to `CURVE_POINTS`; none of test data."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for m in trial.measurements:
        for name, value in m.metrics.items():
            if series.is_test(name) or name == "epoch" or not isinstance(value, (int, float)):
                continue
            if math.isfinite(value):
                lines.setdefault(f"{name} ({m.stage})" if m.stage else name, []).append((m.step, float(value)))
    return {name: _thinned(points) for name, points in lines.items() if len(points) > 1}


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    if len(points) <= CURVE_POINTS:
        return points
    last = len(points) - 1
    return [points[round(i * last / (CURVE_POINTS - 1))] for i in range(CURVE_POINTS)]


def _importance(
    study: Study,
    shown: Sequence[Trial],
    choices: Iterable[tuple[str, Json, list[float | int | None]]],
    hyper: Mapping[str, Sequence[Json]],
) -> dict[str, Json]:
    """Importance of every choice and hyperparameter for each objective, the largest first, and how many trials say so.

    Where the page holds a part of the study, evenly spaced trials take the place of those on the page, many of which
    are there for being good. Copies of earlier trials do not count.
    """
    even = shown
    if len(study.trials) > len(shown):
        even = selection.evenly(list(study.trials), selection.MOST)
        choices, hyper = _choices(study, even), _columns(even, lambda trial: trial.hyperparameters)
    parts: list[tuple[str, list[float], bool]] = []
    for name, options, at in choices:
        parts.append((f"choice:{name}", [math.nan if v is None else float(v) for v in at], options is None))
    for name, values in hyper.items():
        coded, ordered = _coded(values)
        parts.append((f"hyper:{text(name)}", coded, ordered))
    found: dict[str, Json] = {}
    for objective in study.objectives:
        column = np.array([series.value_of(t, objective.name) for t in even], dtype=np.float64)
        own = np.array([trial.copied_from is None and trial.state == "complete" for trial in even], dtype=bool)
        use = own & np.isfinite(column)
        rows: list[tuple[str, float]] = []
        for name, values_, ordered in parts:
            share = importance(np.array(values_, dtype=np.float64)[use], column[use], ordered=ordered)
            if share is not None:
                rows.append((name, share))
        rows.sort(key=lambda row: -row[1])
        if rows:
            found[text(objective.name)] = {"of": int(use.sum()), "rows": [[n, round(s, 4)] for n, s in rows]}
    return found


def _coded(values: Sequence[Json]) -> tuple[list[float], bool]:
    """Numbers as they are; anything else as the position among its values."""
    if all(v is None or (isinstance(v, (int, float)) and not isinstance(v, bool)) for v in values):
        return [float(v) if isinstance(v, (int, float)) else math.nan for v in values], True
    places: dict[str, int] = {}
    return [math.nan if v is None else float(places.setdefault(text(v), len(places))) for v in values], False


def _volume(study: Study) -> dict[str, Json]:
    candidates, objectives = study.candidates(), study.objectives
    if not 2 <= len(objectives) <= series.MOST_OBJECTIVES or len(candidates) < 2:
        return {"volume": None}
    reference = series.worst_point(candidates, objectives)
    points = series.hypervolume_series(candidates, objectives, reference)
    if not points or points[-1][1] <= 0:
        return {"volume": None}
    return {
        "volume": {
            "reference": [[text(name), _compact(value)] for name, value in reference.items()],
            "points": [[number, _compact(value)] for number, value in points],
        }
    }

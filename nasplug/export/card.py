"""The model card: a page in Markdown about a found network, with the header that model hubs read."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasplug.contract.labels import shortened
from nasplug.contract.wording import plural
from nasplug.export.description import describe
from nasplug.ledger.intervals import share

if TYPE_CHECKING:
    from nasplug.export.exporter import Found

_PIPELINES = {"classes": "image-classification", "mask": "image-segmentation"}


def write_card(found: Found, path: Path, use: str | None = None) -> Path:
    """Writes the card.

    Args:
        found: The network.
        path: File to write.
        use: Text that says how the files beside the card are used; None says it of a folder of nasplug.

    Returns:
        The path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(card(found, use), encoding="utf-8")
    return path


def card(found: Found, use: str | None = None) -> str:
    """Returns the page; the arguments are those of `write_card`."""
    facts = describe(found)
    name, spec = _title(found), found.study.meta["spec"]
    sections = [
        f"---\n{_header(found, name)}---",
        f"# {name}",
        _summary(found, spec),
        "## Figures",
        _figures(found),
        "## Input and output",
        _flow(found, facts),
        "## How it was found",
        _search(found, spec, facts),
        "## Use",
        _use(found, facts) if use is None else use,
        "## Versions",
        _table("package", "version", facts["versions"]["exported"]),
    ]
    return "\n\n".join(sections) + "\n"


def _title(found: Found) -> str:
    return f"{shortened(found.study.label(found.trial))} ({found.trial.architecture.space}, trial {found.trial.number})"


def _header(found: Found, name: str) -> str:
    import yaml

    image = (found.preprocessing or {}).get("kind") in ("image", "volume")
    results = [
        {"type": metric, "value": round(float(value), 6), "name": metric}
        for metric, value in found.trial.metrics.items()
        if math.isfinite(value)
    ]
    pipeline = _PIPELINES.get(found.answers) if image else None
    header: dict[str, Any] = {
        "library_name": "nasplug",
        "tags": ["neural-architecture-search", "nasplug", "pytorch"],
        **({} if pipeline is None else {"pipeline_tag": pipeline}),
    }
    if results:
        task = {"type": pipeline or "other"}
        dataset = {
            "name": _data_name(found),
            "type": re.sub(r"[^\w.-]+", "-", _data_name(found)),
            "split": "validation",
        }
        header["model-index"] = [{"name": name, "results": [{"task": task, "dataset": dataset, "metrics": results}]}]
    return str(yaml.safe_dump(header, sort_keys=False, allow_unicode=True))


def _data_name(found: Found) -> str:
    data = getattr(found.study.task, "data", None)
    return str(getattr(data, "name", None) or type(data or found.study.task).__name__)


def _summary(found: Found, spec: Mapping[str, Any]) -> str:
    trials = found.study.trials
    complete = sum(trial.state == "complete" for trial in trials)
    budget = found.study.budget_of(found.trial).epochs
    return (
        f"A network found by neural architecture search with nasplug: "
        f"`{_name(spec.get('strategy', 'random'))}` searched the space `{_name(spec['space'])}` on the data "
        f"`{_data_name(found)}`. This is trial {found.trial.number} of {plural(len(trials), 'trial')} "
        f"({complete} complete), trained for {plural(budget, 'epoch')}."
    )


def _figures(found: Found) -> str:
    samples = found.study.meta.get("samples", {})
    rows = {name: _metric(value, samples.get(name, 0)) for name, value in found.trial.metrics.items()}
    costs = {name: _number(value) for name, value in found.trial.costs.items()}
    costs.setdefault("parameters", f"{sum(parameter.numel() for parameter in found.network.parameters()):,}")
    text = _table("figure", "value", {**rows, **costs})
    lines = [text, "Metrics were measured on validation data, which chose this network among the others."]
    if samples:
        lines.append("Intervals are of 95 % and come from the number of validation samples alone.")
    over = found.study.against.said(found.trial)
    if found.study.baseline is not None and over:
        lines.append(
            f"Against the baseline `{found.study.label(found.study.baseline)}`, which was trained alike: {over}."
        )
    return "\n\n".join(lines)


def _metric(value: float, samples: int) -> str:
    if not (samples and 0 <= value <= 1):
        return _number(value)
    low, high = share(value, samples)
    return f"{_number(value)} [{_number(low)}, {_number(high)}]"


def _flow(found: Found, facts: Mapping[str, Any]) -> str:
    lines = [f"* Input: {found.inputs}.", f"* Output: {plural(found.output.channels, 'value')} ({found.answers})."]
    if found.classes:
        lines.append(f"* Classes, in order: {', '.join(f'`{name}`' for name in found.classes)}.")
    for key, value in (facts["preprocessing"] or {}).items():
        if key != "kind":
            lines.append(f"* Preprocessing, {key}: {_said(value)}.")
    if (facts["preprocessing"] or {}).get("kind") == "image":
        lines.append("* A pixel `p` becomes `((p - low) / (high - low) - mean) / std`, with `low, high` the span.")
    return "\n".join(lines)


def _said(value: object) -> str:
    """A setting as people write it: JSON, with a word for what is not set."""
    return "not set" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _search(found: Found, spec: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    import yaml

    shown = {key: value for key, value in spec.items() if key not in ("plugins", "trackers")}
    needs = facts["needs"]
    lines = [f"```yaml\n{yaml.safe_dump(shown, sort_keys=False, allow_unicode=True).rstrip()}\n```"]
    lines.append(f"Genotype: `{facts['architecture']['genotype']}`.")
    if found.trial.hyperparameters:
        lines.append(f"Hyperparameters: `{dict(found.trial.hyperparameters)}`.")
    if needs["sources"] or needs["objects"]:
        what = [f"`{source['name']}` in `{source['file']}`" for source in needs["sources"]]
        what += [f"the {key} `{name}`" for key, name in needs["objects"].items()]
        lines.append(f"Building the network from its genotype needs code that is not here: {', '.join(what)}.")
    return "\n\n".join(lines)


def _use(found: Found, facts: Mapping[str, Any]) -> str:
    trust = ", trust=True" if facts["needs"]["sources"] else ""
    lines = [f'from nasplug.export.bundle import read_bundle\n\nnetwork = read_bundle("FOLDER"{trust})']
    text = "```python\n" + "\n".join(lines) + "\n```"
    kind = (facts["preprocessing"] or {}).get("kind")
    if kind in ("image", "table", "array", "volume"):
        masks = " --out MASKS" if kind == "volume" else ""
        text = f"```sh\nnasplug predict FOLDER FILE ...{masks}\n```\n\n{text}"
    return text


def _name(component: Any) -> str:
    if isinstance(component, Mapping):
        return str(component.get("class_path") or next(iter(component), ""))
    return str(component)


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1000 else f"{value:.6g}"


def _table(left: str, right: str, rows: Mapping[str, Any]) -> str:
    lines = [f"| {left} | {right} |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items())])

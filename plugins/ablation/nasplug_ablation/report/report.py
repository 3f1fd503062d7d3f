"""The report of a study: effects, and their forms."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError, StudyError
from nasplug.contract.jsondata import Json
from nasplug.contract.wording import plural
from nasplug.files import complete_file
from nasplug_ablation.report.effects import Effect, Results, effects

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nasplug.ledger.study import Study

HEADER = (
    "component",
    "policy",
    "seeds",
    "metric",
    "difference",
    "95 % interval",
    "p (Holm)",
    "verdict",
    "more seeds",
    "params",
    "MACs",
)
_FORMATS = (".md", ".csv", ".json", ".tex", ".png", ".svg", ".pdf")


class AblationReport:
    """What a study has found.

    Args:
        study: Study whose trials were proposed by a strategy of this package.
        metric: Metric to report; None is the first objective.

    Attributes:
        study: The study.

    Raises:
        StudyError: The study is not an ablation.
    """

    def __init__(self, study: Study, metric: str | None = None) -> None:
        self.study = study
        self.results = Results(study, metric)
        if not self.results.variants:
            raise StudyError(
                "there are no trials of an ablation in this study",
                where=str(study.meta.get("id", "")),
                fix="run one with `nasplug ablate SPEC`",
            )

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return self.results.metric

    @property
    def strategy(self) -> str:
        """Name of the strategy."""
        asked: object = self.study.meta.get("spec", {}).get("strategy", "ablation.loco")
        return next(iter(asked)) if isinstance(asked, dict) else str(asked)

    @cached_property
    def effects(self) -> list[Effect]:
        """Effects in the order of the study."""
        return effects(self.results, self.strategy)

    @property
    def base(self) -> dict[int, float]:
        """Metric of the base by seed."""
        return self.results.values(())

    def effect(self, name: str) -> Effect:
        """Returns the effect of one component.

        Args:
            name: Name of the component.

        Raises:
            SpecError: There is no such component.
        """
        for effect in self.effects:
            if effect.name == name:
                return effect
        raise SpecError(
            f"the study has no component {name!r}",
            where="report",
            fix=f"one of {', '.join(one.name for one in self.effects)}",
        )

    def sentence(self) -> str:
        """Returns the base in one line."""
        values = list(self.base.values())
        if not values:
            return f"The base has no result: {self.results.problem(())}"
        spread = f" ± {stdev(values):.3g}" if len(values) > 1 else ""
        better = "larger" if self.results.sign > 0 else "smaller"
        return f"base: {self.metric} {fmean(values):.4g}{spread} over {plural(len(values), 'seed')}; {better} is better"

    # -- forms ---------------------------------------------------------------------------------------------------

    def rows(self) -> list[list[str]]:
        """Returns the table as texts, the largest differences first, steps of an elimination in their order."""
        ordered = sorted(
            self.effects,
            key=lambda one: (
                one.what == "step",
                0 if one.what == "step" or one.paired is None else -abs(one.paired.mean),
            ),
        )
        return [_row(effect) for effect in ordered]

    def markdown(self) -> str:
        """Returns the table in Markdown."""
        lines = [self.sentence(), "", _bar(HEADER), _bar(["---"] * len(HEADER)), *map(_bar, self.rows())]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """Returns one line per effect, with all numbers."""
        text = io.StringIO()
        data = [_flat(item) for item in self.json()["effects"]]  # type: ignore[union-attr, arg-type]
        writer = csv.DictWriter(text, list(data[0]) if data else ["name"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(data)
        return text.getvalue()

    def latex(self) -> str:
        """Returns the table in LaTeX, for the package booktabs."""
        columns = "ll" + "r" * 5 + "lrrr"
        body = [" & ".join(map(_escaped, row)) + r" \\" for row in self.rows()]
        head = " & ".join(map(_escaped, HEADER)) + r" \\"
        lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
        return "\n".join([f"% {self.sentence()}", *lines, r"\end{tabular}"]) + "\n"

    def json(self) -> dict[str, Json]:
        """Returns everything as JSON data."""
        return {
            "metric": self.metric,
            "direction": "max" if self.results.sign > 0 else "min",
            "strategy": self.strategy,
            "base": {str(seed): value for seed, value in self.base.items()},
            "effects": [_plain(effect) for effect in self.effects],
        }

    def figure(self) -> Figure:
        """Draws differences with their intervals."""
        from nasplug_ablation.report.picture import draw

        return draw(self)

    def write(self, *paths: str | Path) -> list[Path]:
        """Writes the report into files; their endings say in which form: .md, .csv, .json, .tex, .png, .svg, .pdf.

        Args:
            *paths: Files to write.

        Raises:
            SpecError: An ending is unknown.
        """
        files = [Path(path) for path in paths]
        for file in files:
            if file.suffix not in _FORMATS:
                raise SpecError(
                    f"the ending {file.suffix!r} is not known", where=str(file), fix=f"use {', '.join(_FORMATS)}"
                )
        for file in files:
            with complete_file(file, "the report") as unfinished:
                if file.suffix in (".png", ".svg", ".pdf"):
                    self.figure().savefig(unfinished, dpi=150, format=file.suffix[1:])
                else:
                    form = {".md": self.markdown, ".csv": self.csv, ".tex": self.latex}.get(file.suffix, self._text)
                    unfinished.write_text(form(), encoding="utf-8")
        return files

    def _text(self) -> str:
        return json.dumps(self.json(), indent=1) + "\n"

    def __str__(self) -> str:
        return self.markdown()


def _row(effect: Effect) -> list[str]:
    measured = effect.paired
    interval = "" if measured is None or measured.low is None else f"{measured.low:+.3g} to {measured.high:+.3g}"
    policies = sorted(set((effect.policies or {}).values()))
    return [
        effect.name,
        ", ".join(policies) + (f", {len(effect.renewed)} renewed" if effect.renewed else ""),
        "0" if measured is None else str(measured.count),
        "" if effect.mean is None else f"{effect.mean:.4g}" + ("" if effect.sd is None else f" ± {effect.sd:.2g}"),
        "" if measured is None else f"{measured.mean:+.3g}",
        interval,
        "" if effect.p is None else f"{effect.p:.2g}",
        effect.verdict if effect.verdict != "failed" else f"failed: {effect.problem[:80]}",
        "" if effect.more is None else str(effect.more),
        "" if effect.params is None else f"{effect.params:+,}",
        "" if effect.macs is None else f"{effect.macs:+,}",
    ]


def _plain(effect: Effect) -> dict[str, Json]:
    measured = effect.paired
    return {
        "name": effect.name,
        "what": effect.what,
        "verdict": effect.verdict,
        "seeds": 0 if measured is None else measured.count,
        "mean": effect.mean,
        "sd": effect.sd,
        "difference": None if measured is None else measured.mean,
        "difference_sd": None if measured is None else measured.sd,
        "low": None if measured is None else measured.low,
        "high": None if measured is None else measured.high,
        "p": None if measured is None else measured.p,
        "p_holm": effect.p,
        "more_seeds": effect.more,
        "params": effect.params,
        "macs": effect.macs,
        "policies": dict(effect.policies or {}),
        "renewed": list(effect.renewed),
        "values": {str(seed): value for seed, value in effect.values.items()},
        "problem": effect.problem,
    }


def _flat(item: dict[str, Json]) -> dict[str, Json]:
    """One line of CSV: nested data as JSON texts."""
    return {key: json.dumps(value) if isinstance(value, (dict, list)) else value for key, value in item.items()}


def _bar(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _escaped(text: str) -> str:
    for plain, escaped in (
        ("\\", r"\textbackslash "),
        ("&", r"\&"),
        ("%", r"\%"),
        ("_", r"\_"),
        ("#", r"\#"),
        ("$", r"\$"),
        ("±", r"$\pm$"),
        ("->", r"$\to$"),
        ("{", r"\{"),
        ("}", r"\}"),
    ):
        if plain not in ("{", "}"):
            text = text.replace(plain, escaped)
    return text

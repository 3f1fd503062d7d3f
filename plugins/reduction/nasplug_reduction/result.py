"""What a reduction ends with: the network, the table and the curve."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import StudyError
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Trial
from nasplug_reduction.planning import reduction_of
from nasplug_reduction.strategies.course import CANDIDATE, FOUND, ORIGINAL, UNIFORM
from nasplug_reduction.strategies.routine import ROLE

if TYPE_CHECKING:
    from torch import nn

    from nasplug.ledger.study import Study
    from nasplug_reduction.space import ReductionSpace


#: What is said where the table has two rows.
SAME = "The uniform network is what was chosen; no other one was trained to the end."


@dataclass(frozen=True)
class Row:
    """One network of the table.

    Attributes:
        name: Part of the network: original, uniform or found.
        trial: Number of its trial.
        values: Metric and costs by name.
    """

    name: str
    trial: int
    values: Mapping[str, float]


class Reduced:
    """The result of a reduction.

    Args:
        study: Study of the reduction.

    Raises:
        StudyError: It did not come to an end.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.metric = study.objectives[0]
        self.original = self._trial(ORIGINAL)
        uniform = self._trials(UNIFORM)
        found = self._trials(FOUND)
        self.uniform: Trial | None = uniform[-1] if uniform else None
        last = found or uniform
        if not last:
            failed = next((trial.failure for trial in study.trials if trial.failure is not None), None)
            raise StudyError(
                "the reduction has no result",
                where="reduction",
                why=None if failed is None else failed.message,
                fix="run it again with more trials or time; it goes on where it ended",
            )
        #: Trial of the network that the search found; the uniform one where nothing else was searched.
        self.found: Trial = last[-1]

    def _trials(self, role: str) -> list[Trial]:
        return [each for each in self.study.trials if each.proposal.info.get(ROLE) == role and each.state == "complete"]

    def _trial(self, role: str) -> Trial:
        found = self._trials(role)
        if found:
            return found[0]
        failed = [each for each in self.study.trials if each.proposal.info.get(ROLE) == role]
        failure = failed[0].failure if failed else None
        raise StudyError(
            f"the {role} network could not be scored",
            where="reduction",
            why=None if failure is None else failure.message,
            fix="make sure that the module trains and validates in a Trainer of its own",
        )

    @cached_property
    def network(self) -> nn.Module:
        """The found network with its trained weights, in inference mode."""
        return self.study.network(self.found)

    @property
    def space(self) -> ReductionSpace:
        """Space of the reduction."""
        return reduction_of(self.study.space)

    @property
    def rows(self) -> list[Row]:
        """Original, uniform and found network."""
        named = [(ORIGINAL, self.original), (UNIFORM, self.uniform), (FOUND, self.found)]
        names = [objective.name for objective in self.study.objectives]
        rows = []
        for name, trial in named:
            if trial is not None and not (name == FOUND and trial is self.uniform):
                more = [cost for cost in ("params", "macs") if cost in trial.costs and cost not in names]
                rows.append(Row(name, trial.number, {key: trial.values[key] for key in (*names, *more)}))
        return rows

    @property
    def is_uniform(self) -> bool:
        """Whether the uniform network is the result: the search was for it, or found nothing that it judged better."""
        return self.found is self.uniform

    @property
    def points(self) -> list[dict[str, Json]]:
        """Size and metric of every network that was trained, the smallest first: the curve of accuracy over size."""
        found: list[dict[str, Json]] = [
            {
                "trial": trial.number,
                "role": trial.proposal.info.get(ROLE, "search"),
                "params": trial.costs.get("params"),
                self.metric.name: trial.values.get(self.metric.name),
            }
            for trial in self.study.trials
            if trial.state == "complete" and trial.proposal.info.get(ROLE) != CANDIDATE
        ]
        return sorted(found, key=lambda point: (float(point["params"] or 0), int(point["trial"])))  # type: ignore[arg-type]

    def table(self) -> str:
        """The three networks as text, a row each; sizes with their share of the original."""
        columns = list(self.rows[0].values)
        cells = [["", *columns]]
        first = self.rows[0].values
        for row in self.rows:
            line = [row.name]
            for name in columns:
                value = row.values.get(name, float("nan"))
                text = f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
                share = name != self.metric.name and row.name != ORIGINAL and first[name]
                line.append(f"{text} ({value / first[name]:.1%})" if share else text)
            cells.append(line)
        widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
        return "\n".join(
            "  ".join(
                cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in cells
        )

    def __str__(self) -> str:
        return f"{self.table()}\n{SAME}" if self.is_uniform else self.table()

    def to_json(self) -> dict[str, Json]:
        """Table, curve, widths and operators as JSON data."""
        space, decided = self.space, self.space.decided(self.found.architecture)
        return {
            "metric": self.metric.name,
            "rows": [{"name": row.name, "trial": row.trial, **row.values} for row in self.rows],
            "curve": list(self.points),
            "widths": {name: [space.layout.groups[name].size, width] for name, width in decided.widths.items()},
            "dropped": list(decided.dropped),
            "kernels": dict(decided.kernels),
            "separable": list(decided.separable),
            "resolution": decided.resolution,
            "refused": {**space.refused, **space.substitutes.refused},
        }

    # -- files -------------------------------------------------------------------------------------------------------

    def write(self, folder: str | Path) -> Path:
        """Writes the network, the table as `result.json` and the curve as `curve.png`, if matplotlib is installed.

        Args:
            folder: Folder; made if it does not exist.
        """
        from nasplug.optional import available
        from nasplug_reduction.written import write

        folder = write(self.network, self.space.model, self.space.records(self.found.architecture), folder)
        (folder / "result.json").write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")
        if available("matplotlib"):
            self.curve(folder / "curve.png")
        return folder

    def curve(self, path: str | Path) -> Path:
        """Draws accuracy over size.

        Args:
            path: Picture to write, such as `curve.png`.
        """
        from nasplug_reduction.drawing import draw

        return draw(self.points, self.metric.name, Path(path))

    def onnx(self, path: str | Path) -> Path:
        """Writes the network as ONNX, compared with itself in onnxruntime; with preprocessing where the task knows it.

        Args:
            path: File to write.

        Raises:
            MissingExtraError: The extra `onnx` is not installed.
        """
        from nasplug.export.exporter import Found
        from nasplug.export.onnx import write_found

        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_found(Found.of(self.study, self.found, self.network), path)
        return path

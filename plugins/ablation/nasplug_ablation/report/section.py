"""The section of a study's HTML report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.report.section import Section
from nasplug_ablation.report.report import HEADER, AblationReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nasplug.ledger.study import Study


def sections(study: Study) -> Sequence[Section]:
    """Returns one section with the table and the picture.

    Args:
        study: Study of an ablation.
    """
    report = AblationReport(study)
    text = [
        f"{report.sentence()}. Differences are of equal seeds, what the metric does when the component goes; intervals "
        "are of paired t tests, and verdicts hold for all comparisons together (Holm)."
    ]
    return [Section("Ablation", text=text, header=list(HEADER), rows=report.rows(), pictures=[report.figure()])]

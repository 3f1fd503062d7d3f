"""What plugins add to the report of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the report.

    Attributes:
        title: Heading.
        text: Paragraphs of plain text; anything that looks like HTML is shown as it is written.
        header: Heads of the table's columns.
        rows: Rows of the table: texts and numbers.
        pictures: matplotlib figures.
    """

    title: str
    text: Sequence[str] = ()
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str | float | None]] = ()
    pictures: Sequence[Figure] = field(default_factory=tuple)

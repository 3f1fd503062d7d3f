"""Checksums of a study file: one for every row, and a seal over all rows of a table.

A checksum of its own does not tell that a row is missing, or that a page of the file is an older version of itself. The
seal does: it holds the number of rows and the combination of their checksums, and is written with them in the same
transaction, so that what is read is what one transaction left.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

#: Key of a row: the number of a trial, or a name.
Key: TypeAlias = int | str


def row_checksum(*fields: object) -> int:
    """Returns the checksum of a row, which tells accidents, not forgeries."""
    return zlib.crc32("\x1f".join(map(str, fields)).encode("utf-8", "surrogatepass"))


def row_checksums(rows: Sequence[tuple[object, ...]]) -> list[int]:
    """Returns the checksum that every row should have.

    Args:
        rows: Rows as they are stored, with a checksum as last field, which is not looked at.
    """
    if rows and len(rows[0]) == 4:  # trials, of which there are many
        return [
            zlib.crc32(f"{first}\x1f{second}\x1f{third}".encode("utf-8", "surrogatepass"))
            for first, second, third, _ in rows
        ]
    return [row_checksum(*row[:-1]) for row in rows]


@dataclass
class Seal:
    """The rows of a table as far as their checksums tell.

    Attributes:
        checksums: Checksum of every row by its key.
        digest: Combination of all checksums, which does not depend on their order.
    """

    checksums: dict[Key, int] = field(default_factory=dict)
    digest: int = 0

    @classmethod
    def of(cls, rows: Iterable[tuple[Key, int]]) -> Seal:
        """Returns the seal of rows, given by key and checksum."""
        seal = cls()
        seal.apply(dict(rows))
        return seal

    def changed(self, rows: Mapping[Key, int | None]) -> tuple[int, int]:
        """Returns number of rows and digest as they are after a change, which is not made yet.

        Args:
            rows: New checksum by key; None deletes the row.
        """
        count, digest = len(self.checksums), self.digest
        for key, new in rows.items():
            old = self.checksums.get(key)
            count += (new is not None) - (old is not None)
            digest ^= (old or 0) ^ (new or 0)
        return count, digest

    def apply(self, rows: Mapping[Key, int | None]) -> None:
        """Makes the change."""
        for key, new in rows.items():
            old = self.checksums.pop(key, 0) if new is None else self.checksums.get(key, 0)
            self.digest ^= old ^ (new or 0)
            if new is not None:
                self.checksums[key] = new


def seal_row(table: str, count: int, digest: int) -> tuple[str, int, int, int]:
    """Returns the row that keeps a seal: table, number of rows, digest, checksum of these three."""
    return table, count, digest, row_checksum(table, count, digest)

"""What a kind of file is, for those who damage it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

#: Bytes of a file that somebody made on purpose, by what is wrong with it; `None` stands for the good file.
Attacks = Callable[[bytes, Path], Iterable[tuple[str, bytes]]]


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        name: Name of the format, and of who reads it.
        file: Name of the file in its folder.
        write: Writes a good file, and what belongs beside it, into a folder.
        read: Reads the file; what it returns is not looked at.
        attacks: Files of a stranger.
        text: Whether damage is also done in words: `json`, `text` or nothing.
        refused: Whether the good file is refused as well: one that nobody trusts, or that holds no measurement.
        named: Whether refusals name the file; those of a specification name its key.
    """

    name: str
    file: str
    write: Callable[[Path], None]
    read: Callable[[Path], object]
    attacks: Attacks = lambda good, folder: ()
    text: str = ""
    refused: bool = False
    named: bool = True

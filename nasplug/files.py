"""Files that appear when they are complete; for plugins as well."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nasplug.contract.errors import StorageError


@contextmanager
def complete_file(path: str | Path, what: str, *, fix: str = "free disk space, or give another path") -> Iterator[Path]:
    """Gives a path beside the file to write to; what is written there takes its place at the end.

    An error leaves an earlier file of that name as it was, and nothing beside it.

    Example:
        >>> with complete_file("runs/table.json", "the table") as temporary:
        ...     temporary.write_text("{}")

    Args:
        path: Path of the file; its folder is made.
        what: Noun for what the file holds, for messages.
        fix: Advice for whoever reads that it cannot be written.

    Yields:
        The path to write to.

    Raises:
        StorageError: The system refuses to write.
    """
    path = Path(path)
    temporary = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StorageError(f"cannot write {what}", where=str(path), why=str(error), fix=fix) from error
        raise

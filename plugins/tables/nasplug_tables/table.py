"""A table of results as NumPy columns, read from and written to Parquet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import DataError, did_you_mean
from nasplug.contract.jsondata import parse_json
from nasplug.contract.wording import plural
from nasplug.files import complete_file
from nasplug.optional import require

Column = npt.NDArray[Any]
#: Columns that are not results.
STRUCTURE = frozenset({"num_vertices", "adj_bits", "ops", "index", "hash64", "params"})
_RESULT = re.compile(r"(?P<metric>[a-z][a-z0-9_]*?)_(?P<budget>\d+)(?:_seed(?P<seed>\d+))?")
_INFO = b"nasplug"


class Result(NamedTuple):
    """What a result column holds, as its name says: `METRIC_BUDGET` or `METRIC_BUDGET_seedN`.

    Attributes:
        metric: Metric, for example `val_acc`.
        budget: Epochs of the training.
        seed: Seed of one of several trainings; None for their mean.
    """

    metric: str
    budget: int
    seed: int | None

    @classmethod
    def of(cls, name: str) -> Result | None:
        """Reads a column's name; None if it holds no result."""
        match = _RESULT.fullmatch(name)
        if match is None or name in STRUCTURE:
            return None
        seed = match["seed"]
        return cls(match["metric"], int(match["budget"]), None if seed is None else int(seed))


@dataclass(frozen=True)
class Table:
    """Rows of structure and results.

    Attributes:
        columns: Arrays of one length; text as fixed-width bytes (dtype `S`) in UTF-8.
        info: Facts about the origin: `space`, `dataset`, `unit` (`fraction` or `percent`), `source`, `license`.
        path: The file it was read from.

    Raises:
        DataError: Columns of different lengths, or none.
    """

    columns: Mapping[str, Column]
    info: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) != 1:
            raise DataError("a table needs columns of one length", where=self.where, why=f"lengths: {lengths}")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def where(self) -> str:
        """How messages name the table."""
        return "table" if self.path is None else f"table {self.path}"

    def column(self, name: str) -> Column:
        """One column.

        Raises:
            DataError: There is none of this name.
        """
        if name not in self.columns:
            raise DataError(
                f"there is no column {name!r}",
                where=self.where,
                why=f"it has {', '.join(self.columns)}",
                fix=did_you_mean(name, self.columns),
            )
        return self.columns[name]

    def need(self, names: Iterable[str]) -> dict[str, Column]:
        """Several columns by name.

        Raises:
            DataError: One of them is missing.
        """
        return {name: self.column(name) for name in names}

    def results(self) -> dict[Result, str]:
        """The result columns, by what they hold."""
        return {result: name for name in self.columns if (result := Result.of(name)) is not None}

    @classmethod
    def read(cls, path: str | Path) -> Table:
        """Reads a Parquet file.

        Raises:
            DataError: The file is missing, truncated or no Parquet file, or holds nested columns.
            MissingExtraError: pyarrow is not installed.
        """
        require("pyarrow", extra="bench", distribution="nasplug-tables", purpose="read tables")
        import pyarrow as pa
        import pyarrow.parquet as parquet

        path = Path(path)
        if not path.is_file():
            raise DataError(
                "there is no such file", where=f"table {path}", fix="check the path; tables are not shipped"
            )
        try:
            found = parquet.read_table(path)
            metadata = (found.schema.metadata or {}).get(_INFO)
            info = parse_json(metadata) if metadata else {}
            if not isinstance(info, dict):
                raise ValueError("its facts are not a mapping")
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            raise DataError(
                "the file cannot be read as Parquet",
                where=f"table {path}",
                why=" ".join(str(error).split())[:300],
                fix="fetch or convert it again",
            ) from error
        columns = {name: as_numpy(found.column(name), path, name) for name in found.column_names}
        return cls(columns, info, path)

    def write(self, path: str | Path) -> Path:
        """Writes a Parquet file; an existing one is replaced when the new one is complete.

        Raises:
            MissingExtraError: pyarrow is not installed.
        """
        require("pyarrow", extra="bench", distribution="nasplug-tables", purpose="write tables")
        import pyarrow as pa
        import pyarrow.parquet as parquet

        path = Path(path)
        arrays = {
            name: pa.array(np.char.decode(column, "utf-8") if column.dtype.kind == "S" else column)
            for name, column in self.columns.items()
        }
        table = pa.table(arrays).replace_schema_metadata({_INFO: json.dumps(dict(self.info)).encode()})
        with complete_file(path, "the table") as temporary:
            parquet.write_table(table, temporary, compression="zstd")
        return path


def as_numpy(column: Any, path: Path, name: str) -> Column:
    """A column of Arrow as an array; text as bytes in UTF-8.

    Args:
        column: Arrow's array, chunked or not.
        path: File that it comes from, for messages.
        name: Name of the column.

    Raises:
        DataError: It holds something else than numbers and text, or whole numbers with gaps.
    """
    import pyarrow as pa

    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        # Few distinct texts: decode each once.
        whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        coded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
        if isinstance(coded, pa.ChunkedArray):
            coded = coded.combine_chunks()
        texts = np.char.encode(np.array([text or "" for text in coded.dictionary.to_pylist()] or [""]), "utf-8")
        decoded: Column = texts[coded.indices.to_numpy(zero_copy_only=False)]
        return decoded
    if pa.types.is_null(kind):  # a column of empty cells
        return np.full(len(column), np.nan)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise DataError(
            f"column {name!r} holds {kind}", where=f"table {path}", fix="use numbers and text, one value per cell"
        )
    if column.null_count and not pa.types.is_floating(kind):
        raise DataError(
            f"column {name!r} has {plural(column.null_count, 'empty cell')}",
            where=f"table {path}",
            fix="leave such rows out, or fill the cells",
        )
    found: Column = column.to_numpy()
    return found

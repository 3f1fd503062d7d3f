"""JSON data as a type: what specifications, study files and records of plugins are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    #: A value that JSON can say. Sequences and mappings are read-only, so that a `list[int]` is one as well.
    Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
else:
    Json = Any  # jsonargparse and msgspec read annotations while running, and neither follows a recursive alias

#: A JSON object.
JsonObject: TypeAlias = Mapping[str, Json]


def parse_json(text: str | bytes) -> Any:
    """Returns the JSON data in a text that somebody else may have written.

    Raises:
        ValueError: The text is not JSON, or its brackets are nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("brackets are nested too deeply") from error

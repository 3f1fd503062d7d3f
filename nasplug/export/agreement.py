"""What every kind of file has in common: what is said when it cannot be written, or computes something else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import NasplugError, TaskError
from nasplug.export.description import facts

if TYPE_CHECKING:
    from torch import Tensor

    from nasplug.export.exporter import Found

#: Largest difference that is allowed between the outputs of the two, relative to the largest output.
TOLERANCE = 1e-3


@contextmanager
def writing(what: str, path: Path) -> Iterator[None]:
    """Turns whatever an exporter raises into one error.

    Args:
        what: Kind of the file with its article, such as `ONNX`.
        path: File to write; its folder is made.

    Raises:
        TaskError: The exporter refuses, in whatever way.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except Exception as error:
        raise TaskError(
            f"the network cannot be written as {what}",
            where=str(path),
            why=" ".join(f"{type(error).__name__}: {error}".split())[:500],
            fix="its weights and its architecture can be saved without it",
        ) from error


def largest_difference(answer: Tensor, expected: Tensor) -> float:
    """Returns the largest difference between two tensors of one shape, relative to the largest value expected.

    Args:
        answer: Outputs of what was written.
        expected: Outputs of the network.
    """
    largest = expected.double().abs().max().clamp_min(1e-12)
    return float((answer.double() - expected.double()).abs().max() / largest)


def check_difference(found: float, what: str, path: Path) -> float:
    """Returns a difference that is small enough.

    Args:
        found: Result of `largest_difference`, the largest of all that were tried.
        what: Name of what was written, such as `ONNX network`.
        path: The file.

    Raises:
        NasplugError: The difference is larger than `TOLERANCE`, or not a number.
    """
    if not found <= TOLERANCE:
        raise NasplugError(
            f"the {what} differs from the trained one by {found:.2g} of the largest output",
            where=str(path),
            why=f"up to {TOLERANCE:g} is allowed",
            fix="do not use this file; report the architecture to the plugin that builds it",
        )
    return found


def described(found: Found, *, raw: bool) -> str:
    """Returns what a file holds beside the network, as JSON: preprocessing, classes, and whether it takes raw data.

    Args:
        found: The network.
        raw: Whether the file was to take raw data, where the task says how.
    """
    from nasplug.export.raw import is_raw

    return json.dumps({**facts(found), "raw": raw and is_raw(found)})

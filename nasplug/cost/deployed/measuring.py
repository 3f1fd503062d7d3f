"""Asks a program of its own how fast a file is: the file on its stdin, costs as JSON on its stdout."""

from __future__ import annotations

import json
import math
import os
import shlex
import signal
import subprocess
from collections.abc import Sequence

import numpy as np

from nasplug.contract.errors import SpecError, TaskError

#: Characters of the program's own words that a message repeats.
_SAID = 800


def ask(command: Sequence[str], content: bytes, *, where: str, timeout: float) -> dict[str, float]:
    """Hands a file to a program and reads what it measured.

    The program reads the file from stdin until its end, and prints one JSON object of numbers on stdout; if it prints
    more than that, the last line counts. A list of numbers stands for repeated measurements: `latency_s` becomes its
    median, beside `latency_p10_s` and `latency_p90_s`. What it says on stderr is shown if it fails. It is ended with
    everything that it started once its time is over.

    Args:
        command: Program and its arguments.
        content: File to measure.
        where: Name of the target, for messages.
        timeout: Seconds that it may take.

    Returns:
        Costs by key.

    Raises:
        SpecError: The program is missing, or cannot be started.
        TaskError: It failed, took too long, or answered something else.
    """
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise SpecError(
            f"cannot start {command[0]!r}",
            where=where,
            why=error.strerror or str(error),
            fix="name a program that exists",
        ) from error
    try:
        out, said = process.communicate(content, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        _end(process)
        raise TaskError(
            f"the program has not answered after {timeout:g} s",
            where=where,
            why=_shown(command),
            fix="measure fewer repeats, or give it more time",
        ) from error
    except BaseException:
        _end(process)
        raise
    if process.returncode:
        raise TaskError(
            f"the program ended with {_ending(process.returncode)}",
            where=where,
            why=_tail(said or out) or "it said nothing on stderr",
            fix=f"try it by hand: {_shown(command)} < FILE",
        )
    return costs_of(out.decode(errors="replace"), where)


def costs_of(text: str, where: str) -> dict[str, float]:
    """Reads costs from what a program printed.

    Args:
        text: Output of the program.
        where: Name of the target, for messages.

    Raises:
        TaskError: It is not a JSON object of finite numbers and lists of them.
    """
    found: object = None
    for part in (text, text.strip().rpartition("\n")[2]):
        try:
            found = json.loads(part)
        except ValueError:
            continue
        break
    if not isinstance(found, dict) or not found:
        raise TaskError(
            "the program did not print a JSON object",
            where=where,
            why=f"it printed {_tail(text.encode()) or 'nothing'}",
            fix='print one line such as {"latency_s": [0.0021, 0.0022], "peak_memory_bytes": 1048576}',
        )
    costs: dict[str, float] = {}
    for key, value in found.items():
        numbers = value if isinstance(value, list) else [value]
        if not numbers or not all(_is_number(number) for number in numbers):
            raise TaskError(
                f"{key!r} is {json.dumps(value)[:80]}, not a finite number or a list of them",
                where=where,
                fix='print numbers: {"latency_s": 0.0021}',
            )
        if isinstance(value, list):
            p10, median, p90 = np.percentile(numbers, (10, 50, 90)).tolist()
            costs |= {key: median, spread(key, "p10"): p10, spread(key, "p90"): p90}
        else:
            costs[key] = float(value)
    return costs


def spread(key: str, percentile: str) -> str:
    """Returns the key of a percentile: `latency_p90_s` for `latency_s`.

    Args:
        key: Key of the cost, its unit last.
        percentile: Name of the percentile, such as `p90`.
    """
    name, _, unit = key.rpartition("_")
    return f"{name}_{percentile}_{unit}" if name else f"{key}_{percentile}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a program and all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (AttributeError, ProcessLookupError, PermissionError):  # no process groups there, or gone already
        process.kill()
    process.communicate()


def _ending(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"signal {-code}"


def _shown(command: Sequence[str]) -> str:
    return shlex.join(command)


def _tail(said: bytes) -> str:
    text = said.decode(errors="replace").strip()
    return text if len(text) <= _SAID else f"...{text[-_SAID:]}"

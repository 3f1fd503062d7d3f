"""Trials by a program of one's own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import nasplug as nas
from nasplug.contract.errors import SpecError, TrialError
from nasplug.contract.records import Direction


class Template:
    """Gives a program the architecture, its seed and its budget as JSON, and takes metrics as JSON from its output.

    The program reads one object with `architecture`, `key`, `seed` and `epochs` from its standard input, and writes one
    object of numbers, such as `{"val_acc": 0.9}`, as the last line of its standard output.

    Args:
        command: Program and its arguments.
        objectives: Metrics to optimise, with their direction, `max` or `min`.
        seconds: Time after which a program is ended and its trial fails.

    Raises:
        SpecError: No command, or no objectives.
    """

    def __init__(
        self, command: Sequence[str], objectives: Mapping[str, Direction] | None = None, seconds: float | None = None
    ) -> None:
        if not command:
            raise SpecError("the command is empty", where="template", fix="command: [python, train.py]")
        self.command, self.seconds = tuple(command), seconds
        self.objectives: dict[str, Direction] = dict(objectives or {"val_acc": "max"})

    @classmethod
    def nasplug_examples(cls) -> list[Mapping[str, Any]]:
        """What `nasplug test-plugin` tests it with: a program that counts the letters of the key."""
        program = (
            "import json, sys; given = json.load(sys.stdin); print(json.dumps({'val_acc': len(given['key']) / 100}))"
        )
        return [{"command": ["python3", "-c", program]}]

    @nas.hookimpl
    def evaluate(self, run: nas.TrialRun) -> nas.Evaluation:
        """Runs the program once.

        Raises:
            TrialError: It fails, takes too long, or does not answer with metrics.
        """
        trial = run.trial
        given = {"architecture": trial.architecture.to_json(), "key": trial.architecture.key, "seed": trial.seed}
        text = json.dumps({**given, "epochs": run.budget.epochs})
        try:
            done = subprocess.run(self.command, input=text, capture_output=True, text=True, timeout=self.seconds)
        except subprocess.TimeoutExpired as error:
            raise TrialError(
                "timeout", f"the program took longer than {self.seconds} s", where=self.command[0]
            ) from error
        except OSError as error:
            raise TrialError("exception", f"the program does not start: {error}", where=self.command[0]) from error
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or [""])[-1]
            raise TrialError("exception", f"the program ended with {done.returncode}: {last}", where=self.command[0])
        return nas.Evaluation(self._metrics(done.stdout))

    def _metrics(self, output: str) -> dict[str, float]:
        line = (output.strip().splitlines() or [""])[-1]
        try:
            found = {str(name): float(value) for name, value in json.loads(line).items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise TrialError(
                "exception", f"the last line is not metrics: {line[:100]!r}", where=self.command[0]
            ) from error
        missing = sorted(set(self.objectives) - set(found))
        if missing:
            raise TrialError("exception", f"the program did not answer {missing[0]!r}", where=self.command[0])
        return found

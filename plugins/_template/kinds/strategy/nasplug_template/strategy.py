"""Simulated annealing."""

from __future__ import annotations

import math
from typing import Any

import nasplug as nas
from nasplug.contract.errors import SpecError


class Template:
    """Simulated annealing: mutates the current architecture, and sometimes goes on from a worse one.

    A result becomes the current one if it is better, and otherwise with probability exp(-loss / T), where T is
    `temperature * cooling**k` after k trials. Failed, pruned and infeasible trials are never the current one; with
    several objectives the first one counts.

    Source: Kirkpatrick, Gelatt and Vecchi, "Optimization by Simulated Annealing", Science 220, 1983.

    Args:
        temperature: T at the first trial, in units of the main objective.
        cooling: Factor of T per trial, in (0, 1].

    Raises:
        SpecError: An argument is out of range.
    """

    requires = (nas.Mutates,)

    def __init__(self, temperature: float = 1.0, cooling: float = 0.9) -> None:
        if temperature <= 0 or not 0 < cooling <= 1:
            raise SpecError(
                f"expected temperature > 0 and 0 < cooling <= 1, got {temperature} and {cooling}", where="template"
            )
        self.temperature, self.cooling = temperature, cooling
        self._current: nas.Architecture | None = None
        self._score = 0.0
        self._observed = 0

    @nas.hookimpl
    def propose(self, study: nas.StudyView, count: int) -> list[nas.Proposal]:
        """Proposes mutants of the current architecture, or random architectures before the first result."""
        proposals = []
        for number in range(study.proposed, study.proposed + count):
            # A stream per trial: the same number is drawn whether one proposal is wanted or ten.
            rng = study.rng("template.propose", number)
            if self._current is None:
                architecture = study.space.sample(rng)
            else:
                space: Any = study.space  # nasplug has checked that it fulfils `requires`
                architecture = space.mutate(self._current, rng)
            proposals.append(study.proposal(architecture))
        return proposals

    @nas.hookimpl
    def observe(self, study: nas.StudyView, trial: nas.Trial) -> None:
        """Accepts or rejects a result. Called for every trial, in order, also for failed ones."""
        temperature = self.temperature * self.cooling**self._observed
        self._observed += 1
        score = study.score(trial)  # larger is better, whatever the direction of the objective
        if math.isinf(score):
            return
        gain = score - self._score
        draw = study.rng("template.accept", trial.number).random()
        if self._current is None or gain >= 0 or draw < math.exp(gain / max(temperature, 1e-12)):
            self._current, self._score = trial.architecture, score

    def state_dict(self) -> dict[str, Any]:
        """Returns everything that changes, as JSON."""
        current = None if self._current is None else self._current.to_json()
        return {"current": current, "score": self._score, "observed": self._observed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        current = state["current"]
        self._current = None if current is None else nas.Architecture.from_json(current)
        self._score, self._observed = state["score"], state["observed"]

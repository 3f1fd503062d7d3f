"""Hosts a strategy whose proposals are not all carried out."""

from __future__ import annotations

from collections import deque
from typing import Any

from nasplug.contract.records import Proposal, Trial
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.nested import NestedStudy
from nasplug.ledger.view import StudyView


class Host:
    """Runs a strategy in a study of its own, in which proposals may be dropped.

    A dropped proposal becomes a trial that was pruned, so that strategies which work in generations get an answer to
    each, and none is offered twice. The strategy is told of trials strictly in the order of its own numbers. Trials of
    others, such as enqueued ones, are shown to it as they are.

    Args:
        strategy: The strategy.
        label: Key of `proposal.info` that marks trials which this host gave out.

    Raises:
        PluginError: It has no `propose`.
    """

    def __init__(self, strategy: Any, label: str) -> None:
        self._nested, self._label = NestedStudy(strategy), label
        #: Chosen trials that the outer study has not numbered yet, dropped ones that must still wait for their turn,
        #: and the inner number of every outer trial.
        self._chosen: deque[Trial] = deque()
        self._dropped: dict[int, Trial] = {}
        self._numbers: dict[int, int] = {}
        self._next_outer = 0

    def ask(self, outer: StudyView, count: int) -> list[Proposal]:
        """Asks for up to `count` candidates. Every one must then be chosen or dropped with `settle`.

        Raises:
            PluginError: The strategy answers too much, or decides budgets and parents by itself.
        """
        self._follow(outer)
        return self._nested.propose(
            count, fix="put the screening inside of it: successive_halving(inner=infonas.screen(...))"
        )

    def settle(self, outer: StudyView, proposals: list[Proposal], chosen: int) -> None:
        """Drops all proposals but one, which the caller proposes to the outer study."""
        inner = self._follow(outer)
        for position, proposal in enumerate(proposals):
            if position != chosen:
                trial = inner.propose(proposal)
                self._dropped[trial.number] = trial.with_(state="pruned", reason="screened out")
        self._chosen.append(inner.propose(proposals[chosen]))
        self._flush(inner)

    def observe(self, outer: StudyView, trial: Trial) -> None:
        """Tells the strategy of a finished trial of the outer study."""
        inner = self._follow(outer)
        number = self._numbers[trial.number]
        source = None if trial.copied_from is None else self._numbers.get(trial.copied_from)
        proposal = inner.view.trial(number).proposal
        self._nested.observe(trial.with_(number=number, proposal=proposal, copied_from=source))
        self._flush(inner)

    def _flush(self, inner: Ledger) -> None:
        while len(inner.view.trials) in self._dropped:
            self._nested.observe(self._dropped.pop(len(inner.view.trials)))

    def _follow(self, outer: StudyView) -> Ledger:
        """The inner ledger, in which everything that the outer study numbered has a number, too."""
        inner = self._nested.open(outer)
        while self._next_outer < outer.proposed:
            trial = outer.trial(self._next_outer)
            if self._label in trial.proposal.info:
                self._numbers[trial.number] = self._chosen.popleft().number
            else:
                number = self._numbers[trial.number] = inner.view.proposed
                inner.propose(trial.with_(number=number, copied_from=None, state="waiting"))
            self._next_outer += 1
        return inner

"""Hosts a strategy whose proposals are not all carried out."""

from __future__ import annotations

from collections import deque
from typing import Any

import pluggy

from nasplug.contract.errors import PluginError
from nasplug.contract.hookspecs import PROJECT, StudySpecs
from nasplug.contract.records import Proposal, Trial
from nasplug.ledger.study import Study


class InnerStudy(Study):
    """The study that a hosted strategy sees: its own trials, numbered without gaps."""

    def admit(self, trial: Trial) -> None:
        """Takes a proposed trial."""
        self._propose(trial)

    def finish(self, trial: Trial) -> None:
        """Takes a finished trial."""
        self._observe(trial)


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
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(StudySpecs)
        manager.register(strategy, name="inner")
        if not manager.hook.propose.get_hookimpls():
            raise PluginError("the inner strategy has no `propose` hook", where=type(strategy).__name__)
        self._hook, self._name, self._label = manager.hook, type(strategy).__name__, label
        self._study: InnerStudy | None = None
        #: Chosen trials that the outer study has not numbered yet, dropped ones that must still wait for their turn,
        #: and the inner number of every outer trial.
        self._chosen: deque[Trial] = deque()
        self._dropped: dict[int, Trial] = {}
        self._numbers: dict[int, int] = {}
        self._next_outer = 0

    def ask(self, outer: Study, count: int) -> list[Proposal]:
        """Asks for up to `count` candidates. Every one must then be chosen or dropped with :meth:`settle`.

        Raises:
            PluginError: The strategy answers too much, or decides budgets and parents by itself.
        """
        inner = self._follow(outer)
        proposals: list[Proposal] = self._hook.propose(study=inner, count=count) or []
        where = f"inner strategy {self._name}"
        if len(proposals) > count:
            raise PluginError(f"proposed {len(proposals)} trials when {count} were wanted", where=where)
        if any(proposal.budget is not None or proposal.parent is not None for proposal in proposals):
            raise PluginError(
                "proposes epochs or a parent, and only some of its proposals will be carried out",
                where=where,
                fix="put the screening inside of it: successive_halving(inner=infonas.screen(...))",
            )
        return proposals

    def settle(self, outer: Study, proposals: list[Proposal], chosen: int) -> None:
        """Drops all proposals but one, which the caller proposes to the outer study."""
        inner = self._follow(outer)
        for position, proposal in enumerate(proposals):
            if position != chosen:
                trial = Trial(inner.proposed, proposal)
                inner.admit(trial)
                self._dropped[trial.number] = trial.with_(state="pruned", reason="screened out")
        trial = Trial(inner.proposed, proposals[chosen])
        inner.admit(trial)
        self._chosen.append(trial)
        self._flush(inner)

    def observe(self, outer: Study, trial: Trial) -> None:
        """Tells the strategy of a finished trial of the outer study."""
        inner = self._follow(outer)
        number = self._numbers[trial.number]
        source = None if trial.copied_from is None else self._numbers.get(trial.copied_from)
        self._tell(inner, trial.with_(number=number, proposal=inner.trial(number).proposal, copied_from=source))
        self._flush(inner)

    def _tell(self, inner: InnerStudy, trial: Trial) -> None:
        inner.finish(trial)
        self._hook.observe(study=inner, trial=trial)

    def _flush(self, inner: InnerStudy) -> None:
        while len(inner.trials) in self._dropped:
            self._tell(inner, self._dropped.pop(len(inner.trials)))

    def _follow(self, outer: Study) -> InnerStudy:
        if self._study is None:
            self._study = InnerStudy(
                space=outer.space,
                task=outer.task,
                objectives=outer.objectives,
                constraints=outer.constraints,
                seed=outer.seed,
                budget=outer.budget,
                target=outer.target,
                folder=outer.folder,
                meta=outer.meta,
            )
        inner = self._study
        while self._next_outer < outer.proposed:
            trial = outer.trial(self._next_outer)
            if self._label in trial.proposal.info:
                self._numbers[trial.number] = self._chosen.popleft().number
            else:
                self._numbers[trial.number] = inner.proposed
                inner.admit(trial.with_(number=inner.proposed, copied_from=None, state="waiting"))
            self._next_outer += 1
        return inner

"""A strategy inside another one: it sees a study of its own, in which nothing but its own search happens."""

from __future__ import annotations

from typing import Any

import pluggy

from nasplug.contract.errors import PluginError
from nasplug.contract.hookspecs import PROJECT, StudySpecs
from nasplug.contract.records import Budget, Proposal, Trial
from nasplug.ledger.study import Study


class InnerSearch:
    """Runs a nested strategy on a part of the trials.

    The part is renumbered from 0 without gaps, so that `study.proposed`, `study.pending` and the numbers of trials
    mean to the inner strategy what they mean in a search of its own: `random` inside draws what `random` outside
    draws. Everything is derived from the outer study, so that only the state of the strategy itself needs saving.

    Args:
        strategy: The inner strategy.
        label: Key of `proposal.info` that the outer strategy adds; 0 or nothing there means a trial of the part.
        hidden: Further keys it adds. The inner strategy sees none of them.

    Raises:
        PluginError: `strategy` is none.
    """

    def __init__(self, strategy: Any, *, label: str, hidden: tuple[str, ...] = ()) -> None:
        self.strategy, self._label, self._hidden = strategy, label, {label, *hidden}
        # A manager of its own gives the hooks their usual manners: a plugin may take fewer arguments than offered.
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(StudySpecs)
        manager.register(strategy, name="inner")
        if not manager.hook.propose.get_hookimpls():
            raise PluginError("the inner strategy has no `propose` hook", where=type(strategy).__name__)
        self._hook = manager.hook
        self.forget()

    @property
    def saves(self) -> bool:
        """Whether the strategy can save its state."""
        return all(hasattr(self.strategy, name) for name in ("state_dict", "load_state_dict"))

    def forget(self) -> None:
        """Reads the outer study anew at the next call."""
        self._study: Study | None = None
        self._read = 0
        self._numbers: dict[int, int] = {}

    def is_part(self, trial: Trial) -> bool:
        """Whether the inner strategy sees a trial: those it proposed, and those that nobody here proposed."""
        return bool(trial.proposal.info.get(self._label, 0) == 0)

    def propose(self, study: Study, count: int, budget: Budget) -> list[Proposal]:
        """Asks the inner strategy.

        Args:
            study: The outer study.
            count: How many proposals are wanted at most.
            budget: What one trial of the inner search may cost.

        Raises:
            PluginError: The inner strategy answers too much, or decides budgets and parents by itself.
        """
        inner = self._follow(study, budget)
        proposals: list[Proposal] = self._hook.propose(study=inner, count=count) or []
        where = f"inner strategy {type(self.strategy).__name__}"
        if len(proposals) > count:
            raise PluginError(f"proposed {len(proposals)} trials when {count} were wanted", where=where)
        if any(proposal.budget is not None or proposal.parent is not None for proposal in proposals):
            raise PluginError(
                "proposes epochs or a parent, which the strategy around it decides",
                where=where,
                fix="use it on its own, or another one inside",
            )
        return proposals

    def observe(self, study: Study, trial: Trial, budget: Budget) -> None:
        """Tells the inner strategy of a finished trial, if it is one of its part."""
        inner = self._follow(study, budget)
        if self.is_part(trial):
            self._hook.observe(study=inner, trial=inner.trial(self._numbers[trial.number]))

    def waiting(self, study: Study) -> bool:
        """Whether trials of the inner search are still running."""
        return any(self.is_part(trial) for trial in study.pending)

    def _follow(self, outer: Study, budget: Budget) -> Study:
        """The inner study, brought up to date with the outer one. Calls no hook."""
        if self._study is None:
            self._study = Study(
                space=outer.space,
                task=outer.task,
                objectives=outer.objectives,
                constraints=outer.constraints,
                seed=outer.seed,
                budget=budget,
                target=outer.target,
                folder=outer.folder,
                meta=outer.meta,
            )
        inner = self._study
        # Trials finish in the order of their numbers, so the finished ones take their inner numbers first.
        for trial in outer.trials[self._read :]:
            if self.is_part(trial):
                inner._observe(self._translate(trial))
        self._read = len(outer.trials)
        for trial in outer.pending:
            if self.is_part(trial) and trial.number not in self._numbers:
                inner._propose(self._translate(trial))
        return inner

    def _translate(self, trial: Trial) -> Trial:
        number = self._numbers.setdefault(trial.number, len(self._numbers))
        proposal = trial.proposal
        if self._label in proposal.info:
            info = {key: value for key, value in proposal.info.items() if key not in self._hidden}
            proposal = Proposal(proposal.architecture, proposal.hyperparameters, info=info)
        source = None if trial.copied_from is None else self._numbers.get(trial.copied_from)
        return trial.with_(number=number, proposal=proposal, copied_from=source)

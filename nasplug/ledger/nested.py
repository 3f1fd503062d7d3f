"""A strategy inside another one: it sees a study of its own, in which nothing but its own search happens."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from nasplug.contract.errors import PluginError
from nasplug.contract.protocols import Strategy
from nasplug.contract.records import Budget, Proposal, Trial
from nasplug.contract.wording import plural
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.view import StudyView
from nasplug.plugins.manager import Manager


class NestedStudy:
    """The study of a strategy inside another one, and the strategy itself.

    The inner study has the setting, the random streams and the work of the outer one, and trials of its own, numbered
    from 0 without gaps: `random` inside draws what `random` outside draws.

    Args:
        strategy: The inner strategy.

    Raises:
        PluginError: `strategy` has no hook `propose`.
    """

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self.name = type(strategy).__name__
        # A manager of its own gives the hooks their usual manners: a plugin may take fewer arguments than offered.
        manager = Manager([("inner", strategy)])
        if not manager.who("propose"):
            raise PluginError("the inner strategy has no `propose` hook", where=self.name)
        self._hook = manager.hook
        self._ledger: Ledger | None = None

    @property
    def saves(self) -> bool:
        """Whether the strategy can save its state."""
        return all(hasattr(self.strategy, name) for name in ("state_dict", "load_state_dict"))

    @property
    def ledger(self) -> Ledger:
        """The inner ledger; `open` it first."""
        assert self._ledger is not None
        return self._ledger

    @property
    def waiting(self) -> bool:
        """Whether work was asked for that is not done: an empty answer is then a pause, and not the end."""
        return self._ledger is not None and bool(self._ledger.requested)

    def open(self, outer: StudyView, budget: Budget | None = None) -> Ledger:
        """Returns the inner ledger, made from the outer study at the first call.

        Args:
            outer: The outer study.
            budget: Budget of one trial of the inner search; default: that of the outer study.
        """
        if self._ledger is None:
            self._ledger = outer.nested(replace(outer.setting, budget=budget or outer.budget))
        return self._ledger

    def forget(self) -> None:
        """Begins anew at the next call of `open`."""
        self._ledger = None

    def propose(self, count: int, *, fix: str) -> list[Proposal]:
        """Asks the inner strategy for architectures; takes down nothing.

        Args:
            count: Largest number of proposals wanted.
            fix: Remedy for a strategy that decides budgets or parents itself.

        Raises:
            PluginError: The inner strategy answers too much, or decides budgets and parents by itself.
        """
        proposals: list[Proposal] = self._hook.propose(study=self.ledger.view, count=count) or []
        where = f"inner strategy {self.name}"
        if len(proposals) > count:
            raise PluginError(
                f"proposed {plural(len(proposals), 'trial')} when at most {count} were wanted", where=where
            )
        if any(proposal.budget is not None or proposal.inherits is not None for proposal in proposals):
            raise PluginError("proposes epochs or a parent, which the strategy around it decides", where=where, fix=fix)
        return proposals

    def observe(self, trial: Trial) -> None:
        """Takes down a finished trial of the inner study, and tells the strategy."""
        self.ledger.observe(trial)
        self._hook.observe(study=self.ledger.view, trial=trial)


class InnerSearch:
    """Runs a nested strategy on a part of the trials of an outer study.

    Everything is derived from the outer study, so that only the state of the strategy itself needs saving.

    Args:
        strategy: The inner strategy.
        label: Key of `proposal.info` that the outer strategy adds; 0 or nothing there means a trial of the part.
        hidden: Further keys it adds. The inner strategy sees none of them.

    Raises:
        PluginError: `strategy` has no hook `propose`.
    """

    def __init__(self, strategy: Strategy, *, label: str, hidden: tuple[str, ...] = ()) -> None:
        self._nested = NestedStudy(strategy)
        self._label, self._hidden = label, {label, *hidden}
        self.forget()

    @property
    def saves(self) -> bool:
        """Whether the strategy can save its state."""
        return self._nested.saves

    def forget(self) -> None:
        """Reads the outer study anew at the next call."""
        self._nested.forget()
        self._read = 0
        self._numbers: dict[int, int] = {}

    def is_part(self, trial: Trial) -> bool:
        """Returns whether the inner strategy sees a trial: those it proposed, and those that nobody here proposed."""
        return bool(trial.proposal.info.get(self._label, 0) == 0)

    def propose(self, study: StudyView, count: int, budget: Budget) -> list[Proposal]:
        """Asks the inner strategy.

        Args:
            study: The outer study.
            count: Largest number of proposals wanted.
            budget: Budget of one trial of the inner search.

        Raises:
            PluginError: The inner strategy answers too much, or decides budgets and parents by itself.
        """
        self._follow(study, budget)
        return self._nested.propose(count, fix="use it on its own, or another one inside")

    def observe(self, study: StudyView, trial: Trial, budget: Budget) -> None:
        """Tells the inner strategy of a finished trial, if it is one of its part."""
        ledger = self._follow(study, budget, but=trial)
        if self.is_part(trial):
            self._nested.observe(self._translate(trial))
            self._read = max(self._read, len(study.trials))
        assert ledger is self._nested.ledger

    def waiting(self, study: StudyView) -> bool:
        """Returns whether the inner search waits: for its trials, or for work."""
        return self._nested.waiting or any(self.is_part(trial) for trial in study.pending)

    def _follow(self, outer: StudyView, budget: Budget, *, but: Trial | None = None) -> Ledger:
        """The inner ledger, brought up to date with the outer study, but for one trial. Calls no hook."""
        ledger = self._nested.open(outer, budget)
        # Trials finish in the order of their numbers, so the finished ones take their inner numbers first.
        for trial in outer.trials[self._read :]:
            if self.is_part(trial):
                inner = self._translate(trial)
                if but is None or trial.number != but.number:
                    ledger.observe(inner)
        self._read = len(outer.trials)
        for trial in outer.pending:
            if self.is_part(trial) and trial.number not in self._numbers:
                ledger.propose(self._translate(trial))
        return ledger

    def _translate(self, trial: Trial) -> Trial:
        number = self._numbers.setdefault(trial.number, len(self._numbers))
        proposal = trial.proposal
        if self._label in proposal.info:
            info = {key: value for key, value in proposal.info.items() if key not in self._hidden}
            proposal = msgspec.structs.replace(proposal, budget=None, inherits=None, info=info)
        source = None if trial.copied_from is None else self._numbers.get(trial.copied_from)
        return trial.with_(number=number, proposal=proposal, copied_from=source)

"""Hyperband."""

from __future__ import annotations

import math

from nasplug.builtin.ranking import Spread
from nasplug.builtin.successive_halving import BRACKET, RUNG, SuccessiveHalving
from nasplug.contract.protocols import Strategy
from nasplug.ledger.nested import InnerSearch

#: Key of `proposal.info`: rungs that a trial has climbed in its bracket.
STEP = "step"


class Hyperband(SuccessiveHalving):
    """Brackets of successive halving that start on different rungs, one after the other.

    Source: Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar, "Hyperband: A Novel Bandit-Based Approach to
    Hyperparameter Optimization", JMLR 18, 2018, algorithm 1. With R rungs, the first bracket starts many architectures
    on the lowest one, the next one fewer on the second, and the last one R of them on the highest, without halving;
    then the first follows again. Halving trusts that short trainings rank as long ones do; every bracket trusts that
    less.

    The inner strategy sees every architecture once, with the result of the rung that its bracket starts on: for a
    strategy that learns from results, take `successive_halving` or `asha`, where all of these come from one rung.

    Args:
        inner: Gives the architectures; default: `random`.
        eta: One of `eta` is promoted.
        min_epochs: Epochs of the lowest rung.
        max_epochs: Epochs of the highest rung; default: the epochs of the run.
        spread: Order inside a front of several objectives: `crowding` or `epsilon_net`.

    Raises:
        SpecError: Numbers that make no two rungs, or an inner strategy that continues trainings itself.
    """

    def __init__(
        self,
        inner: Strategy | None = None,
        eta: int = 3,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        spread: Spread = "crowding",
    ) -> None:
        super().__init__(inner, eta, min_epochs, max_epochs, mode="sync", spread=spread)

    def _search_of(self, strategy: Strategy) -> InnerSearch:
        return InnerSearch(strategy, label=STEP, hidden=(RUNG, BRACKET))

    def _lowest(self, bracket: int) -> int:
        return bracket % len(self._epochs)

    def _size_of(self, bracket: int) -> int:
        halvings = len(self._epochs) - 1 - self._lowest(bracket)
        size: int = math.ceil(len(self._epochs) / (halvings + 1) * self.eta**halvings)
        return size

    def _label(self, rung: int, bracket: int) -> dict[str, int]:
        return {RUNG: rung, BRACKET: bracket, STEP: rung - self._lowest(bracket)}

"""Search by an ensemble of predictors: BANANAS, and NPENAS by its arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args
from warnings import catch_warnings, simplefilter

import numpy as np

from nasplug.builtin.features import Table, normal_scores, traits
from nasplug.builtin.ranking import best_first, comparable
from nasplug.builtin.unseen import unseen
from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import Mutates
from nasplug.contract.records import Architecture, Proposal, Trial
from nasplug.ledger.view import StudyView
from nasplug.optional import require

if TYPE_CHECKING:
    import numpy.typing as npt

Predictor = Literal["forest", "mlp"]
#: `its`: independent Thompson sampling, a draw from each candidate's own belief. `mean`: what is predicted.
#: `ucb`: what is predicted, and half a standard deviation, as in the code of BANANAS.
Acquisition = Literal["its", "ucb", "mean"]


class Bananas:
    """An ensemble of predictors, trained on the results so far, chooses among mutants of the best architectures.

    Architectures are described by the paths of their graphs and by their decisions, see `nasplug.builtin.features`;
    results by their rank, so that any objectives and constraints are taken. Members of the ensemble are trees of a
    forest, or small networks of scikit-learn with weights of their own; their spread is the uncertainty.

    Sources: White, Neiswanger and Savani, "BANANAS: Bayesian Optimization with Neural Architectures for Neural
    Architecture Search", AAAI 2021, with `predictor="mlp"`: five networks, path encoding, independent Thompson
    sampling among mutants. Wei et al., "NPENAS: Neural Predictor Guided Evolution for Neural Architecture Search", IEEE
    Transactions on Neural Networks and Learning Systems 2022, which evaluates what is predicted best, with
    `acquisition="mean"`; its graph network is replaced by the same predictors.

    Everything is derived from the trials of the study; nothing else is kept.

    Args:
        predictor: `forest`, extremely randomised trees; or `mlp`, networks.
        members: Number of trees or networks; default: 100 trees, 5 networks.
        acquisition: `its`, `ucb` or `mean`.
        initial: Random architectures at the start.
        candidates: Number of mutants and random architectures among which one is chosen.
        parents: Number of the best architectures that are mutated.
        random_share: Part of the candidates that is random.
        refit: Number of new results after which the ensemble is trained anew.

    Raises:
        SpecError: An argument is out of range.
    """

    requires: tuple[type, ...] = (Mutates,)

    def __init__(
        self,
        predictor: Predictor = "forest",
        members: int | None = None,
        acquisition: Acquisition = "its",
        initial: int = 10,
        candidates: int = 200,
        parents: int = 10,
        random_share: float = 0.2,
        refit: int = 5,
    ) -> None:
        for name, value, allowed in (
            ("predictor", predictor, get_args(Predictor)),
            ("acquisition", acquisition, get_args(Acquisition)),
        ):
            if value not in allowed:
                raise SpecError(f"{name}={value!r} is unknown", where="bananas", fix=did_you_mean(value, allowed))
        self.members = (100 if predictor == "forest" else 5) if members is None else members
        for name, number, least in (
            ("members", self.members, 2),
            ("initial", initial, 2),
            ("candidates", candidates, 1),
            ("parents", parents, 1),
            ("refit", refit, 1),
        ):
            if number < least:
                raise SpecError(f"{name} is {number}", where="bananas", fix=f"give {least} or more")
        if not 0.0 <= random_share <= 1.0:
            raise SpecError(f"random_share must lie in [0, 1], got {random_share}", where="bananas")
        self.predictor, self.acquisition, self.initial = predictor, acquisition, initial
        self.candidates, self.parents, self.random_share, self.refit = candidates, parents, random_share, refit
        self._forget()

    def _forget(self) -> None:
        self._traits: dict[str, dict[str, float]] = {}
        self._fitted: tuple[int, Table, Callable[[Any], Any]] | None = None

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Random architectures first, then what the ensemble expects to be worth it."""
        seen = {trial.architecture.key for trial in (*study.trials, *study.pending)}
        proposals = []
        for offset in range(count):
            number = study.proposed + offset
            rng = study.rng("bananas.propose", number)
            known = [trial for trial in study.trials if trial.copied_from is None]
            chosen = None if number < self.initial or len(known) < 2 else self._chosen(study, known, seen, rng)
            origin = "random" if chosen is None else self.acquisition
            architecture = unseen(study.space, seen, rng) if chosen is None else chosen
            seen.add(architecture.key)
            proposals.append(study.proposal(architecture, origin=origin))
        return proposals

    def _chosen(
        self, study: StudyView, known: Sequence[Trial], seen: set[str], rng: np.random.Generator
    ) -> Architecture | None:
        """The best of the candidates; None where nothing new is found."""
        able = [trial for trial in known if comparable(study, trial)]
        best = [trial.architecture for trial in best_first(study, able)[: self.parents]]
        found = self._drawn(study, best, seen, rng)
        if not found:
            return None
        table, predict = self._ensemble(study, known)
        each = predict(table.rows([self._of(study, candidate) for candidate in found]))
        mean, spread = each.mean(axis=0), each.std(axis=0)
        if self.acquisition == "its":
            mean = mean + spread * rng.standard_normal(len(mean))
        elif self.acquisition == "ucb":
            mean = mean + 0.5 * spread
        return found[int(np.argmax(mean))]

    def _drawn(
        self, study: StudyView, best: Sequence[Architecture], seen: set[str], rng: np.random.Generator
    ) -> list[Architecture]:
        """Candidates that were not proposed before: mutants of the best, and random ones."""
        space: Any = study.space  # its capabilities are checked against `requires` before the search starts
        found: dict[str, Architecture] = {}
        mutants = self.candidates - round(self.candidates * self.random_share) if best else 0
        for attempt in range(3 * mutants):
            if len(found) == mutants:
                break
            mutant = space.mutate(best[attempt % len(best)], rng)
            if mutant.key not in seen:
                found.setdefault(mutant.key, mutant)
        for _ in range(3 * self.candidates):
            if len(found) >= self.candidates:
                break
            fresh = space.sample(rng)
            if fresh.key not in seen:
                found.setdefault(fresh.key, fresh)
        return list(found.values())

    def _ensemble(self, study: StudyView, known: Sequence[Trial]) -> tuple[Table, Callable[[Any], Any]]:
        """Columns of the features, and a function from rows to what each member predicts, (members, rows).

        Fitted to the first results, as many as the schedule says: a resumed search fits the very same.
        """
        count = max(2, len(known) // self.refit * self.refit)
        if self._fitted is None or self._fitted[0] != count:
            some = known[:count]
            features = [self._of(study, trial.architecture) for trial in some]
            table = Table(features)
            seed = int(study.rng("bananas.fit", count).integers(2**31))
            predict = _FITS[self.predictor](table.rows(features), normal_scores(study, some), self.members, seed)
            self._fitted = count, table, predict
        return self._fitted[1:]

    def _of(self, study: StudyView, architecture: Architecture) -> dict[str, float]:
        found = self._traits.get(architecture.key)
        if found is None:
            found = self._traits[architecture.key] = traits(study.space, architecture)
        return found

    def state_dict(self) -> dict[str, Json]:
        """Empty: the trials of the study say it all."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Reads the study anew at the next proposal."""
        self._forget()


def _forest(
    rows: npt.NDArray[np.float64], values: npt.NDArray[np.float64], members: int, seed: int
) -> Callable[[Any], Any]:
    """Extremely randomised trees on all results."""
    ensemble = require("sklearn.ensemble", extra="train", purpose="predict results with a forest")
    forest = ensemble.ExtraTreesRegressor(n_estimators=members, random_state=seed)
    forest.fit(rows, values)

    def predict(fresh: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        single = fresh.astype(np.float32)  # as trees keep numbers, so that each of them need not convert them
        return np.stack([tree.predict(single, check_input=False) for tree in forest.estimators_])

    return predict


def _networks(
    rows: npt.NDArray[np.float64], values: npt.NDArray[np.float64], members: int, seed: int
) -> Callable[[Any], Any]:
    """Networks that differ in their first weights."""
    neural = require("sklearn.neural_network", extra="train", purpose="predict results with networks")
    networks = [
        neural.MLPRegressor(hidden_layer_sizes=(20,) * 3, solver="lbfgs", alpha=0.01, max_iter=200, random_state=each)
        for each in ((seed + member) % 2**31 for member in range(members))
    ]
    with catch_warnings():
        simplefilter("ignore")  # not converged after `max_iter` steps, as is meant
        for network in networks:
            network.fit(rows, values)
    return lambda fresh: np.stack([network.predict(fresh) for network in networks])


_FITS: dict[str, Callable[..., Callable[[Any], Any]]] = {"forest": _forest, "mlp": _networks}

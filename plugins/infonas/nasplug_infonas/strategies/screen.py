"""Screening: another strategy proposes more than is wanted, and a predictor chooses."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nasplug.builtin.random import RandomSearch
from nasplug.builtin.ranking import comparable
from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.protocols import HasGraph, Strategy
from nasplug.contract.records import Architecture, Failure, Proposal, Trial
from nasplug.ledger.rng import derived_seed
from nasplug.ledger.view import StudyView
from nasplug_infonas.embedder import Embedder, Kind
from nasplug_infonas.isolation import limited
from nasplug_infonas.regressors import Regressor, RegressorName, make_regressor
from nasplug_infonas.strategies.asking import ask_encoder, ask_regressor
from nasplug_infonas.strategies.bo import expected_improvement
from nasplug_infonas.strategies.hosting import Host
from nasplug_infonas.strategies.rounds import at_least_one

#: Keys of `proposal.info`: among how many candidates a trial was chosen, and why it was not chosen among many.
SCREENED, UNSCREENED = "screened", "unscreened"


class Screen:
    """Asks a strategy for `factor` candidates, and proposes the one with the highest expected improvement.

    The predictor learns from the study's own finished trials: their embeddings and their results, as normal scores.
    Until `start` trials have a result, the inner strategy's proposals pass through. What is not proposed counts as
    pruned for the inner strategy. So a strategy that works in generations fills a generation with fewer trials, and
    should be given a larger one: about `factor` times.

    With several objectives each has a predictor, and every choice weighs the predictions with weights drawn at random.
    Failed and stopped trials teach nothing.

    Encoder and predictors are trained by the executor. Where that fails, proposals pass through unscreened, and say so
    in `proposal.info["unscreened"]`. A proposal of the inner strategy that failed already is always carried out.

    Args:
        inner: Gives the candidates; default: `random`.
        encoder: File of a pretrained encoder (`nasplug infonas pretrain`), or an encoder. None has a small one trained
            when it is first needed, which takes seconds and gives worse embeddings.
        predictor: The regressor: gp, forest or dngo.
        kind: Embedding: mean, codes or dense.
        factor: Candidates per proposal.
        start: Results before anything is screened.
        refit: New results before the predictor learns again.
        acquisition: Criterion by which the best candidate is chosen: expected improvement, or predicted mean.

    Raises:
        SpecError: A count is less than 1, or an inner strategy continues trainings itself.
    """

    def __init__(
        self,
        inner: Strategy | None = None,
        encoder: str | Embedder | None = None,
        predictor: RegressorName = "gp",
        kind: Kind = "mean",
        factor: int = 10,
        start: int = 20,
        refit: int = 5,
        acquisition: Literal["ei", "mean"] = "ei",
    ) -> None:
        strategy: Any = RandomSearch() if inner is None else inner
        at_least_one("infonas.screen", factor=factor, start=start, refit=refit)
        make_regressor(predictor)  # refuses an unknown one now
        if getattr(strategy, "keeps_checkpoints", False):
            raise SpecError(
                f"the inner strategy {type(strategy).__name__} continues trainings itself",
                where="infonas.screen",
                fix="put the screening inside of it: successive_halving(inner=infonas.screen(...))",
            )
        self.inner: Any = strategy
        self.encoder, self.predictor, self.kind = encoder, predictor, kind
        self.factor, self.start, self.refit = factor, start, refit
        if acquisition not in ("ei", "mean"):
            raise SpecError(f"there is no acquisition {acquisition!r}", where="infonas.screen", fix="write ei or mean")
        self.acquisition = acquisition
        self.requires: tuple[type, ...] = (HasGraph, *getattr(strategy, "requires", ()))
        self.hyperparameters: tuple[str, ...] = tuple(getattr(strategy, "hyperparameters", ()))
        self._host = Host(strategy, SCREENED)
        self._embedder: Embedder | Failure | None = None
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._models: list[Regressor] = []
        self._reached: list[float] = []  # what each model believes of the best known
        self._known: list[Trial] = []
        self._read = 0
        self._fitted = -1
        self._unscreened: dict[str, str] = {}  # why there are no models, though there should be

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Candidates of the inner strategy, one in `factor` of them; `[]` while something is trained."""
        if not self._fit(study):
            return []
        proposals: list[Proposal] = []
        for offset in range(count):
            candidates = self._host.ask(study, self.factor if self._models else 1)
            if not candidates:
                break
            chosen = self._choose(study, candidates, study.proposed + offset)
            self._host.settle(study, candidates, chosen)
            proposal = candidates[chosen]
            info = {**proposal.info, SCREENED: len(candidates), **self._unscreened}
            proposals.append(msgspec.structs.replace(proposal, info=info))
        return proposals

    @hookimpl
    def observe(self, study: StudyView, trial: Trial) -> None:
        """Passes the result on to the inner strategy."""
        self._host.observe(study, trial)

    def _fit(self, study: StudyView) -> bool:
        """Brings the predictors up to date, one per objective; False while they are trained.

        There are none as long as there is too little to learn from.
        """
        for trial in study.trials[self._read :]:
            if trial.state == "complete" and comparable(study, trial):
                self._known.append(trial)
        self._read = len(study.trials)
        count = len(self._known)
        if count < self.start or (self._fitted >= 0 and count - self._fitted < self.refit):
            return True
        embedder = self._open(study)
        if embedder is None:
            return False
        if isinstance(embedder, Failure):
            self._models, self._unscreened = [], {UNSCREENED: f"there is no encoder: {embedder.message}"}
            return True
        x = self._embed(study, embedder, [trial.architecture for trial in self._known])
        answers = [self._ask(study, index, x) for index in range(len(study.objectives))]
        models = [answer for answer in answers if not (answer is None or isinstance(answer, Failure))]
        if any(answer is None for answer in answers):
            return False
        self._fitted, self._models, self._unscreened = count, models, {}
        failures = [answer for answer in answers if isinstance(answer, Failure)]
        if failures:
            self._models, self._unscreened = [], {UNSCREENED: f"a predictor failed: {failures[0].message}"}
        self._reached = [float(model.predict(x).mean.max()) for model in self._models]
        return True

    def _open(self, study: StudyView) -> Embedder | Failure | None:
        if self._embedder is None:
            self._embedder = ask_encoder(study, self.encoder)
        return self._embedder

    def _ask(self, study: StudyView, index: int, x: NDArray[np.float64]) -> Regressor | Failure | None:
        objective = study.objectives[index]
        y = np.array([objective.sign * trial.values[objective.name] for trial in self._known])
        seed = derived_seed(study.seed, f"infonas.screen.predictor.{index}", len(self._known))
        return ask_regressor(study, self.predictor, x, y, seed=seed, ranks=True)

    def _choose(self, study: StudyView, candidates: list[Proposal], number: int) -> int:
        failed = [index for index, proposal in enumerate(candidates) if proposal.failure is not None]
        if failed or len(candidates) == 1:
            return failed[0] if failed else 0
        embedder = self._embedder
        assert embedder is not None
        assert not isinstance(embedder, Failure)
        x = self._embed(study, embedder, [proposal.architecture for proposal in candidates])
        pairs = zip(self._models, self._reached, strict=True)
        scores = np.stack([self._promise(model, best, x) for model, best in pairs])
        weights = np.ones(1)
        if len(self._models) > 1:
            weights = study.rng("infonas.screen.weights", number).dirichlet(np.ones(len(self._models)))
        return int(np.argmax(weights @ scores))

    def _promise(self, model: Regressor, best: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
        belief = model.predict(x)
        return belief.mean if self.acquisition == "mean" else expected_improvement(belief, best)

    def _embed(self, study: StudyView, embedder: Embedder, architectures: list[Architecture]) -> NDArray[np.float64]:
        new = {item.key: item for item in architectures if item.key not in self._vectors}
        if new:
            with limited():
                found = embedder.embed_space(study.space, new.values(), self.kind)
            self._vectors.update(zip(new, found, strict=True))
        return np.stack([self._vectors[item.key] for item in architectures]).astype(np.float64)

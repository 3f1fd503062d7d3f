"""Which network of a study to take: by repeated trainings, by the strategy's model, or by the best value measured.

The best of many noisy values is the luckiest one as well as a good one. Fresh trainings of the best few tell the two
apart; a strategy with a model of the results needs no further training to do so in part.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from nasplug.contract.errors import NasplugError, PluginError, SpecError
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Trial
from nasplug.contract.wording import plural
from nasplug.ledger import pareto
from nasplug.ledger.artifacts import beside
from nasplug.ledger.sqlite import SQLiteStorage
from nasplug.ledger.study import Study
from nasplug.plugins.catalog import Catalog
from nasplug.plugins.component import Component, instantiate, resolve
from nasplug.plugins.manager import Manager
from nasplug.plugins.trust import trusted
from nasplug.run.api import load_study
from nasplug.run.spec import BudgetSpec, RunSpec


@dataclass(frozen=True)
class Repeats:
    """What fresh trainings of one network gave.

    Attributes:
        trial: Number of the trial in the study.
        measured: Value in the study.
        values: Values of the fresh trainings, which did not choose the network.
    """

    trial: int
    measured: float
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean of the fresh values."""
        return statistics.mean(self.values)

    @property
    def standard_error(self) -> float | None:
        """Standard error of the mean; None for one value."""
        return None if len(self.values) < 2 else statistics.stdev(self.values) / math.sqrt(len(self.values))


@dataclass(frozen=True)
class Recommendation:
    """The network to take.

    Attributes:
        trial: The trial.
        by: `repeats`, the name of the strategy whose model says so, or `best`.
        best: The trial with the best value measured in the study.
        repeats: Results of repeated trainings, the best mean first.
        noise: Standard deviation of one training's value, pooled over the repeated networks; None without repeats.
    """

    trial: Trial
    by: str
    best: Trial
    repeats: tuple[Repeats, ...] = ()
    noise: float | None = None

    @property
    def reason(self) -> str:
        """Why, in one phrase."""
        if self.by == "repeats":
            first = self.repeats[0]
            return f"the best mean of {plural(len(first.values), 'fresh training')}"
        return "the best value measured" if self.by == "best" else f"what the model of {self.by} expects to be best"

    def to_json(self) -> dict[str, Json]:
        """JSON data."""
        return {
            "trial": self.trial.number,
            "by": self.by,
            "reason": self.reason,
            "best_measured": self.best.number,
            "noise": self.noise,
            "repeats": [
                {
                    **{"trial": one.trial, "measured": one.measured, "mean": one.mean},
                    **{"standard_error": one.standard_error, "values": list(one.values)},
                }
                for one in self.repeats
            ],
        }


def recommend(study: Study, path: str | Path | None = None, catalog: Catalog | None = None) -> Recommendation:
    """Returns the network to take: by repeated trainings if there are any, else by the strategy, else the best.

    With several objectives there is no one network to take, and the best by the first of them is named.

    Args:
        study: A study.
        path: The study file, beside which repeated trainings lie, and whose space is loaded if the strategy is asked.
        catalog: Catalog to look the strategy up in; without, it is not asked.

    Raises:
        StudyError: No trial is complete and feasible.
    """
    best = study.best
    if len(study.objectives) > 1:
        return Recommendation(best, "best", best)
    repeats = [] if path is None else read_repeats(study, Path(path))
    if repeats:
        spreads = [statistics.variance(one.values) for one in repeats if len(one.values) > 1]
        noise = math.sqrt(statistics.mean(spreads)) if spreads else None
        return Recommendation(study.trial(repeats[0].trial), "repeats", best, tuple(repeats), noise)
    if catalog is not None:
        named = _ask(study, path, catalog)
        if named is not None:
            return Recommendation(study.trial(named[1]), named[0], best)
    return Recommendation(best, "best", best)


def _ask(study: Study, path: str | Path | None, catalog: Catalog) -> tuple[str, int] | None:
    """The strategy's name and the number of the trial that it recommends."""
    spec = study.meta.get("spec", {})
    assert isinstance(spec, Mapping)
    strategy = Component.parse(spec.get("strategy", "random"), where="strategy")
    try:
        if not hasattr(resolve("strategy", strategy, catalog, where="strategy"), "recommend"):
            return None
        plugin = instantiate("strategy", strategy, catalog, where="strategy")
        if study.setting.space is None and path is not None:
            study = load_study(path, catalog=catalog, trust=trusted())
    except NasplugError:
        return None  # a strategy that is not installed, or may not be loaded, has no opinion
    if study.setting.space is None:
        return None
    name = f"strategy:{strategy.name}"
    number = Manager([(name, plugin)]).call("recommend", study=study)
    if number is None:
        return None
    if number not in {trial.number for trial in study.candidates()}:
        raise PluginError(
            f"recommends {number!r}, but expected the number of a complete and feasible trial", where=name
        )
    return strategy.name, int(number)


def repeats_file(path: str | Path, top: int, times: int) -> Path:
    """Returns the study file of repeated trainings."""
    return beside(path, f"-repeats-{top}x{times}.sqlite")


def read_repeats(study: Study, path: Path) -> list[Repeats]:
    """Returns what the repeated trainings of a study gave, from all of their files, the best mean first.

    Networks that were trained again fewer times than others are left out while a file is not complete.
    """
    (objective,) = study.objectives
    values: dict[int, list[float]] = {}
    for file in sorted(path.parent.glob(beside(path, "-repeats-*.sqlite").name)):
        storage = SQLiteStorage(file, writable=False)
        try:
            trials = storage.trials()
        finally:
            storage.close()
        for trial in trials:
            of = trial.proposal.info.get("of")
            if isinstance(of, int) and pareto.is_candidate(trial, study.objectives, study.constraints):
                values.setdefault(of, []).append(trial.values[objective.name])
    known = {trial.number: trial for trial in study.candidates()}
    most = max((len(found) for of, found in values.items() if of in known), default=0)
    repeats = [
        Repeats(of, known[of].values[objective.name], tuple(found))
        for of, found in values.items()
        if of in known and len(found) == most
    ]
    return sorted(repeats, key=lambda one: (-objective.sign * one.mean, -objective.sign * one.measured, one.trial))


def repeat_spec(study: Study, spec: RunSpec, top: int, times: int, storage: str | Path) -> RunSpec:
    """Returns the specification that trains the best networks of a study again.

    Args:
        study: The study.
        spec: Specification of the study.
        top: Number of networks, the best values measured first.
        times: Number of fresh trainings of each.
        storage: Study file of the fresh trainings.

    Raises:
        SpecError: There is more than one objective, or nothing that can be trained again by itself.
    """
    if len(study.objectives) > 1:
        raise SpecError(
            "the networks of a study with several objectives are no better or worse than each other",
            where="nasplug recommend",
            fix="choose one from `nasplug pareto`, or give its number to export and retrain: --trial N",
        )
    networks = _networks(study, top)
    if not networks:
        raise SpecError(
            "no network of this study can be trained again by itself",
            where="nasplug recommend",
            why="its complete trials went on from the weights or the structure of others",
        )
    return spec.replace(
        strategy=Component("repeat", {"networks": networks, "times": times}),
        enqueue=(),
        stoppers=(),
        baseline=None,
        budget=BudgetSpec(len(networks) * times, spec.budget.epochs),
        run=dataclasses.replace(spec.run, storage=str(storage), remeasure=True, keep="all", clock=None),
    )


def _networks(study: Study, top: int) -> list[dict[str, Json]]:
    """The best networks that were trained from the start and kept their structure, each once."""
    chosen: dict[tuple[object, ...], dict[str, Json]] = {}
    ranked: Sequence[Trial] = sorted(
        study.candidates(), key=lambda trial: pareto.best_key(trial, study.objectives), reverse=True
    )
    for trial in ranked:
        proposal = trial.proposal
        if proposal.inherits is not None or trial.edits or len(chosen) == top:
            continue
        network: dict[str, Json] = {"genotype": msgspec.to_builtins(trial.architecture.genotype), "trial": trial.number}
        if proposal.hyperparameters:
            network["hyperparameters"] = dict(proposal.hyperparameters)
        if proposal.budget is not None:
            network["epochs"] = proposal.budget.epochs
        chosen.setdefault((trial.architecture.key, str(network.get("hyperparameters"))), network)
    return list(chosen.values())

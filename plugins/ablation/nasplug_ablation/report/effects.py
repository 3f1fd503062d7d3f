"""From trials to effects: what the metric does when a component goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, Literal

from nasplug_ablation.report.statistics import Paired, holm, paired, seeds_to_decide
from nasplug_ablation.strategies.ablator import INFO

if TYPE_CHECKING:
    from nasplug.contract.records import Trial
    from nasplug.ledger.view import StudyView

Verdict = Literal["helps", "hurts", "within noise", "one seed", "failed"]
Names = tuple[str, ...]


@dataclass(frozen=True)
class Effect:
    """What taking something away does.

    Attributes:
        name: Name of the component, or of several.
        what: Kind of effect: `component`, `pair`, `interaction`, `step` of an elimination.
        values: Metric by seed without it; empty where there is no single variant.
        paired: Change of the metric by its removal; None if no trial has a result.
        p: Chance, corrected for all comparisons of the study.
        verdict: `helps` if the metric is worse without it, `hurts` if it is better.
        more: Number of further seeds that would decide; None where nobody can tell.
        params: Change of the number of parameters; None where there is no single variant.
        macs: Change of multiply-accumulates.
        policies: Policy by module.
        renewed: Layers with new weights.
        problem: Reason why trials failed.
    """

    name: str
    what: str
    values: Mapping[int, float]
    paired: Paired | None
    p: float | None = None
    verdict: Verdict = "failed"
    more: int | None = None
    params: int | None = None
    macs: int | None = None
    policies: Mapping[str, str] | None = None
    renewed: Sequence[str] = ()
    problem: str = ""

    @property
    def mean(self) -> float | None:
        """Mean of the metric without it."""
        return fmean(self.values.values()) if self.values else None

    @property
    def sd(self) -> float | None:
        """Standard deviation of the metric without it."""
        return stdev(self.values.values()) if len(self.values) > 1 else None


class Results:
    """Trials of a study by variant.

    Args:
        study: The study.
        metric: Metric to look at; None is the first objective.
    """

    def __init__(self, study: StudyView, metric: str | None = None) -> None:
        self.study = study
        self.metric = metric or study.objectives[0].name
        known = {objective.name: objective.direction for objective in study.objectives}
        self.sign = 1.0 if known.get(self.metric, study.objectives[0].direction) == "max" else -1.0
        self._by: dict[Names, dict[int, Trial]] = {}
        for trial in study.trials:
            if INFO in trial.proposal.info:
                names: Any = trial.architecture.genotype
                self._by.setdefault(tuple(names), {}).setdefault(trial.seed, trial)

    @property
    def variants(self) -> list[Names]:
        """Variants in the order in which they were first tried."""
        return list(self._by)

    @property
    def names(self) -> list[str]:
        """Names of all components, in the order of the study."""
        return list(self.about(()).get("components", ()))

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments of the strategy that made the study."""
        seeds = [trial.seed for trial in self._by.get((), {}).values()]
        return {"seeds": seeds, **self.about(()).get("settings", {})}

    def about(self, names: Names) -> dict[str, Any]:
        """Returns what the first trial of a variant says about it.

        Args:
            names: Names of what it lacks.
        """
        trials = self._by.get(tuple(sorted(names)), {})
        found: Any = next((trial.proposal.info[INFO] for trial in trials.values()), {})
        return dict(found)

    def values(self, names: Names) -> dict[int, float]:
        """Returns the metric of a variant by seed, without trials that have none.

        Args:
            names: Names of what it lacks.
        """
        trials = self._by.get(tuple(sorted(names)), {})
        return {
            seed: trial.values[self.metric]
            for seed, trial in trials.items()
            if self.study.is_candidate(trial) and self.metric in trial.values
        }

    def problem(self, names: Names) -> str:
        """Returns why trials of a variant have no result.

        Args:
            names: Names of what it lacks.
        """
        trials = self._by.get(tuple(sorted(names)), {})
        reasons = [trial.failure.message if trial.failure else str(trial.reason or "") for trial in trials.values()]
        return next(filter(None, reasons), "")

    def difference(self, without: Names, whole: Names) -> dict[int, float]:
        """Returns the change of the metric from one variant to another, by seed.

        Args:
            without: Names of what the smaller variant lacks.
            whole: Names of what the larger variant lacks.
        """
        before = self.values(whole)
        return {seed: value - before[seed] for seed, value in self.values(without).items() if seed in before}

    def effect(self, name: str, what: str, without: Names, whole: Names) -> Effect:
        """Returns the effect of going from one variant to another, without a verdict.

        Args:
            name: Name of what goes.
            what: Kind of effect.
            without: Names of what the smaller variant lacks.
            whole: Names of what the larger variant lacks.
        """
        differences = self.difference(without, whole)
        about, before = self.about(without), self.about(whole)
        return Effect(
            name,
            what,
            self.values(without),
            paired(list(differences.values())) if differences else None,
            params=_minus(about.get("params"), before.get("params")),
            macs=_minus(about.get("macs"), before.get("macs")),
            policies=about.get("policies"),
            renewed=about.get("renewed", ()),
            problem=self.problem(without),
        )


def effects(results: Results, strategy: str) -> list[Effect]:
    """Returns the effects that a strategy was made for, with corrected chances and verdicts.

    Args:
        results: Results of the study.
        strategy: Name of the strategy, such as `ablation.loco`.
    """
    names = results.names
    found: list[Effect] = []
    if strategy == "ablation.add_one_in":
        nothing = tuple(names)
        for name in names:
            alone = tuple(other for other in names if other != name)
            found.append(results.effect(name, "component", nothing, alone))
    elif strategy == "ablation.shapley":
        found += _shapley(results, names)
    else:
        found += [
            results.effect(name, "component", (name,), ())
            for name in names
            if results.values((name,)) or results.problem((name,))
        ]
    if strategy == "ablation.pairs":
        for pair in combinations(names, 2):
            if results.values(pair) or results.problem(pair):
                found.append(results.effect(" + ".join(pair), "pair", pair, ()))
                found.append(_interaction(results, pair))
    if strategy == "ablation.backward":
        from nasplug_ablation.strategies.backward import Backward

        way = list(Backward(**results.settings).path(results.study, names))
        found += [
            results.effect(f"step {i}: {after[-1]}", "step", after, before)
            for i, (before, after) in enumerate(pairwise(way), 1)
        ]
    return judged(found, results.sign)


def judged(found: Sequence[Effect], sign: float, alpha: float = 0.05) -> list[Effect]:
    """Returns effects with verdicts.

    Args:
        found: Effects of one study.
        sign: 1 if a larger metric is better, -1 otherwise.
        alpha: Chance of any false verdict in the study.
    """
    import dataclasses

    corrected = holm([None if effect.paired is None else effect.paired.p for effect in found])
    tests = sum(chance is not None for chance in corrected)
    done = []
    for effect, p in zip(found, corrected, strict=True):
        verdict: Verdict = "failed"
        more = None
        if effect.paired is not None:
            measured = effect.paired
            if p is None:
                verdict = "one seed"
            elif p < alpha:
                verdict = "helps" if sign * measured.mean < 0 else "hurts"
            else:
                verdict = "within noise"
                wanted = seeds_to_decide(measured.mean, measured.sd, tests, alpha)
                more = None if wanted is None else max(1, wanted - measured.count)
        done.append(dataclasses.replace(effect, p=p, verdict=verdict, more=more))
    return done


def _interaction(results: Results, pair: Names) -> Effect:
    one, other = (results.difference((name,), ()) for name in pair)
    both = results.difference(pair, ())
    beyond = [both[seed] - one[seed] - other[seed] for seed in both if seed in one and seed in other]
    return Effect(" x ".join(pair), "interaction", {}, paired(beyond) if beyond else None)


def _shapley(results: Results, names: Sequence[str]) -> list[Effect]:
    from nasplug_ablation.strategies.shapley import Shapley

    estimates = Shapley(**results.settings).contributions(results.study, names)
    return [
        Effect(name, "component", {}, paired([-results.sign * value for value in each.values()]) if each else None)
        for name, each in estimates.items()
    ]


def _minus(one: Any, other: Any) -> int | None:
    return None if one is None or other is None else int(one) - int(other)

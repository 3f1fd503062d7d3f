"""The plan of a study: every variant, how it is made and what it weighs, before anything trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json
from nasplug.contract.wording import plural
from nasplug_ablation.components import identity
from nasplug_ablation.network.policies import NoPolicy

if TYPE_CHECKING:
    from nasplug.ledger.view import StudyView
    from nasplug_ablation.space import VariantSpace
    from nasplug_ablation.strategies.ablator import Ablator

HEADER = ("trial", "kind", "policy", "params", "MACs", "renewed", "remark")
#: Layers and remarks that a table names.
_SHOWN = 3


@dataclass(frozen=True)
class PlannedTrial:
    """One variant of a plan.

    Attributes:
        without: Names of what it lacks.
        kinds: Kinds of these components.
        ids: Stable name of the trial of each seed.
        policies: Policy by module.
        params: Number of parameters; None where the variant cannot be made.
        macs: Multiply-accumulates of one sample; None where they cannot be counted.
        params_change: Change of the number of parameters against the base.
        macs_change: Change of the multiply-accumulates.
        renewed: Layers that get new weights.
        notes: Remarks.
        problem: Reason why it cannot be made; empty if it can.
    """

    without: tuple[str, ...]
    kinds: tuple[str, ...]
    ids: tuple[str, ...]
    policies: dict[str, str]
    params: int | None
    macs: int | None
    params_change: int | None
    macs_change: int | None
    renewed: tuple[str, ...]
    notes: tuple[str, ...]
    problem: str = ""

    @property
    def label(self) -> str:
        """Name for people."""
        return f"without {', '.join(self.without)}" if self.without else "base"

    def row(self) -> list[str]:
        """Returns it as a row of the table."""
        policies = sorted(set(self.policies.values()))
        renewed = ", ".join(self.renewed[:_SHOWN]) + (
            f" and {len(self.renewed) - _SHOWN} more" if len(self.renewed) > _SHOWN else ""
        )
        if not self.without:
            sizes = ["" if self.params is None else f"{self.params:,}", "" if self.macs is None else f"{self.macs:,}"]
        else:
            sizes = ["" if value is None else f"{value:+,}" for value in (self.params_change, self.macs_change)]
        remark = f"cannot be made: {self.problem}" if self.problem else "; ".join(self.notes[:_SHOWN])
        return [self.label, ", ".join(dict.fromkeys(self.kinds)), ", ".join(policies), *sizes, renewed, remark]

    def to_json(self) -> dict[str, Json]:
        """Returns it as JSON data."""
        return {
            "without": list(self.without),
            "kinds": list(self.kinds),
            "ids": list(self.ids),
            "policies": dict(self.policies),
            "params": self.params,
            "macs": self.macs,
            "params_change": self.params_change,
            "macs_change": self.macs_change,
            "renewed": list(self.renewed),
            "notes": list(self.notes),
            "problem": self.problem,
        }


@dataclass(frozen=True)
class Plan:
    """Every variant of a study; of a strategy that decides as it goes, those that it begins with.

    Attributes:
        trials: Variants in order, the base first.
        seeds: Seeds that each is trained with.
        most: Largest number of trainings.
        complete: Whether these are all variants.
        how: Method of the module that was run to look at it.
    """

    trials: tuple[PlannedTrial, ...]
    seeds: tuple[int, ...]
    most: int | None
    complete: bool
    how: str

    @property
    def problems(self) -> dict[str, str]:
        """Reasons by name of what cannot be made."""
        return {trial.label: trial.problem for trial in self.trials if trial.problem}

    def check(self) -> Plan:
        """Returns the plan, if every component can leave alone.

        Raises:
            SpecError: One cannot; the message names all of them.
        """
        single = [trial for trial in self.trials if trial.problem and len(trial.without) == 1]
        if single:
            why = "; ".join(f"{trial.without[0]}: {trial.problem}" for trial in single)
            raise SpecError(
                f"{plural(len(single), 'component')} cannot be taken away",
                where="components",
                why=why,
                fix="name another policy, a group that goes together, or leave them out",
            )
        return self

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Returns the heads of the columns, and the rows."""
        return list(HEADER), [trial.row() for trial in self.trials]

    def sentence(self) -> str:
        """Returns the size of the study in one line."""
        variants = plural(len(self.trials), "variant")
        most = "" if self.most is None else f", {'' if self.complete else 'at most '}{plural(self.most, 'training')}"
        return f"{variants}{'' if self.complete else ' to begin with'}, {plural(len(self.seeds), 'seed')}{most}"

    def to_json(self) -> dict[str, Json]:
        """Returns it as JSON data."""
        return {
            "trials": [trial.to_json() for trial in self.trials],
            "seeds": list(self.seeds),
            "most": self.most,
            "complete": self.complete,
            "step": self.how,
        }

    def __str__(self) -> str:
        header, rows = self.table()
        widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in [header, *rows]
        ]
        return "\n".join([self.sentence(), *lines])


def make_plan(space: VariantSpace, strategy: Ablator, study: StudyView) -> Plan:
    """Plans every variant that a strategy asks for without knowing any result.

    Args:
        space: Space of the study.
        strategy: Strategy.
        study: Study without trials.

    Raises:
        SpecError: An entry matches nothing or is ambiguous, or the step of the module cannot be run.
    """
    bench = space.bench(study.task)
    components = space.resolved(study.task)
    base = bench.base
    variants: Sequence[tuple[str, ...]] = list(dict.fromkeys(strategy.variants(study)))
    trials = []
    for names in variants:
        taken = [components[name] for name in names]
        kinds = tuple(one.kind for one in taken)
        ids = tuple(identity(taken, seed) for seed in strategy.seeds)
        try:
            planned = bench.plan(taken)
        except NoPolicy as error:
            trials.append(PlannedTrial(names, kinds, ids, {}, None, None, None, None, (), (), str(error)))
            continue
        macs_change = None if planned.macs is None or base.macs is None else planned.macs - base.macs
        trials.append(
            PlannedTrial(
                names,
                kinds,
                ids,
                planned.policies,
                planned.params,
                planned.macs,
                planned.params - base.params,
                macs_change,
                tuple(planned.renewed),
                tuple(planned.notes),
            )
        )
    return Plan(tuple(trials), strategy.seeds, strategy.length(len(components)), strategy.complete, bench.step_name)

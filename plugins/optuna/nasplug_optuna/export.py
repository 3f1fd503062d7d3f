"""A nasplug study as an Optuna study, for Optuna's plots, importances and dashboard."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from nasplug.contract.errors import StudyError
from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import HasConditions, HasVector
from nasplug.contract.records import Scalar, Trial
from nasplug.ledger.study import Study
from nasplug_optuna.outcome import directions, excesses, intermediate, objective_values
from nasplug_optuna.parameters import distribution_of, parameter_name
from nasplug_optuna.quiet import quiet

if TYPE_CHECKING:
    from nasplug.contract.protocols import SearchSpace


_STATES = {
    "waiting": TrialState.WAITING,
    "running": TrialState.RUNNING,
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
#: A tuned hyperparameter that spans more than this factor is shown on a logarithmic axis.
_WIDE = 100.0


def to_optuna(study: Study, *, storage: str | BaseStorage | None = None, name: str = "nasplug") -> optuna.Study:
    """Copies a study: one Optuna trial per trial, with the same numbers.

    Parameters are the choices of the space by name and the hyperparameters. A space without named choices, or one
    that is not installed, gives a single parameter `architecture`. Costs, metrics, architecture, reasons and
    provenance become user attributes, constraints Optuna's constraints, and the main objective per epoch the
    intermediate values. The range of a hyperparameter is what the trials span. nasplug keeps durations and no times
    of day: trials are laid one after another from the start of the study.

    Args:
        study: Study from a search, or `nasplug.load_study`.
        storage: Storage to write to, as for `optuna.create_study`; None keeps it in memory.
        name: Name of Optuna's study.

    Raises:
        StudyError: The study has no objectives, or the storage has a study of this name.
    """
    if not study.objectives:
        raise StudyError("a study without objectives means nothing to Optuna")
    trials = sorted([*study.trials, *study.pending], key=lambda trial: trial.number)
    view = _View(study, trials)
    with quiet():
        try:
            made = optuna.create_study(
                storage=storage,
                study_name=name,
                directions=directions(study),
            )
        except optuna.exceptions.DuplicatedStudyError as error:
            raise StudyError(
                f"this storage has a study {name!r} already", where=str(storage), fix="give another name"
            ) from error
        made.set_metric_names([objective.name for objective in study.objectives])
        for key, value in {"seed": study.seed, **study.meta}.items():
            made.set_user_attr(f"nasplug.{key}", _json(value))
        start = _created(study)
        for trial in trials:
            made.add_trial(view.frozen(trial, start))
            start += timedelta(seconds=trial.seconds)
    return made


class _View:
    """How the trials of one study look in Optuna.

    Args:
        study: Study with the space, objectives and constraints.
        trials: All of them; they decide the ranges of hyperparameters.
    """

    def __init__(self, study: Study, trials: Sequence[Trial]) -> None:
        self._study = study
        space = None if study.meta.get("unavailable") else _space(study)
        self._space = space if isinstance(space, HasVector) else None
        self._distributions: dict[str, BaseDistribution] = {}
        if self._space is None:
            keys = dict.fromkeys(trial.architecture.key for trial in trials)
            self._distributions["architecture"] = CategoricalDistribution(tuple(keys) or ("",))
            names = {"architecture"}
        else:
            for choice in self._space.choices:
                self._distributions[choice.name] = (
                    CategoricalDistribution(_distinct(choice.options))
                    if isinstance(choice.options, tuple)
                    else distribution_of(choice.options)
                )
            names = {choice.name for choice in self._space.choices}
        seen: dict[str, list[Scalar]] = {}
        for trial in trials:
            for hyperparameter, value in trial.hyperparameters.items():
                seen.setdefault(hyperparameter, []).append(value)
        self._hyperparameters = {hyperparameter: parameter_name(hyperparameter, names) for hyperparameter in seen}
        for hyperparameter, values in seen.items():
            self._distributions[self._hyperparameters[hyperparameter]] = _range(values)

    def frozen(self, trial: Trial, start: datetime) -> FrozenTrial:
        """The trial as Optuna has it."""
        study, state = self._study, _STATES[trial.state]
        values = objective_values(study, trial)
        if state is TrialState.COMPLETE and values is None:
            state = TrialState.FAIL
        params = self._params(trial)
        begun = state is not TrialState.WAITING
        frozen = FrozenTrial(
            number=trial.number,
            trial_id=-1,
            state=state,
            value=None,
            values=values if state is TrialState.COMPLETE else None,
            datetime_start=start if begun else None,
            datetime_complete=start + timedelta(seconds=trial.seconds) if state.is_finished() else None,
            params=params,
            distributions={name: self._distributions[name] for name in params},
            user_attrs=_attributes(trial),
            system_attrs={},
            intermediate_values=intermediate(study, trial),
        )
        for name, excess in excesses(study, trial).items():
            frozen.set_constraint(name, excess)
        return frozen

    def _params(self, trial: Trial) -> dict[str, Scalar]:
        params: dict[str, Scalar] = {}
        if self._space is None:
            params["architecture"] = trial.architecture.key
        else:
            genes = self._space.vector(trial.architecture)
            made = self._space.active(trial.architecture) if isinstance(self._space, HasConditions) else None
            for choice, gene in zip(self._space.choices, genes, strict=True):
                if made is not None and choice.name not in made:
                    continue
                distribution = self._distributions[choice.name]
                if isinstance(distribution, CategoricalDistribution):
                    params[choice.name] = distribution.choices[int(gene)]
                else:
                    params[choice.name] = choice.value(gene)
        for hyperparameter, value in trial.hyperparameters.items():
            name = self._hyperparameters[hyperparameter]
            texts = isinstance(self._distributions[name], CategoricalDistribution) and not isinstance(value, str)
            params[name] = json.dumps(value) if texts else value
        return params


def _space(study: Study) -> SearchSpace | None:
    try:
        return study.space
    except StudyError:  # opened without one
        return None


def _distinct(options: Sequence[Scalar]) -> tuple[Scalar, ...]:
    """The options themselves, or as JSON where Optuna's `==` would confuse two, such as 1 and True."""
    return tuple(options) if len(set(options)) == len(options) else tuple([json.dumps(option) for option in options])


def _range(values: Sequence[Scalar]) -> BaseDistribution:
    """What a hyperparameter's values span, as Optuna's dashboard needs it for an axis."""
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) < len(values) or not all(math.isfinite(number) for number in numbers):
        texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
        return CategoricalDistribution(tuple(dict.fromkeys(texts)))
    low, high = min(numbers), max(numbers)
    log = low > 0 and high > _WIDE * low
    if all(isinstance(number, int) for number in numbers):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)


def _attributes(trial: Trial) -> dict[str, Json]:
    attributes: dict[str, Json] = {
        "key": trial.architecture.key,
        "genotype": _json(trial.architecture.genotype),
        "seconds": trial.seconds,
    }
    attributes |= {f"cost {name}": _json(value) for name, value in trial.costs.items()}
    attributes |= {f"metric {name}": _json(value) for name, value in trial.metrics.items()}
    attributes |= {name: _json(value) for name, value in trial.proposal.info.items()}
    if trial.failure is not None:
        attributes["failure"] = f"{trial.failure.kind}: {trial.failure.message}"
    if trial.reason is not None:
        attributes["reason"] = trial.reason
    for name, number in (("parent", trial.proposal.parent), ("copied from", trial.copied_from)):
        if number is not None:
            attributes[name] = number
    return attributes


def _json(value: Any) -> Json:
    """JSON data without NaN and infinities, which other readers of JSON refuse."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    plain: Json = value
    return plain


def _created(study: Study) -> datetime:
    """When the study began, in local time without a zone, as Optuna keeps it."""
    text = study.meta.get("created")
    moment = datetime.fromisoformat(text) if text else datetime.now(UTC)
    return moment.astimezone().replace(tzinfo=None)

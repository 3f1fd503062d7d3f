"""Composition: from a specification to configured plugins in one manager, checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pluggy

from nasplug.contract.errors import PluginError, SpecError, did_you_mean
from nasplug.contract.hookspecs import PROJECT, StudySpecs, hookimpl
from nasplug.contract.protocols import CAPABILITIES, HardwareTarget, HasHyperparameters, SearchSpace, Task
from nasplug.contract.records import Budget, Objective, Trial
from nasplug.ledger.study import Study
from nasplug.plugins.catalog import Catalog
from nasplug.plugins.component import Component, instantiate
from nasplug.run.hyperparameters import Fill, check_names
from nasplug.run.pricing import PREFIX, CostCaller, cost_callers, namespace_of
from nasplug.run.spec import RunSpec


class SpaceBuilder:
    """Answers `build` with the search space, inside all wrappers."""

    @hookimpl(trylast=True)
    def build(self, study: Study, trial: Trial) -> Any:
        """The untransformed network."""
        if study.task is None:
            raise SpecError("a network is to be built and there is no task", where="specification", fix="add `task:`")
        return study.space.build(trial.architecture, study.task)


class Enqueued:
    """Proposes given architectures before the strategy is asked."""

    def __init__(self, genotypes: tuple[Any, ...]) -> None:
        self.genotypes = genotypes

    @hookimpl(tryfirst=True)
    def propose(self, study: Study, count: int) -> list[Any] | None:
        """The next of the given architectures, None when all were proposed."""
        start = study.proposed
        rest = self.genotypes[start : start + count]
        return [study.proposal(study.space.architecture(item), origin="enqueued") for item in rest] or None


class TrialCallbacks:
    """Gives every trial a fresh Lightning callback."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    @hookimpl
    def configure_callbacks(self, study: Study, trial: Trial) -> list[Any]:
        """One new callback."""
        return [self.make()]


@dataclass
class Assembly:
    """All configured parts of one run.

    Attributes:
        spec: What was composed, with objectives and costs filled in.
        manager: The study-level plugin manager.
        space: The search space.
        task: The task, or None.
        strategy: None in workers.
        target: The hardware target, or None.
        costs: Cost plugins in the order of the specification.
    """

    spec: RunSpec
    manager: pluggy.PluginManager
    space: SearchSpace
    task: Task | None
    strategy: Any
    target: HardwareTarget | None = None
    costs: list[CostCaller] = field(default_factory=list)

    @cached_property
    def needs_history(self) -> bool:
        """Whether a plugin answers `report`, and so must be told the results of other trials."""
        return bool(self.manager.hook.report.get_hookimpls())

    @cached_property
    def keeps_checkpoints(self) -> bool:
        """Whether trainings may be continued, so that optimiser states must be kept."""
        return bool(getattr(self.strategy, "keeps_checkpoints", False))

    def study(self, **more: Any) -> Study:
        """A new study of this run."""
        study = Study(
            space=self.space,
            task=self.task,
            objectives=self.spec.objectives,
            constraints=self.spec.constraints,
            seed=self.spec.run.seed,
            budget=Budget(self.spec.budget.epochs),
            target=self.target,
            **more,
        )
        study._builder = lambda study, trial: self.manager.hook.build(study=study, trial=trial)
        return study


def compose(
    spec: RunSpec, catalog: Catalog, objects: Mapping[str, Any] | None = None, *, with_strategy: bool = True
) -> Assembly:
    """Builds and checks everything a run needs; trains nothing.

    Args:
        spec: The specification.
        catalog: Where slugs are looked up.
        objects: Ready-made objects by key of the specification (`task`, `space`, ...), from Python callers; a list
            for the keys that are lists. They take the place of the component of that key.
        with_strategy: False in workers.

    Raises:
        SpecError: Anything that cannot work, with the nearest right word.
    """
    objects = objects or {}

    def make(kind: str, key: str, item: Component, position: int | None = None) -> Any:
        where = key if position is None else f"{key}[{position}]"
        if where in objects:
            return objects[where]
        return instantiate(kind, item, catalog, where=where)

    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(StudySpecs)
    space = make("space", "space", spec.space)
    _check_protocol(space, SearchSpace, "space", spec.space.name)
    task = None if spec.task is None else make("task", "task", spec.task)
    if task is not None:
        _check_protocol(task, Task, "task", spec.task.name if spec.task else "")
        if hasattr(task, "check"):
            task.check()
    _register(manager, SpaceBuilder(), "space")
    if isinstance(space, HasHyperparameters):
        _register(manager, Fill(space), "hyperparameters")
    evaluator = make("evaluator", "evaluator", spec.evaluator)
    _register(manager, evaluator, f"evaluator:{spec.evaluator.name}")
    if task is None and getattr(evaluator, "needs_task", False):
        raise SpecError(f"the evaluator {spec.evaluator.name!r} needs a task", where="task", fix="add `task: NAME`")

    target = _target(manager, spec, catalog)
    costs: dict[str, Any] = {}
    for position, item in enumerate(spec.costs):
        plugin = make("cost", "costs", item, position)
        costs[namespace_of(item, plugin, catalog)] = plugin
    spec = _complete(spec, catalog, evaluator, task, target, set(costs))
    for item in spec.costs[len(costs) :]:  # those that objectives and constraints pull in
        costs[item.name] = make("cost", "costs", item)
    for namespace, plugin in costs.items():
        _register(manager, plugin, f"{PREFIX}{namespace}")
    for position, item in enumerate(spec.build):
        _register(manager, make("wrapper", "build", item, position), f"build:{item.name}#{position}")
    for position, item in enumerate(spec.stoppers):
        _register(manager, make("stopper", "stoppers", item, position), f"stopper:{item.name}#{position}")
    for position, item in enumerate(spec.callbacks):
        plugin = _callback(item, position, catalog, objects)
        _register(manager, plugin, f"callback:{item.name}#{position}")
    strategy = None
    if with_strategy:
        strategy = make("strategy", "strategy", spec.strategy)
        _check_strategy(strategy, spec, space, task)
        _register(manager, strategy, f"strategy:{spec.strategy.name}")
        if spec.enqueue:
            for genotype in spec.enqueue:
                space.architecture(genotype)
            _register(manager, Enqueued(spec.enqueue), "enqueue")
    return Assembly(spec, manager, space, task, strategy, target, cost_callers(manager))


def _register(manager: pluggy.PluginManager, plugin: Any, name: str) -> None:
    try:
        manager.register(plugin, name=name)
    except pluggy.PluginValidationError as error:
        raise PluginError("does not fit the contract", where=name, why=str(error)) from error
    except ValueError as error:  # registered twice
        raise SpecError(f"{name} is named twice", where="specification", why=str(error)) from error


def _check_protocol(value: Any, protocol: type, kind: str, name: str) -> None:
    members = [member for member in dir(protocol) if not member.startswith("_")]
    members += [member for member in getattr(protocol, "__annotations__", {}) if member not in members]
    missing = [member for member in members if not _has(value, member)]
    if missing:
        raise PluginError(
            f"a {kind} has {', '.join(members)}; this one lacks {', '.join(missing)}", where=f"{kind} {name!r}"
        )


def _has(value: Any, member: str) -> bool:
    """Like hasattr, without running properties, which may load data."""
    return hasattr(type(value), member) or member in getattr(value, "__dict__", {})


def _check_strategy(strategy: Any, spec: RunSpec, space: Any, task: Any) -> None:
    where = f"strategy: {spec.strategy.name}"
    if not hasattr(strategy, "propose"):
        raise PluginError("a strategy has a `propose` hook", where=where)
    for protocol in getattr(strategy, "requires", ()):
        if not isinstance(space, protocol):
            has = [name for name, known in CAPABILITIES.items() if isinstance(space, known)]
            raise SpecError(
                f"needs a space with the capability {protocol.__name__}, which {spec.space.name!r} has not",
                where=where,
                why=f"the space has {', '.join(has) or 'none'}",
                fix="take another space or another strategy; `nasplug list space` shows capabilities",
            )
    names = check_names(space, getattr(strategy, "hyperparameters", ()), where=where)
    if names and task is not None:
        task.check_hyperparameters(names)


def _target(manager: pluggy.PluginManager, spec: RunSpec, catalog: Catalog) -> HardwareTarget | None:
    if spec.target is None:
        return None
    return find_target(spec.target, catalog, manager)


def find_target(name: str, catalog: Catalog, manager: pluggy.PluginManager | None = None) -> HardwareTarget:
    """Finds a hardware target by name, through the plugin that announces its family.

    Raises:
        UnknownNameError: No plugin announces the part before the colon.
        SpecError: The plugin does not know the variant.
    """
    if manager is None:
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(StudySpecs)
    family = name.split(":")[0]
    plugin = instantiate("target", Component(family), catalog, where="target")
    _register(manager, plugin, f"target:{family}")
    found: HardwareTarget | None = manager.hook.hardware_target(name=name)
    if found is None:
        variants = getattr(plugin, "variants", ())
        raise SpecError(
            f"the plugin {family!r} does not know {name!r}", where="target", fix=did_you_mean(name, variants)
        )
    return found


def _complete(
    spec: RunSpec, catalog: Catalog, evaluator: Any, task: Any, target: HardwareTarget | None, given: set[str]
) -> RunSpec:
    """Fills in the default objective and the costs that objectives and constraints name, and checks all names."""
    source = evaluator if hasattr(type(evaluator), "objectives") or hasattr(evaluator, "objectives") else task
    metrics: Mapping[str, str] = getattr(source, "objectives", {})
    if not spec.objectives:
        if not metrics:
            raise SpecError("no objective is given", where="objectives", fix="write {METRIC: max}")
        name, direction = next(iter(metrics.items()))
        spec = spec.replace(objectives=(Objective(name, direction),))  # type: ignore[arg-type]
    family = None if target is None else target.name.split(":")[0]
    more: dict[str, Component] = {}
    for name in [objective.name for objective in spec.objectives] + [item.name for item in spec.constraints]:
        if name in metrics:
            continue
        base = name.split("/")[0]
        # A cost plugin of that name wins over the target's own estimate, so that one key has one owner.
        if base in given:
            continue
        if catalog.has("cost", base):
            more[base] = Component(base)
        elif base == family:
            more["target"] = Component("target")
        else:
            known = [*metrics, *given, *catalog.names("cost"), *([f"{family}/latency_s"] if family else [])]
            raise SpecError(
                f"nothing answers {name!r}, which an objective or constraint names",
                where="objectives",
                fix=f"{did_you_mean(name, known)}. Costs of a hardware target need `target: NAME`",
            )
    more = {name: item for name, item in more.items() if name not in given}
    return spec.replace(costs=(*spec.costs, *more.values()))


def _callback(item: Component, position: int, catalog: Catalog, objects: Mapping[str, Any]) -> Any:
    from nasplug.plugins.component import resolve

    where = f"callbacks[{position}]"
    if where in objects:
        ready = objects[where]
        if hasattr(ready, "configure_callbacks") and not hasattr(ready, "on_train_start"):
            return ready
        import copy

        return TrialCallbacks(lambda: copy.deepcopy(ready))
    factory = resolve("callback", item, catalog, where=where)
    # A Lightning callback is made anew for every trial, as it keeps state; a plugin decides for itself.
    is_lightning = any(base.__name__ == "Callback" for base in getattr(factory, "__mro__", ()))
    if is_lightning:
        instantiate("callback", item, catalog, where=where)  # refuses wrong arguments now, not in the first trial
        return TrialCallbacks(lambda: instantiate("callback", item, catalog, where=where))
    return instantiate("callback", item, catalog, where=where)

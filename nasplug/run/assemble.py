"""Assembly: from a specification to configured plugins in one manager, checked before anything runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nasplug.contract.arguments import SEPARATOR
from nasplug.contract.errors import PluginError, SpecError, did_you_mean
from nasplug.contract.io import check_flow, inputs_of
from nasplug.contract.protocols import CAPABILITIES, HardwareTarget, HasHyperparameters, SearchSpace, Task, bind
from nasplug.contract.records import BASELINE, Budget, Objective, Trial
from nasplug.cost.candidate import Candidate
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.view import Setting, StudyView
from nasplug.plugins.catalog import Catalog
from nasplug.plugins.component import Component, instantiate
from nasplug.plugins.discovery import discover
from nasplug.plugins.manager import Manager, hooks_of
from nasplug.plugins.packages import missing
from nasplug.plugins.watchdog import Watchdog
from nasplug.run.base import Base, Enqueued, TrialCallbacks
from nasplug.run.baseline import Baseline, unhindered
from nasplug.run.hyperparameters import Fill, check_names
from nasplug.run.parts import PART, PARTS, Part, check_members
from nasplug.run.pricing import PREFIX, CostCaller, cost_callers, namespace_of
from nasplug.run.searched import PLACES, Variants, check_arguments, example_of
from nasplug.run.spec import RunSpec

if TYPE_CHECKING:
    from pytorch_lightning import Callback
    from torch import nn

    from nasplug.contract.protocols import Evaluator, Strategy
    from nasplug.contract.records import Direction
    from nasplug.contract.tracker import Tracker
    from nasplug.evaluate.trialrun import TrialRun
    from nasplug.ledger.facts import Facts
    from nasplug.ledger.study import Study
    from nasplug.report.section import Section


@dataclass
class Assembly:
    """All configured parts of one run.

    Attributes:
        spec: Specification that was composed, with objectives and costs filled in.
        manager: The plugins.
        space: The search space.
        task: The task, or None.
        strategy: None in workers.
        target: The hardware target, or None.
        costs: Cost plugins in the order of the specification.
        trackers: Trackers that follow the run; none in workers.
        parts: Components and what was made of them, by key of the specification.
        baseline: The network to compare with, or None.
    """

    spec: RunSpec
    manager: Manager
    space: SearchSpace
    task: Task | None
    strategy: Strategy | None
    target: HardwareTarget | None = None
    costs: list[CostCaller] = field(default_factory=list)
    trackers: list[Tracker] = field(default_factory=list)
    parts: Mapping[str, list[tuple[Component, object]]] = field(default_factory=dict)
    baseline: Baseline | None = None
    _setting: Setting | None = None  # of the last ledger: workers make one for every trial

    @cached_property
    def needs_history(self) -> bool:
        """Whether a plugin prunes, and so must be told the results of other trials."""
        return bool(self.manager.who("should_prune"))

    @cached_property
    def keeps_checkpoints(self) -> bool:
        """Whether trainings may be continued, so that optimiser states must be kept."""
        return bool(getattr(self.strategy, "keeps_checkpoints", False))

    def ledger(self, *, folder: Path | None = None, meta: Facts | None = None) -> Ledger:
        """Returns a new ledger of this run.

        Args:
            folder: Folder of artifacts; None for a temporary one.
            meta: Facts about the run.
        """
        if self._setting is None or self._setting.folder != folder or self._setting.meta != (meta or {}):
            self._setting = Setting(
                space=self.space,
                task=self.task,
                objectives=self.spec.objectives,
                constraints=self.spec.constraints,
                seed=self.spec.run.seed,
                budget=Budget(self.spec.budget.epochs),
                target=self.target,
                folder=folder,
                meta=meta or {},
            )
        return Ledger(self._setting)

    def candidate(self, run: TrialRun) -> Candidate:
        """Returns what cost plugins are asked to price of a trial before it is trained."""
        return Candidate(
            lambda: run.network,
            None if self.task is None else inputs_of(self.task),
            architecture=run.trial.architecture,
            space=self.space,
            task=self.task,
            transformed=len(self.manager.who("build")) > 1 or bool(run.trial.edits),
        )

    def network(self, study: StudyView, trial: Trial) -> nn.Module:
        """Returns the trial's untrained network as it ended: through the space, all wrappers and its edits."""
        from nasplug.evaluate.trialrun import TrialRun

        if trial.number == BASELINE and self.baseline is not None:
            study = self.of_baseline().ledger(folder=study.artifacts()).view
        return TrialRun(trial, study, manager=self.manager, device="cpu", threads=self.spec.run.threads).network

    def of_baseline(self) -> Assembly:
        """Returns the run as it is for the baseline: with its space, and with nothing that refuses or stops it.

        Raises:
            NasplugError: The baseline cannot be made.
        """
        assert self.baseline is not None
        return dataclasses.replace(
            self,
            spec=self.spec.replace(constraints=(), stoppers=()),
            manager=unhindered(self.manager),
            space=self.baseline.space,
            strategy=None,
            _setting=None,
        )

    def editors(self) -> list[tuple[str, Component]]:
        """Returns kind and component of the plugins outside `build` that can repeat edits of networks."""
        able = [plugin for _, plugin in self.manager.who("edit")]
        return [
            (PART[key].kind, item)
            for key, parts in self.parts.items()
            for item, plugin in parts
            if key != "build" and any(plugin is other for other in able)
        ]

    def export(self, study: Study, trial: Trial, folder: Path, formats: Sequence[str]) -> dict[str, Path]:
        """Writes a trial's network to files, in formats of the core or of any installed plugin.

        Args:
            study: Study of the trial.
            trial: Trial whose network is written.
            folder: Folder to write into.
            formats: Names of formats.

        Returns:
            Path by what it is.
        """
        from nasplug.export.exporter import Found
        from nasplug.export.write import exporters_of, write

        exporters = exporters_of(formats, discover(self.spec.plugins).catalog, where="formats")
        return write(Found.of(study, trial), exporters, folder)

    def sections(self, study: Study) -> Iterator[tuple[str, Callable[[], list[Section]]]]:
        """Returns names of plugins that add to the report, and functions that give what each adds.

        Args:
            study: Study to report on.
        """
        for name, plugin in reversed(self.manager.who("sections")):
            others = [other for _, other in self.manager.named() if other is not plugin]

            def answers(others: list[object] = others) -> list[Section]:
                found = self.manager.without(others, "sections")(study=study)
                return [section for answer in found for section in answer or ()]

            yield name, answers


@dataclass
class _Maker:
    """Makes the components of a specification, or takes the ready-made objects of Python callers."""

    spec: RunSpec
    catalog: Catalog
    objects: Mapping[str, object]
    watchdog: Watchdog

    def one(self, part: Part, item: Component, where: str) -> Any:
        with self.watchdog.watching(f"{where}: {item.name}", "constructor"):
            return self._one(part, item, where)

    def _one(self, part: Part, item: Component, where: str) -> Any:
        if where in self.objects:
            made = self.objects[where]
        elif part.kind == "callback":
            made = _callback(item, self.catalog, where)
        else:
            made = instantiate(part.kind, item, self.catalog, where=where)
        if isinstance(made, type):
            raise SpecError(
                f"{made.__qualname__} is a class", where=where, fix=f"make an instance: {made.__name__}(...)"
            )
        check_members(made, part, item.name, PluginError)
        return _ready_callback(made) if part.kind == "callback" else made

    def all(self, key: str) -> list[tuple[Component, Any]]:
        part, items = PART[key], getattr(self.spec, key)
        if part.many:
            return [(item, self.one(part, item, f"{key}[{i}]")) for i, item in enumerate(items)]
        return [] if items is None else [(items, self.one(part, items, key))]


def compose(
    spec: RunSpec,
    catalog: Catalog,
    objects: Mapping[str, object] | None = None,
    *,
    with_strategy: bool = True,
    watchdog: Watchdog | None = None,
) -> Assembly:
    """Builds and checks everything a run needs; trains nothing.

    Args:
        spec: The specification.
        catalog: Catalog to look slugs up in.
        objects: Ready-made objects by key of the specification (`task`, `space`, `costs[0]`, ...), from Python
            callers. They take the place of the component of that key.
        with_strategy: False in workers.
        watchdog: Watchdog that looks after constructors, and what components are asked here.

    Raises:
        SpecError: Anything that cannot work, with a suggestion.
        PluginError: A component that does not fit the contract, or does not come back.
    """
    watchdog = watchdog or Watchdog(0.0)
    make = _Maker(spec, catalog, objects or {}, watchdog)
    made = {
        part.key: make.all(part.key) for part in PARTS if part.key != "costs" and (with_strategy or not part.driver)
    }
    space: SearchSpace = made["space"][0][1]
    task: Task | None = made["task"][0][1] if made["task"] else None
    evaluator: Evaluator = made["evaluator"][0][1]
    with watchdog.watching("space or task", "check"):
        _check_task(space, task, evaluator, spec)
        if task is not None:
            bind(space, task)

    manager = Manager([("space", Base()), (f"evaluator:{spec.evaluator.name}", evaluator)])
    for part in (getattr(space, "inner", None), space):  # a space knows best what its networks can pass on
        if part is not None and hooks_of(part):
            manager.register(part, f"space:{spec.space.name}" if part is space else "space, inside")
    if task is not None and hasattr(task, "sections"):  # tasks add to the report, and have no other hook
        manager.register(task, "task")
    if isinstance(space, HasHyperparameters):
        manager.register(Fill(space), "hyperparameters")
    with watchdog.watching(f"target: {spec.target}", "hook hardware_target"):
        target = None if spec.target is None else find_target(spec.target, catalog, manager)
    spec, costs = _costs(make, evaluator, task, target)
    for namespace, plugin in costs.items():
        manager.register(plugin, f"{PREFIX}{namespace}")
    searchable: dict[str, tuple[str, int, Component]] = {}
    for key, prefix in (("build", "build"), ("stoppers", "stopper"), ("callbacks", "callback")):
        for position, (item, plugin) in enumerate(made[key]):
            manager.register(plugin, f"{prefix}:{item.name}#{position}")
            if key in PLACES:
                searchable[f"{prefix}:{item.name}#{position}"] = key, position, item

    def anew(name: str, item: Component) -> object:
        key, position, _ = searchable[name]
        return make.one(PART[key], item, f"{key}[{position}]")

    manager.variants = Variants(manager, {name: item for name, (_, _, item) in searchable.items()}, anew)
    strategy = None
    if with_strategy:
        strategy = made["strategy"][0][1]
        with watchdog.watching("space or task", "check"):
            _check_strategy(strategy, spec, space, task, make.objects)
            for genotype in spec.enqueue:
                space.architecture(genotype)
        manager.register(strategy, f"strategy:{spec.strategy.name}")
        if isinstance(space, HasHyperparameters):  # what no plugin takes is refused now
            manager.of_trial(example_of(space, spec.run.seed))
        if spec.enqueue:
            manager.register(Enqueued(spec.enqueue), "enqueue")
    trackers = [tracker for _, tracker in made.get("trackers", ())]
    with watchdog.watching("baseline", "check"):
        baseline = None if spec.baseline is None else Baseline(spec.baseline, space, task, make.objects.get("baseline"))
    return Assembly(spec, manager, space, task, strategy, target, cost_callers(manager), trackers, made, baseline)


def _check_task(space: SearchSpace, task: Task | None, evaluator: Evaluator, spec: RunSpec) -> None:
    if task is None:
        if getattr(evaluator, "needs_task", False):
            raise SpecError(f"the evaluator {spec.evaluator.name!r} needs a task", where="task", fix="add `task: NAME`")
        return
    if hasattr(task, "check"):
        task.check()
    if getattr(evaluator, "needs_task", False):
        check_flow(space, task, spec.space.name, "" if spec.task is None else spec.task.name)


def _check_strategy(
    strategy: Strategy, spec: RunSpec, space: SearchSpace, task: Task | None, objects: Mapping[str, object]
) -> None:
    for protocol in getattr(strategy, "requires", ()):
        if not isinstance(space, protocol):
            has = [name for name, known in CAPABILITIES.items() if isinstance(space, known)]
            raise SpecError(
                f"needs a space with the capability {protocol.__name__}; {spec.space.name!r} does not have it",
                where=f"strategy: {spec.strategy.name}",
                why=f"the space has {', '.join(has) or 'none'}",
                fix="take another space or another strategy; `nasplug list space` shows capabilities",
            )
    names = check_names(space, getattr(strategy, "hyperparameters", ()), where=f"strategy: {spec.strategy.name}")
    ours = [name for name in names if SEPARATOR not in name]
    if ours and task is not None:
        task.check_hyperparameters(ours)
    places = [(item, f"{key}[{i}]" not in objects) for key in PLACES for i, item in enumerate(getattr(spec, key))]
    check_arguments(names, places)


def find_target(name: str, catalog: Catalog, manager: Manager | None = None) -> HardwareTarget:
    """Finds a hardware target by name, through the plugin that announces its family.

    Raises:
        UnknownNameError: No plugin announces the part before the colon.
        SpecError: The plugin does not know the variant.
    """
    manager = manager or Manager()
    family = name.split(":")[0]
    plugin = instantiate("target", Component(family), catalog, where="target")
    manager.register(plugin, f"target:{family}")
    found: HardwareTarget | None = manager.call("hardware_target", name=name)
    if found is None:
        variants = getattr(plugin, "variants", ())
        raise SpecError(
            f"the plugin {family!r} does not know {name!r}", where="target", fix=did_you_mean(name, variants)
        )
    return found


def _costs(
    make: _Maker, evaluator: Evaluator, task: Task | None, target: HardwareTarget | None
) -> tuple[RunSpec, dict[str, object]]:
    """The cost plugins by namespace, those that objectives and constraints pull in included."""
    given: dict[str, object] = {}
    for position, item in enumerate(make.spec.costs):
        plugin = make.one(PART["costs"], item, f"costs[{position}]")
        given[namespace_of(item, plugin, make.catalog)] = plugin
    spec = _complete(make.spec, make.catalog, evaluator, task, target, set(given))
    for item in spec.costs[len(make.spec.costs) :]:
        given[item.name] = make.one(PART["costs"], item, "costs")
    return spec, given


def _complete(
    spec: RunSpec,
    catalog: Catalog,
    evaluator: Evaluator,
    task: Task | None,
    target: HardwareTarget | None,
    given: set[str],
) -> RunSpec:
    """Fills in the default objective and the costs that objectives and constraints name, and checks all names."""
    source = evaluator if hasattr(type(evaluator), "objectives") or hasattr(evaluator, "objectives") else task
    metrics: Mapping[str, Direction] = getattr(source, "objectives", {})
    # A module may log anything; the rehearsal learns what it is.
    learns = source is task and getattr(task, "logs_anything", False) and hasattr(evaluator, "needs_task")
    if not spec.objectives:
        if not metrics:
            raise SpecError("no objective is given", where="objectives", fix="write {METRIC: max}")
        name, direction = next(iter(metrics.items()))
        spec = spec.replace(objectives=(Objective(name, direction),))
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
            why, fix = missing(catalog, name, "cost", "target")
            if learns and fix is None and not catalog.has("target", base):
                continue
            raise SpecError(
                f"nothing answers {name!r}, which an objective or constraint names",
                where="objectives",
                why=why,
                fix=fix or f"{did_you_mean(name, known)}. Costs of a hardware target need `target: NAME`",
            )
    more = {name: item for name, item in more.items() if name not in given}
    return dataclasses.replace(spec, costs=(*spec.costs, *more.values()))


def _ready_callback(made: object) -> object:
    """A Lightning callback is made anew for every trial, as it keeps state; a plugin decides for itself."""
    if isinstance(made, TrialCallbacks) or (
        not hasattr(made, "on_train_start") and hasattr(made, "configure_callbacks")
    ):
        return made
    hooks = hooks_of(made)
    if hasattr(made, "on_train_start") and hooks:
        raise PluginError(
            f"is a Lightning callback with hooks of nasplug ({', '.join(sorted(hooks))}), which would never be called: "
            "a callback is made anew for every trial",
            where=f"callback {type(made).__name__!r}",
            fix="put the hooks into a class of its own, whose `configure_callbacks(run)` makes the callback",
        )
    if not hasattr(made, "on_train_start"):
        raise PluginError(
            "is neither a Lightning callback nor an object with the hook `configure_callbacks`",
            where=f"callback {type(made).__name__!r}",
        )
    import copy

    callback = cast("Callback", made)
    return TrialCallbacks(lambda: copy.deepcopy(callback))


def _callback(item: Component, catalog: Catalog, where: str) -> object:
    from nasplug.plugins.component import resolve

    factory = resolve("callback", item, catalog, where=where)
    is_lightning = any(base.__name__ == "Callback" for base in getattr(factory, "__mro__", ()))
    made: object = instantiate(
        "callback", item, catalog, where=where
    )  # refuses wrong arguments now, not in the first trial
    if not is_lightning:
        return made
    fresh: Callable[[], Callback] = lambda: instantiate("callback", item, catalog, where=where)  # noqa: E731
    return TrialCallbacks(fresh)

"""A study: what is taken out of which module, how it is trained, and the search that does it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.ledger.ledger import Ledger
from nasplug.plugins.component import Component, instantiate
from nasplug.plugins.discovery import discover
from nasplug.run.spec import RunSpec
from nasplug_ablation.components import Entry
from nasplug_ablation.data.features import Features
from nasplug_ablation.plan import Plan, make_plan
from nasplug_ablation.report.report import AblationReport
from nasplug_ablation.setup import NAMES, Setup, grouped
from nasplug_ablation.source import Source
from nasplug_ablation.space import VariantSpace, plain_entries
from nasplug_ablation.strategies.ablator import Ablator

if TYPE_CHECKING:
    from nasplug.contract.tracker import Tracker
    from nasplug.ledger.study import Study

#: Trials that are proposed ahead of results; more workers than that stay idle.
_AHEAD = 256
#: Keys of a specification of a study.
KEYS = (
    *("module", "module_args", "data", "data_args", "study", "trial", "features", "components"),
    *("metric", "direction", "seeds", "strategy", "epochs", *NAMES),
)


class AblationStudy:
    """What the parts of a module, its data and its training are worth.

    Methods add components and return the study, so that they can be written in a row.

    Example:
        >>> study = AblationStudy(LitNet, Digits, metric="val_acc", epochs=10)
        >>> study.module("net.se").group("net.layer*.*.act", name="all activations").feature("age")
        >>> print(study.plan())
        >>> report = study.run(workers=4, storage="ablation.sqlite")
        >>> report.write("ablation.md", "ablation.png")

    Args:
        module: LightningModule class, or a function that makes the module; a path of one; or a ready task that makes
            whole modules.
        data: LightningDataModule class, or what `AblationTask` takes.
        metric: Metric that the module logs.
        direction: Whether it is to be large (`max`) or small (`min`).
        module_args: Arguments of `module`.
        data_args: Arguments of `data`.
        features: Names of the features of the data, and their place.
        components: Entries, as in a specification.
        seeds: Seeds that every variant is trained with, or their number.
        strategy: `loco`, `pairs`, `add_one_in`, `backward`, `shapley`, or one with options:
            `{"shapley": {"orders": 8}}`.
        epochs: Epochs of every training.
        setup: Setup of all trainings: callbacks, options of the Trainer and of the run, ...; a `Setup`
            or its values by name.

    Raises:
        SpecError: A part of the setup or of the features is unknown.
    """

    def __init__(
        self,
        module: object,
        data: object = None,
        *,
        metric: str = "val_acc",
        direction: str = "max",
        module_args: JsonObject | None = None,
        data_args: JsonObject | None = None,
        features: Features | JsonObject | None = None,
        components: Sequence[Entry] = (),
        seeds: int | Sequence[int] = 3,
        strategy: object = "loco",
        epochs: int = 1,
        setup: Setup | Mapping[str, object] | None = None,
    ) -> None:
        self.setup = Setup.of(setup)
        self._task: object = module
        self._given: dict[str, object] = {
            "data": data,
            "module_args": module_args,
            "data_args": data_args,
            "callbacks": self.setup.callbacks,
        }
        self.metric, self.direction = metric, direction
        self._features = _features(features)
        self.components: list[Entry] = list(components)
        self.seeds = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
        self.strategy = _strategy(strategy, self.seeds)
        self.epochs, self.options, self.plugins = epochs, dict(self.setup.run), list(self.setup.plugins)

    # -- what is taken away --------------------------------------------------------------------------------------

    def _add(self, **entry: object) -> Self:
        self.components.append({key: value for key, value in entry.items() if value is not None})
        return self

    def module(self, path: str, policy: str | None = None, name: str | None = None) -> Self:
        """Adds one module.

        Args:
            path: Path in the LightningModule, or the end of it if that is unique.
            policy: Policy of the removal; None takes the first that fits.
            name: Name in tables.
        """
        return self._add(module=path, policy=policy, name=name)

    def modules(self, pattern: str | Sequence[str], policy: str | None = None) -> Self:
        """Adds each module that a pattern matches.

        Args:
            pattern: Path with `*` within a segment and `**` for any number of segments; or several.
            policy: Policy of the removals.
        """
        return self._add(modules=pattern, policy=policy)

    def type(self, kind: object, *, together: bool, policy: str | None = None, name: str | None = None) -> Self:
        """Adds modules of a class.

        Args:
            kind: Class, or its name.
            together: Whether one trial lacks all of them, and not one trial each.
            policy: Policy of the removals.
            name: Name in tables, if they go together.
        """
        return self._add(type=kind, together=together, policy=policy, name=name)

    def span(self, first: str, last: str, name: str | None = None) -> Self:
        """Adds everything from one module to another of the same parent.

        Args:
            first: Path of the first module.
            last: Path of the last module.
            name: Name in tables.
        """
        return self._add(span=[first, last], name=name)

    def group(self, members: str | Sequence[object], policy: str | None = None, name: str | None = None) -> Self:
        """Adds components that leave together.

        Args:
            members: Pattern of modules, or patterns and entries.
            policy: Policy of the modules.
            name: Name in tables.
        """
        return self._add(group=members, policy=policy, name=name)

    def replace(self, path: str, by: object, args: JsonObject | None = None, name: str | None = None) -> Self:
        """Adds a module with another one in its place.

        Args:
            path: Path of the module.
            by: Class of the other one, or its path.
            args: Arguments of the class.
            name: Name in tables.
        """
        return self._add(replace=path, by=by, args=args, name=name)

    def feature(self, feature: object, mode: str | None = None, fill: object = None, name: str | None = None) -> Self:
        """Adds a feature of the data, or several that leave together.

        Args:
            feature: Name, position, `{at, axis, index}`, or a list of those.
            mode: `fill`, `drop` or `permute`.
            fill: Number that is put there, or `mean`.
            name: Name in tables.
        """
        return self._add(feature=feature, mode=mode, fill=fill, name=name)

    def features(self, features: object = "all", mode: str | None = None, fill: object = None) -> Self:
        """Adds each of several features.

        Args:
            features: Names or positions; `all` for those that have names.
            mode: `fill`, `drop` or `permute`.
            fill: Number that is put there, or `mean`.
        """
        return self._add(features=features, mode=mode, fill=fill)

    def callback(self, callback: str, name: str | None = None) -> Self:
        """Adds a callback of the base.

        Args:
            callback: Name of the callback.
            name: Name in tables.
        """
        return self._add(callback=callback, name=name)

    def augmentation(self, step: str, name: str | None = None) -> Self:
        """Adds a step of the transforms of the training data.

        Args:
            step: Name of its class, with `#2` for the second of that name.
            name: Name in tables.
        """
        return self._add(augmentation=step, name=name)

    def loss(self, term: str, name: str | None = None) -> Self:
        """Adds a term of the loss.

        Args:
            term: Path of the weight, method or module that makes it.
            name: Name in tables.
        """
        return self._add(loss=term, name=name)

    def hyperparameter(self, parameter: str, value: Json, name: str | None = None) -> Self:
        """Adds another value of a hyperparameter.

        Args:
            parameter: Name of an argument of the module, or `data.NAME`.
            value: Value that it has without the component.
            name: Name in tables.
        """
        return self._add(hyperparameter={parameter: value}, name=name)

    def custom(self, call: Callable[..., object] | str, name: str | None = None) -> Self:
        """Adds a variant of one's own.

        Args:
            call: Function that changes the LightningModule that it is given, or makes another one from nothing.
            name: Name in tables.
        """
        return self._add(custom=call, name=name)

    # -- what is run ---------------------------------------------------------------------------------------------

    def specification(self) -> tuple[RunSpec, dict[str, object]]:
        """Returns the search that does the study, and the ready objects in it that cannot be written down.

        Raises:
            SpecError: A part of it cannot be read.
        """
        objects: dict[str, object] = {}
        task, space = self._task_part(objects), self._space_part(objects)
        data = {
            "space": space,
            "task": task,
            "strategy": self.strategy.to_plain(),
            "evaluator": self.setup.training,
            "build": [*self.setup.build, "ablation"],
            "objectives": {self.metric: self.direction},
            "budget": {"epochs": self.epochs},
            "run": {"batch": _AHEAD, **self._executor(), **self.options},
            "plugins": self.plugins,
        }
        return RunSpec.parse(data), objects

    def _executor(self) -> dict[str, Json]:
        workers = self.options.get("workers", 1)
        return {"executor": "process"} if isinstance(workers, int) and workers > 1 else {}

    def plan(self) -> Plan:
        """Tries every variant without training it.

        Raises:
            SpecError: An entry matches nothing or is ambiguous, or the step of the module cannot be run.
        """
        return self._planned()[0]

    def run(
        self,
        *,
        trackers: Sequence[Tracker] = (),
        resume: bool = True,
        retry_failed: str | Sequence[str] = (),
        **options: Json,
    ) -> AblationReport:
        """Plans the study, refuses what cannot be made, trains what is not in its file yet, and reports.

        Args:
            trackers: Trackers that follow the run.
            resume: Whether a study file that has trials is taken up.
            retry_failed: Kinds of failures whose trials run again.
            **options: Options of the run: `workers`, `storage`, `device`, ...

        Raises:
            SpecError: A component cannot be taken away; nothing was trained.
        """
        from nasplug.run.api import run_spec

        before = dict(self.options)
        self.options.update({name: value for name, value in options.items() if value is not None})
        try:
            plan, spec, objects = self._planned()
        finally:
            self.options = before
        plan.check()
        spec = spec.replace(budget=dataclasses.replace(spec.budget, trials=plan.most))
        study = run_spec(spec, objects=objects, trackers=trackers, resume=resume, retry_failed=retry_failed)
        return AblationReport(study)

    def _planned(self) -> tuple[Plan, RunSpec, dict[str, object]]:
        spec, objects = self.specification()
        catalog = discover(spec.plugins).catalog
        space = objects.get("space") or instantiate("space", spec.space, catalog, where="space")
        assert spec.task is not None
        task = objects.get("task") or instantiate("task", spec.task, catalog, where="task")
        strategy = instantiate("strategy", spec.strategy, catalog, where="strategy")
        if not isinstance(space, VariantSpace) or not isinstance(strategy, Ablator):
            raise SpecError(f"{spec.strategy.name!r} ablates nothing", where="strategy", fix="take loco, pairs, ...")
        view = Ledger.of(space, task=task, seed=spec.run.seed).view  # type: ignore[arg-type]
        return make_plan(space, strategy, view), spec, objects

    def _task_part(self, objects: dict[str, object]) -> object:
        if isinstance(self._task, (Mapping, Component)):
            return self._task
        if isinstance(self._task, Source):
            objects["task"] = self._task
            return {"class_path": f"{type(self._task).__module__}.{type(self._task).__qualname__}"}
        args = {"module": self._task, **{name: value for name, value in self._given.items() if value is not None}}
        args["objectives"] = {self.metric: self.direction}
        if plain_entries([args]) is None:
            from nasplug_ablation.task import AblationTask

            objects["task"] = AblationTask(**args)  # type: ignore[arg-type]
            return "ablation"
        return {"ablation": args}

    def _space_part(self, objects: dict[str, object]) -> object:
        args: dict[str, object] = {"components": self.components}
        if self._features is not None:
            args["features"] = {
                key: value for key, value in dataclasses.asdict(self._features).items() if value is not None
            }
        if plain_entries(self.components) is None:
            objects["space"] = VariantSpace(self.components, self._features)
            return {"ablation": {"components": _described(self.components)}}
        return {"ablation": args}

    # -- where studies come from ---------------------------------------------------------------------------------

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Reads a specification as plain data; see `KEYS`.

        Args:
            data: Specification.

        Raises:
            SpecError: A key is unknown, or there is neither a module nor a study.
        """
        for key in data:
            if key not in KEYS:
                raise SpecError(f"there is no key {key!r}", where="specification", fix=did_you_mean(str(key), KEYS))
        given = {key: value for key, value in data.items() if value is not None}
        if ("module" in given) == ("study" in given):
            raise SpecError(
                "there are both `module` and `study`" if "module" in given else "there is neither `module` nor `study`",
                where="specification",
                fix="write `module: my_project:LitNet`, or `study: search.sqlite` for what a search has found",
            )
        if "study" in given:
            return cls.of(given.pop("study"), given.pop("trial", None), **given)
        return cls(given.pop("module"), given.pop("data", None), **grouped(given))  # type: ignore[arg-type]

    @classmethod
    def of(cls, study: Study | str | Path, trial: int | None = None, **settings: Any) -> Self:
        """Returns the study of a network that a search has found, trained as the search trains.

        Args:
            study: Search, or its file.
            trial: Number of the trial; None is the best.
            **settings: Settings that differ, as keys of a specification; without `components`, the blocks of the
                network.

        Raises:
            SpecError: The search has no such trial, or nothing that could be ablated.
        """
        from nasplug_ablation.winner import settings_of

        made: dict[str, Any] = {**settings_of(study, trial), **settings}
        return cls(made.pop("module"), **grouped(made))  # type: ignore[arg-type]


def read_study(path: str | Path, overrides: Sequence[str] = ()) -> AblationStudy:
    """Reads the specification of a study from a YAML file.

    Args:
        path: The file.
        overrides: Changes, such as `run.workers=4`.

    Raises:
        SpecError: It cannot be read.
    """
    from nasplug.run.spec import _read_yaml, apply_override

    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(f"there is no file {str(path)!r}", where="specification", fix="check the path") from None
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise SpecError("not a YAML file", where=str(path), why=" ".join(str(error).split())) from error
    data = _read_yaml(text, str(path))
    if not isinstance(data, dict):
        raise SpecError("a specification is a mapping of keys", where=str(path))
    for override in overrides:
        apply_override(data, override)
    if isinstance(data.get("study"), str):  # beside the specification, wherever that is read from
        beside = Path(path).parent / data["study"]
        data["study"] = str(beside if beside.is_file() else data["study"])
    return AblationStudy.parse(data)


def _strategy(given: object, seeds: Sequence[int]) -> Component:
    asked = Component.parse(given, where="strategy")
    name = asked.name if "." in asked.name else f"ablation.{asked.name}"
    return Component(name, {"seeds": list(seeds), **asked.args}, is_path=asked.is_path)


def _features(given: Features | JsonObject | None) -> Features | None:
    if given is None or isinstance(given, Features):
        return given
    known = [item.name for item in dataclasses.fields(Features)]
    if isinstance(given, (list, tuple)):
        return Features(names=list(given))
    for key in given:
        if key not in known:
            raise SpecError(f"features have no {key!r}", where="features", fix=did_you_mean(str(key), known))
    values: dict[str, Any] = dict(given)
    return Features(**values)


def _described(entries: Sequence[Entry]) -> list[dict[str, object]]:
    """Entries with functions by their paths, for the study file."""
    from nasplug_ablation.components import location_of

    return [
        {key: location_of(value) if callable(value) else value for key, value in entry.items()} for entry in entries
    ]


__all__ = ["KEYS", "AblationStudy", "read_study"]

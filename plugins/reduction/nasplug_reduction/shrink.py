"""`shrink`: from a trained model to a smaller one, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.io import inputs_of
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.evaluate.usermodel import ModelLike, UserModel, factory_of
from nasplug.plugins.component import Component, component, instantiate, resolve
from nasplug.plugins.discovery import discover
from nasplug.run.api import search
from nasplug.run.assemble import find_target
from nasplug.tasks import LightningTask
from nasplug_reduction.budgets import read_budget
from nasplug_reduction.labels import check_labels
from nasplug_reduction.pricing import Pricer, absolute
from nasplug_reduction.result import Reduced
from nasplug_reduction.space import ReductionSpace, Widths
from nasplug_reduction.task import DataLike, arguments_of, objective, task_of

if TYPE_CHECKING:
    from nasplug.contract.protocols import Task
    from nasplug.contract.records import Direction
    from nasplug_reduction.strategies.course import Reduction

#: Settings of the space that are not those of the model.
_SETTINGS = ("importance", "widths", "blocks", "recalibrate", "operators", "resolutions")


def shrink(
    model: ModelLike,
    weights: str | Path | None = None,
    data: DataLike = None,
    *,
    keep: float | Mapping[str, float] | None = None,
    at_most: Mapping[str, float] | None = None,
    metric: str = "val_acc",
    target: str | None = None,
    strategy: str | Component = "reduction.sensitivity",
    epochs: int = 10,
    space: Mapping[str, Any] | None = None,
    training: JsonObject | None = None,
    retain: str = "best 1",
    **run: Any,
) -> Reduced:
    """Makes a trained model smaller, and trains the result beside the uniformly narrow network of the same budget.

    Example:
        >>> reduced = shrink("my_project:model", "w.ckpt", "my_project.Data", keep=0.25, metric="val_acc")
        >>> print(reduced)
        >>> reduced.write("small"), reduced.onnx("small/small.onnx")

    Args:
        model: `package.module:name` of a class or function that makes the network or the LightningModule, `timm:NAME`,
            the class or function itself, or a trained module.
        weights: File of trained weights, or `hub` for those of timm; not needed for a trained module.
        data: A LightningDataModule, its class or path; a folder of images, an .npz file or another source; or a task.
        keep: Share of the parameters that stays, or shares by cost, such as `{"macs": 0.5}`.
        at_most: Largest values by cost, such as `{"npu/latency_s": 0.002}`.
        metric: Metric of the validation, with `:min` or `:max` where its name does not say which is better.
        target: Hardware target, such as `npu:wu32` or `cpu`.
        strategy: Name of the strategy, or a component with settings of its own, beside budget and epochs.
        epochs: Number of epochs that the result is trained.
        space: Further arguments of `ReductionSpace`.
        training: Arguments of the LightningModule, or settings of the training of a plain network, such as `lr`.
        retain: Rule for the files of trials that stay beside those of the result: `best N`, `front` or `all`.
        **run: Arguments of `nasplug.search`, such as `storage`, `workers`, `seed` and `device`.

    Raises:
        SpecError: The model, its weights, the data or the budget cannot be used; nothing was trained.
        StudyError: The original network could not be scored, or there is no result.
    """
    shares, limits = read_budget(keep, at_most)
    objective(metric)
    settings = dict(space or {})
    file = None if weights is None else str(weights)
    task, made = _task_and_space(model, file, data, metric, dict(settings), training)
    if not isinstance(strategy, (str, Component)):
        raise SpecError(
            f"expected the name of a strategy, got {type(strategy).__name__}",
            where="shrink, strategy",
            fix="write 'reduction.greedy', or nasplug.component('reduction.greedy', steps=4)",
        )
    named = strategy if isinstance(strategy, Component) else component(strategy)
    given: dict[str, Any] = {"keep": shares, "at_most": limits, "final_epochs": epochs}
    wanted = Component(named.name, {**given, **named.args}, named.is_path)
    course = _course(named, wanted)
    _check_budget(made, shares, limits, target)
    directions = cast("dict[str, Direction]", objective(metric))
    costs: dict[str, Direction] = dict.fromkeys([*shares, *limits, "params"], "min")
    parts: dict[str, Any] = {"task": task, "space": made}
    if isinstance(model, str) and (data is None or isinstance(data, str)):  # a study that any process can open
        parts = _named(model, file, data, metric, {**settings, "inputs": made.inputs.to_plain()}, training)
        if model.startswith("timm:"):
            parts["space"].args["arguments"] = dict(made.model.arguments)
    study = search(
        **parts,
        strategy=wanted,
        objectives={**directions, **costs},
        target=target,
        costs=["macs"] if "macs" not in costs else [],
        **{"trials": course.most_trials(len(made.choices)), "epochs": 1, "keep": retain, **run},
    )
    return Reduced(study)


def _course(named: Component, wanted: Component) -> Reduction:
    """The strategy, which has to know what a budget is.

    Raises:
        SpecError: It searches any space, and takes constraints instead.
    """
    from nasplug_reduction.strategies.course import Reduction

    catalog = discover().catalog
    found = resolve("strategy", named, catalog, where="strategy")
    if not (isinstance(found, type) and issubclass(found, Reduction)):
        names = [name for name in catalog.names("strategy") if name.startswith("reduction.")]
        raise SpecError(
            f"the strategy {named.name!r} does not reduce to a budget",
            where="shrink",
            why="it searches any space, and knows no original and no uniform network",
            fix=f"take one of {', '.join(names)}; or search the space `reduction` with {named.name!r} by a "
            "specification, under a constraint such as `params <= 100000`",
        )
    made: Reduction = instantiate("strategy", wanted, catalog, where="strategy")
    return made


def _named(
    model: str,
    weights: str | None,
    data: str | None,
    metric: str,
    settings: dict[str, Any],
    training: Mapping[str, Json] | None,
) -> dict[str, Any]:
    """Task and space as a specification names them."""
    shared = {key: settings[key] for key in ("arguments", "network_attribute", "inputs") if settings.get(key)}
    task = {"model": model, "data": data, "weights": weights, "metric": metric, **shared}
    if training:
        task["training"] = dict(training)
    given = {name: value for name, value in task.items() if value is not None}
    return {
        "task": component("reduction", **given),
        "space": component("reduction", model=model, weights=weights, **settings),
    }


def _task_and_space(
    model: ModelLike,
    weights: str | None,
    data: DataLike,
    metric: str,
    settings: dict[str, Any],
    training: Mapping[str, Json] | None,
) -> tuple[Task, ReductionSpace]:
    attribute, prefix = settings.pop("network_attribute", None), settings.pop("prefix", None)
    arguments: dict[str, Json] = dict(settings.pop("arguments", None) or {})
    inputs = settings.pop("inputs", None)
    for name in settings:
        if name not in _SETTINGS:
            raise SpecError(
                f"the space has no setting {name!r}", where="shrink, space", fix=did_you_mean(name, _SETTINGS)
            )
    if isinstance(settings.get("widths"), Mapping):
        settings["widths"] = Widths.of(settings["widths"])
    if isinstance(model, str) and model.startswith("timm:") and "num_classes" not in arguments:
        factory_of(model)  # a misspelled name is said before its data are read
        task = task_of(None, data, metric, training, inputs, like=model)
        made = UserModel(model, weights, {**arguments_of(task), **arguments}, attribute, prefix)
    else:
        made = UserModel(model, weights, arguments, attribute, prefix)
        task = task_of(made, data, metric, training, inputs)
        if isinstance(task, LightningTask) and not made.is_lightning and not hasattr(data, "objectives"):
            check_labels(task, task.outputs)
    return task, ReductionSpace(made, inputs=inputs_of(task), **settings)


def _check_budget(
    space: ReductionSpace, keep: Mapping[str, float], at_most: Mapping[str, float], target: str | None
) -> None:
    """Refuses a budget that no network keeps to before anything is trained."""
    hardware = None if target is None else find_target(target, discover().catalog)
    absolute(Pricer(space, hardware, [*keep, *at_most]), keep, at_most)

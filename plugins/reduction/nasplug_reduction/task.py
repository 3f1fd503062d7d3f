"""The training and the data of a user's model, as a task."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from torch import Tensor, nn

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.io import Inputs, InputsLike, inputs_of
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.protocols import Task
from nasplug.contract.records import Scalar
from nasplug.data.folder import ImageFolder
from nasplug.data.npz import Npz
from nasplug.data.settings import Loading
from nasplug.data.source import ImageSource
from nasplug.evaluate.usermodel import KINDS, RANDOM, UserModel
from nasplug.plugins.catalog import load_location
from nasplug.tasks import ImageClassification, LightningTask, Training

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule

    from nasplug.data.source import ImageSource as Source

#: `package.module:Class` of a LightningDataModule, a folder of images, an .npz file; or a data module, a source of
#: images, a class of either, loaders, or a whole task.
DataLike: TypeAlias = object

_WHERE = "data"
#: Words in the name of a metric that is better when it is smaller.
_SMALLER = ("loss", "error", "rmse", "mse", "mae", "ece", "perplexity")


def objective(metric: str) -> dict[str, str]:
    """Reads a metric as people write it: `val_acc`, `val_loss`, or `val_score:min` where the name does not say it."""
    if not isinstance(metric, str):
        raise SpecError(f"expected the name of a metric, got {metric!r:.80}", where="metric", fix="write val_acc")
    name, _, stated = metric.partition(":")
    if stated not in ("", "max", "min"):
        raise SpecError(f"cannot read the metric {metric!r}", where="metric", fix="write val_acc, or val_score:min")
    return {name: stated or ("min" if any(word in name.lower() for word in _SMALLER) else "max")}


def read_data(data: DataLike) -> object:
    """Returns data as objects: a task, a source of images, or what `LightningTask` takes.

    Raises:
        SpecError: There is nothing of that name.
    """
    if isinstance(data, str):
        path = Path(data).expanduser()
        if path.is_dir():
            return ImageFolder(str(path))
        if path.suffix == ".npz":
            return Npz(str(path))
        if ":" not in data and "." not in data:
            from nasplug.plugins.component import Component, instantiate
            from nasplug.plugins.discovery import discover

            return instantiate("data", Component(data), discover().catalog, where=_WHERE)
        data = load_location(data, where=_WHERE)
    if isinstance(data, type) or (callable(data) and not hasattr(data, "train_dataloader") and not _is_task(data)):
        try:
            data = cast("Callable[[], object]", data)()
        except TypeError as error:
            raise SpecError(
                f"{getattr(data, '__name__', data)} cannot be made without arguments",
                where=_WHERE,
                why=str(error),
                fix="give its arguments defaults, or name a function that makes it",
            ) from error
    return data


def reduction(
    model: str,
    data: str | None = None,
    weights: str | None = None,
    metric: str = "val_acc",
    arguments: JsonObject | None = None,
    training: JsonObject | None = None,
    inputs: InputsLike | None = None,
    network_attribute: str | None = None,
) -> Task:
    """The training and the data of a user's model, as the task of a specification whose space is `reduction`.

    Args:
        model: `package.module:name` of a class or function that makes a LightningModule or a network, or `timm:NAME`.
        data: `package.module.Class` of a LightningDataModule, a folder of images, an .npz file or a source of images.
        weights: File of trained weights, of which the arguments in a Lightning checkpoint are read.
        metric: Metric of the validation, with `:min` or `:max` where its name does not say which is better.
        arguments: Arguments of the class or function.
        training: Arguments of the LightningModule, or settings of the training of a plain network, such as `lr`.
        inputs: Inputs of the network; None reads them off a batch.
        network_attribute: Path of the network inside a LightningModule; None finds it.

    Raises:
        SpecError: Nobody says how the network is trained.
    """
    if model.startswith("timm:") and "num_classes" not in (arguments or {}):
        return task_of(None, data, metric, training, inputs, like=model)
    made = UserModel(model, RANDOM if weights is None else weights, arguments, network_attribute)
    return task_of(made, data, metric, training, inputs)


def nasplug_examples() -> list[JsonObject]:
    """What `nasplug test-plugin` tries the task with."""
    return [{"model": "nasplug_reduction.example:small_resnet", "data": "digits"}]


def task_of(
    model: UserModel | None,
    data: DataLike,
    metric: str,
    hyperparameters: Mapping[str, Json] | None = None,
    inputs: InputsLike | None = None,
    like: str | None = None,
) -> Task:
    """Makes the task that a model is trained and scored with.

    A LightningModule trains as it always does. A plain network classifies: it is trained by cross-entropy, on a source
    of images or on pairs (inputs, classes) of a data module.

    Args:
        model: The model; None for a network that classifies images, whose classes the data say.
        data: Data, see `read_data`.
        metric: Metric that is logged in validation, with `:min` or `:max` where its name does not say it.
        hyperparameters: Arguments of the LightningModule, or settings of the training of a plain network.
        inputs: Inputs of the network, to whose size a folder of images is scaled; None reads them off a batch.
        like: Weights whose normalisation images get, such as `timm:resnet18`.

    Raises:
        SpecError: Nobody says how the network is trained.
    """
    found, goal, given = read_data(data), objective(metric), dict(hyperparameters or {})
    if inputs is not None and isinstance(found, ImageFolder) and found.size is None:
        found.size = tuple(Inputs.of(inputs).shape[1:])  # type: ignore[assignment]
    if _is_task(found):
        return cast("Task", found)
    if found is None and not (model is not None and model.is_lightning and _has_data(model.owner)):
        raise SpecError(
            "there are no data to train and to score the network on",
            where=_WHERE,
            why="a plain network has none" if model is None or not model.is_lightning else "the module has no loaders",
            fix="give data, or --data: package.module.Class of a LightningDataModule, a folder of images, an .npz file",
        )
    images = found if isinstance(found, ImageSource) else None
    if model is None or (images is not None and not model.is_lightning):
        if images is None:
            raise SpecError(
                "the number of classes is not known",
                where=_WHERE,
                why="a data module does not say it",
                fix="give it with the arguments of the model, such as --set num_classes=10",
            )
        return _classification(images, given, goal, like)
    loaders = _loaders(images) if images is not None else found
    known = _inputs(model, loaders, inputs)
    answer = model.answer(known)
    outputs = int(answer.shape[1]) if isinstance(answer, Tensor) and answer.ndim > 1 else 1
    factory, arguments, attribute = classifier, {"outputs": outputs, **given}, None
    if model.is_lightning:
        factory, arguments, attribute = _training_of(model, given)
    return LightningTask(
        factory,
        cast("None", loaders),
        outputs=outputs,
        objectives=goal,
        module_args=arguments,
        inputs=known,
        output=KINDS.get(answer.ndim, "vector") if isinstance(answer, Tensor) else "vector",
        network_attribute=attribute,
    )


def _inputs(model: UserModel, loaders: object, stated: InputsLike | None) -> Inputs:
    if stated is not None:
        return Inputs.of(stated)
    if model.inputs is not None and model.is_lightning:
        return model.inputs
    return LightningTask(classifier, cast("None", loaders), outputs=1).inputs


def _training_of(
    model: UserModel, given: Mapping[str, Json]
) -> tuple[Callable[..., LightningModule], dict[str, Json], str | None]:
    """What makes the LightningModule, with which arguments, and where the network goes in it."""
    if not model.attribute:
        return itself, {}, None
    if model.factory is None:
        return Copies(cast("LightningModule", model.owner)), {}, model.attribute
    factory = cast("Callable[..., LightningModule]", model.factory)
    return factory, {**model.arguments, **given}, model.attribute


def itself(network: nn.Module) -> LightningModule:
    """Returns a LightningModule that is the network."""
    return cast("LightningModule", network)


class Copies:
    """Makes copies of a LightningModule, in which the network is exchanged.

    Args:
        module: The LightningModule.
    """

    def __init__(self, module: LightningModule) -> None:
        self._module = module

    def __call__(self) -> LightningModule:
        """Returns a copy."""
        return copy.deepcopy(self._module)


def classifier(network: nn.Module, outputs: int, **settings: Scalar) -> LightningModule:
    """Makes the module that trains a plain network by cross-entropy.

    Args:
        network: Network (N, ...) -> (N, outputs).
        outputs: Number of classes.
        **settings: Fields of `nasplug.Training`, such as `lr`.
    """
    from nasplug.tasks.classification_module import ClassificationModule

    return ClassificationModule(network, outputs, _training(settings))


def _training(settings: Mapping[str, Json]) -> Training:
    names = [field.name for field in dataclasses.fields(Training)]
    for name in settings:
        if name not in names:
            raise SpecError(f"the training has no setting {name!r}", where="training", fix=did_you_mean(name, names))
    return Training(**dict(settings))  # type: ignore[arg-type]


def _classification(
    images: Source, given: Mapping[str, Json], goal: Mapping[str, str], like: str | None
) -> ImageClassification:
    known = ImageClassification.objectives
    for name in goal:
        if name not in known:
            raise SpecError(f"nothing logs {name!r}", where="metric", fix=did_you_mean(name, known))
    settings = dict(given)
    batch_size = settings.pop("batch_size", 64)
    loading = Loading() if like is None else Loading(like=like)
    return ImageClassification(
        images, batch_size=cast("int", batch_size), loading=loading, training=_training(settings)
    )


def _loaders(images: Source) -> object:
    return ImageClassification(images).datamodule()


def _has_data(module: nn.Module) -> bool:
    """Whether a LightningModule brings loaders of its own."""
    from nasplug.lightning.distribution import lightning_of

    return type(module).train_dataloader is not lightning_of(module).LightningModule.train_dataloader  # type: ignore[attr-defined]


def _is_task(value: object) -> bool:
    return hasattr(value, "datamodule") and hasattr(value, "module") and hasattr(value, "objectives")


def arguments_of(task: Task) -> JsonObject:
    """Arguments of a timm model that images decide: their channels and classes."""
    shape = inputs_of(task).shape
    return {"num_classes": int(task.outputs), "in_chans": int(shape[0])}

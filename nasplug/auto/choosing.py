"""What is tried on data: the task that they are trained with, the networks, and the strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nasplug.auto.images import fitting
from nasplug.auto.looking import Kind, Looked
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.wording import plural

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog


@dataclass(frozen=True)
class Start:
    """Weights that trainings of images start from.

    Attributes:
        model: Name of a model of timm, such as `resnet18.a1_in1k`.
        weights: `hub` for the model's own, or the path of a file.
    """

    model: str
    weights: str = "hub"


class Measure(Protocol):
    """How long an epoch takes, and how many batches it has."""

    steps: int

    def __call__(self, space: JsonObject) -> float:
        """Seconds per epoch of a typical network of a space."""
        ...


def task_of(looked: Looked, start: Start | None = None) -> JsonObject:
    """The task that data are searched and trained with, as a specification says it.

    Args:
        looked: The data.
        start: Weights that trainings start from, whose normalisation the images get.
    """
    ((name, arguments),) = looked.task.items()
    assert isinstance(arguments, dict)
    if looked.kind == "images":
        split: JsonObject = {"val_fraction": 0.15, "test_fraction": 0.15}
        tuning: JsonObject = {} if start is None else {"layer_decay": 0.75, "head_factor": 10}
        like: JsonObject = {} if start is None else {"loading": {"like": f"timm:{start.model}"}}
        training: JsonObject = {"schedule": "onecycle", "weight_decay": 0.02, **tuning}
        return {name: {**arguments, "augment": "crop", "split": split, "training": training, **like}}
    if looked.kind == "rows":
        return {name: {**arguments, "split": {"val_fraction": 0.2, "test_fraction": 0.2}}}
    return {name: {**arguments, "dimensions": 2}}


def space_of(
    looked: Looked, final: float, speed: Measure, catalog: Catalog, start: Start | None
) -> tuple[JsonObject, str, float, Sequence[Sequence[Json]]]:
    """Chooses the networks.

    Args:
        looked: The data.
        final: Seconds of the last training.
        speed: Speed of networks.
        catalog: Catalog to look slugs up in.
        start: Weights to start from; None means random ones.

    Returns:
        The space, the reason for it, the seconds of an epoch of a typical network, and genotypes to begin with.

    Raises:
        NasplugError: The data cannot be read.
    """
    if start is not None:
        tuned: JsonObject = {"timm": {"models": [start.model], "kwargs": {"drop_rate": [0.0, 0.2]}}}
        words = f"{start.model} of timm from weights that were trained elsewhere, its dropout and its learning rate"
        return tuned, words, speed(tuned), [[start.model, 0.0]]
    if looked.kind == "images":
        from nasplug.plugins.component import Component, instantiate

        found = instantiate("task", Component.parse(task_of(looked), where="task"), catalog, where="task")
        height, width = found.input_shape[-2:]
        fits = fitting(max(height, width), final, speed.steps, speed)
        words = (
            f"residual networks for images of {height} x {width} pixels, up to a size of which the last training pays "
            f"{plural(int(fits.epochs), 'epoch')}"
        )
        return fits.space, words, fits.seconds, fits.first
    spaces: dict[Kind, tuple[JsonObject, str]] = {
        "rows": ({"tabular_mlp": {}}, "multi-layer perceptrons of up to four layers"),
        "volumes": (
            {"unet": {"max_depth": 4, "widths": [8, 16, 32]}},
            "U-Nets, every level with its own blocks, kernel and skip",
        ),
    }
    space, words = spaces[looked.kind]
    return space, words, speed(space), []


def strategy_for(epochs: int) -> tuple[JsonObject, str]:
    """Chooses the strategy, and says why.

    Args:
        epochs: Epochs of the longest training of the search.
    """
    if epochs >= 3:
        words = f"Hyperband: many networks for an epoch, the promising ones for up to {epochs}"
        return {"hyperband": {"max_epochs": epochs}}, words
    return {"regularized_evolution": {"population_size": 8, "tournament_size": 3}}, "regularized evolution"

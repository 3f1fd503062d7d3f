"""Networks of timm: a search space over model names and their keyword arguments, and single models by name."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import SpaceError, TrialError, did_you_mean
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.protocols import Choice, Task
from nasplug.contract.records import Architecture, Genotype, Scalar
from nasplug.optional import require
from nasplug.spaces.choices import ChoiceSpace, text_of
from nasplug.spaces.images import ClassifiesImages

if TYPE_CHECKING:
    from types import ModuleType

    from torch import nn


#: Arguments that the task decides.
_TASK_DECIDES = ("num_classes", "in_chans", "pretrained")


class TimmSpace(ClassifiesImages, ChoiceSpace):
    """timm's models, untrained, with choices of their keyword arguments.

    An architecture is a model name followed by one value for every keyword argument. Arguments of other models are
    ignored, and architectures that differ only in such arguments are one. A model that cannot be built, or cannot take
    the task's images, fails as a trial.

    Example:
        >>> space = TimmSpace(["resnet1[08]*", "mobilenetv3_small_*"], kwargs={"drop_rate": [0.0, 0.2]})

    Args:
        models: Names of models; `*`, `?` and `[...]` are wildcards.
        kwargs: Keyword argument to its options, for all models; or model name with wildcards to such a mapping.

    Raises:
        MissingExtraError: timm is not installed.
        SpaceError: A name that no model has, or options that are not a list of plain values.
    """

    def __init__(self, models: list[str], kwargs: JsonObject | None = None) -> None:
        self._models = tuple(find_models(models))
        self._scopes = _flatten(kwargs or {})
        for pattern, argument, _ in self._scopes:
            if argument in _TASK_DECIDES:
                raise SpaceError(f"{argument!r} is decided by the task", where="space 'timm'", fix="leave it out")
            if not any(fnmatch.fnmatchcase(model, pattern) for model in self._models):
                raise SpaceError(
                    f"the keyword arguments of {pattern!r} belong to no model of the space",
                    where="space 'timm'",
                    fix=did_you_mean(pattern, self._models),
                )
        choices = [Choice("model", self._models)]
        choices += [
            Choice(argument if pattern == "*" else f"{pattern}.{argument}", options)
            for pattern, argument, options in self._scopes
        ]
        super().__init__("timm", choices)

    def arguments(self, architecture: Architecture) -> dict[str, Scalar]:
        """The keyword arguments that the architecture's model is built with; a later pattern wins over an earlier."""
        genotype = architecture.genotype
        assert isinstance(genotype, tuple)
        return self._arguments(genotype)

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """The model with its own arguments, by name."""
        return (genotype[0], *sorted(self._arguments(genotype).items()))

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """Builds the model for the task's channels and classes, with random weights.

        Raises:
            TrialError: timm cannot build it so.
        """
        genotype = architecture.genotype
        assert isinstance(genotype, tuple)
        return create(str(genotype[0]), task.input_shape, task.outputs, **self.arguments(architecture))

    def label(self, architecture: Architecture) -> str:
        """The model, with its own arguments: `resnet10t drop_rate=0.2`."""
        genotype = architecture.genotype
        assert isinstance(genotype, tuple)
        given = sorted(self._arguments(genotype).items())
        return " ".join([str(genotype[0]), *(f"{name}={text_of(value)}" for name, value in given)])

    def _arguments(self, genotype: tuple[Genotype, ...]) -> dict[str, Any]:
        model, *values = genotype
        return {
            argument: value
            for (pattern, argument, _), value in zip(self._scopes, values, strict=True)
            if fnmatch.fnmatchcase(str(model), pattern)
        }


def find_models(names: Sequence[str]) -> list[str]:
    """The timm models of these names, wildcards expanded, in the given order and each once.

    Raises:
        SpaceError: A name or a pattern fits no model.
    """
    timm = _timm()
    if not names:
        raise SpaceError("no models are given", where="space 'timm'", fix="write models: [resnet18, mobilenetv3_*]")
    found: dict[str, None] = {}
    for name in names:
        if any(character in name for character in "*?["):
            matches = timm.list_models(name)
        else:
            matches = [name] if timm.is_model(name) else []
        if not matches:
            raise SpaceError(f"timm has no model {name!r}", where="space 'timm'", fix=_nearest(name, timm))
        found.update(dict.fromkeys(matches))
    return list(found)


def create(name: str, input_shape: Sequence[int], outputs: int, **arguments: Json) -> nn.Module:
    """One timm model with random weights, as in `nasplug cost timm:resnet18 --input 3x224x224`.

    Args:
        name: Name of the model.
        input_shape: Shape of one input (C, H, W); the model gets its channels.
        outputs: Number of classes.
        **arguments: Further keyword arguments of the model.

    Raises:
        SpaceError: There is no such model.
        TrialError: It cannot be built with these arguments.
    """
    timm = _timm()
    if not timm.is_model(name):
        raise SpaceError(f"timm has no model {name!r}", where="timm", fix=_nearest(name, timm))
    arguments = {**own_size(name, input_shape), **arguments}
    given = {"num_classes": outputs, "in_chans": input_shape[0], **arguments}
    try:
        network: nn.Module = timm.create_model(name, pretrained=False, **given)
    except Exception as error:  # a model's constructor may raise anything
        with_ = f" with {arguments}" if arguments else ""
        raise TrialError(
            "build",
            f"timm cannot build {name!r}{with_}",
            why=f"{type(error).__name__}: {error}",
            fix="the model has a fixed `img_size`: give images of a size that its patches divide, or another `img_size`"
            if "img_size" in arguments
            else None,
        ) from error
    network.built_by_timm = (name, given)  # type: ignore[assignment]  # for weights that timm has to convert
    return network


def own_size(name: str, input_shape: Sequence[int]) -> dict[str, Json]:
    """Returns the argument `img_size` for a model of fixed size, where the images have another one.

    Args:
        name: Name of the model.
        input_shape: Shape of one image (C, H, W).
    """
    config = _timm().get_pretrained_cfg(name)
    size = tuple(input_shape[1:])
    if config is None or not config.fixed_input_size or tuple(config.input_size[1:]) == size:
        return {}
    return {"img_size": list(size)}


def _timm() -> ModuleType:
    return require("timm", extra="timm", purpose="build timm models")


def _nearest(name: str, timm: ModuleType) -> str:
    # Not the list of all: timm has more than a thousand.
    near = difflib.get_close_matches(name.strip("*"), timm.list_models(), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return hint + "`timm.list_models('*resnet*')` lists names"


def _flatten(kwargs: JsonObject) -> list[tuple[str, str, tuple[Scalar, ...]]]:
    """(model pattern, argument, options) for both forms of `kwargs`."""
    found = []
    for key, value in kwargs.items():
        inner = value.items() if isinstance(value, Mapping) else [(key, value)]
        pattern = key if isinstance(value, Mapping) else "*"
        for argument, options in inner:
            if not isinstance(options, (list, tuple)) or not options:
                raise SpaceError(
                    f"the options of {argument!r} are {options!r}",
                    where="space 'timm'",
                    fix=f"write a list, for example {{{argument}: [{options}]}}",
                )
            if not all(option is None or isinstance(option, (str, int, float, bool)) for option in options):
                raise SpaceError(
                    f"the options of {argument!r} must be numbers, texts, true, false or null", where="space 'timm'"
                )
            found.append((pattern, argument, tuple(options)))
    return found

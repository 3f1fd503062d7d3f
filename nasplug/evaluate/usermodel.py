"""What a user has: a network or a LightningModule around one, and a file of trained weights."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.io import Inputs, OutputKind
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.cost.meta import meta_copy
from nasplug.evaluate.pretrained import find, read, stripped
from nasplug.lightning.calls import inputs_of_example
from nasplug.optional import require
from nasplug.plugins.catalog import load_location
from nasplug.tasks.making import is_lightning

#: A location such as `my_project:model` or `timm:resnet18`, a class or function that makes the model, or the model.
ModelLike: TypeAlias = "str | nn.Module | Callable[..., object]"

#: Kind of an output by its number of dimensions, the batch included.
KINDS: Mapping[int, OutputKind] = {2: "vector", 3: "sequence", 4: "map", 5: "volume"}
#: In place of a file: the model stays as it is made, always from the same random numbers.
RANDOM = "random"

_WHERE = "model"
_TIMM = "timm:"


class UserModel:
    """A trained model that is not touched: every network that is asked for is a copy.

    Args:
        model: `package.module:name` of a class or function that makes a network or a LightningModule; `timm:NAME`; the
            class or function itself; or a trained module, whose own weights count.
        weights: File of trained weights (safetensors, torch weights or a Lightning checkpoint, of which tensors and
            plain hyperparameters are read), `hub` for those that timm has, or `random`.
        arguments: Arguments of the class or function; those that a checkpoint of Lightning holds need not be given.
        attribute: Path of the network inside a LightningModule; None finds it.
        prefix: Prefix of the names in the file; None finds it.

    Attributes:
        name: Name of the model, for messages and files.
        location: Location of what makes it; None for a module that was handed over.
        arguments: Arguments of the class or function, those of a checkpoint included.
        factory: Function that makes it.
        attribute: Path of the network inside the LightningModule, empty where it is all of it; None for a network.

    Raises:
        SpecError: There is no such model, there are no weights, or they do not fit.
    """

    def __init__(
        self,
        model: ModelLike,
        weights: str | None = None,
        arguments: JsonObject | None = None,
        attribute: str | None = None,
        prefix: str | None = None,
    ) -> None:
        self.location = model if isinstance(model, str) else None
        self.name = model if isinstance(model, str) else getattr(model, "__name__", type(model).__name__)
        self.weights, self._prefix = weights, prefix
        self.factory: Callable[..., object] | None = None if isinstance(model, nn.Module) else factory_of(model)
        self.arguments: dict[str, Json] = {**self._remembered(), **(arguments or {})}
        made = model if isinstance(model, nn.Module) else self.make()
        self.attribute = self._attribute(made, attribute)
        #: The whole of what was made, and the network in it.
        self.owner = made
        self.network = made.get_submodule(self.attribute) if self.attribute else made
        #: What the model says of its inputs.
        self.inputs = inputs_of_example(getattr(made, "example_input_array", None)) or _timm_inputs(made)
        if weights not in (None, RANDOM):
            self._load(str(weights))
        elif weights is None and self.factory is not None:
            raise SpecError(
                f"{self.name} has no trained weights",
                where=_WHERE,
                why="a class or a function makes it with random ones",
                fix="give the file: weights=..., or --weights FILE; `hub` for those of timm, `random` to train anew",
            )

    def make(self) -> nn.Module:
        """Makes the model anew, with random weights.

        Raises:
            SpecError: It cannot be made, or is not a module.
        """
        assert self.factory is not None
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                made = self.factory(**self.arguments)
        except Exception as error:  # a user's constructor may raise anything
            raise SpecError(
                f"{self.name} cannot be made",
                where=_WHERE,
                why=f"{type(error).__name__}: {error}",
                fix=f"{self._misspelled()}give its arguments: arguments={{...}}, or --set NAME=VALUE",
            ) from error
        if not isinstance(made, nn.Module):
            raise SpecError(
                f"expected {self.name} to make a torch.nn.Module, got {type(made).__name__}",
                where=_WHERE,
                fix="name the LightningModule or nn.Module class, or a function that returns a new model",
            )
        return made

    def copy(self) -> nn.Module:
        """Returns a copy of the network with its trained weights, in training mode."""
        return copy.deepcopy(self.network).train()

    def answer(self, inputs: Inputs) -> object:
        """Returns what the network answers to two inputs, without numbers where that is possible.

        Args:
            inputs: Inputs of the network.

        Raises:
            SpecError: It cannot take them.
        """
        for network, device in ((meta_copy(self.network), "meta"), (self.copy(), "cpu")):
            args, kwargs = inputs.example(2, device=device)
            try:
                with torch.no_grad():
                    return network.eval()(*args, **kwargs)
            except Exception as error:  # a user's forward may raise anything
                problem = error
        raise SpecError(
            f"{self.name} cannot take {inputs}",
            where=_WHERE,
            why=f"{type(problem).__name__}: {problem}",
            fix="give the inputs that it was trained on",
        ) from problem

    @property
    def is_lightning(self) -> bool:
        """Whether it is a LightningModule, which says how it is trained."""
        return self.attribute is not None

    # -- parts -----------------------------------------------------------------------------------------------------

    def _misspelled(self) -> str:
        """A suggestion for the first argument that the class or function does not take."""
        assert self.factory is not None
        try:
            known = inspect.signature(self.factory).parameters
        except ValueError:  # built in C
            return ""
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
            return ""
        wrong = next((name for name in self.arguments if name not in known), None)
        return "" if wrong is None else f"{wrong!r} is not an argument: {did_you_mean(wrong, known)}; "

    def _attribute(self, made: nn.Module, stated: str | None) -> str | None:
        if stated is not None:
            names = dict(made.named_modules())
            if stated not in names:
                raise SpecError(f"{self.name} has no part {stated!r}", where=_WHERE, fix=did_you_mean(stated, names))
            return stated
        if not is_lightning(made):
            return None
        every = {id(parameter) for parameter in made.parameters()}
        for name, child in made.named_children():
            if every and every == {id(parameter) for parameter in child.parameters()}:
                return name
        return ""

    def _remembered(self) -> dict[str, Json]:
        """Hyperparameters in a checkpoint of Lightning that the class or function takes."""
        if self.weights is None or self.factory is None or not Path(self.weights).expanduser().is_file():
            return {}
        if Path(self.weights).suffix in (".safetensors", ".npz"):
            return {}
        try:
            found = torch.load(Path(self.weights).expanduser(), map_location="cpu", weights_only=True)
        except Exception:  # whatever is wrong is said when the weights are read
            return {}
        stored = found.get("hyper_parameters", {}) if isinstance(found, Mapping) else {}
        parameters = inspect.signature(self.factory).parameters
        return {str(name): value for name, value in stored.items() if name in parameters}

    def _load(self, weights: str) -> None:
        source = find(weights, self.network)
        own = self.network.state_dict()
        found = read(source.path)
        prefix = self._prefix
        if prefix is None and self.attribute and any(name.startswith(f"{self.attribute}.") for name in found):
            prefix = f"{self.attribute}."
        tensors = stripped(found, own, prefix)
        missing = [
            name for name in own if isinstance(own[name], Tensor) and name not in tensors and not _is_count(name)
        ]
        shapes = [name for name, value in tensors.items() if name in own and value.shape != own[name].shape]
        if missing or shapes:
            name = (missing or shapes)[0]
            why = f"{name!r} is missing in the file"
            if not missing:
                why = f"{name!r} has shape {tuple(tensors[name].shape)} in the file, {tuple(own[name].shape)} here"
            raise SpecError(
                f"the weights {source.name!r} are not those of {self.name}",
                where=_WHERE,
                why=f"{why} ({len(missing)} missing, {len(shapes)} of another shape)",
                fix="give the arguments that the model was trained with, or the prefix of its names in the file",
            )
        self.network.load_state_dict({name: value for name, value in tensors.items() if name in own}, strict=False)


def _is_count(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def factory_of(model: str | Callable[..., object]) -> Callable[..., object]:
    """Returns the class or function that makes a model.

    Args:
        model: `package.module:name`, `timm:NAME`, or the class or function itself.

    Raises:
        SpecError: There is no such model.
    """
    if not isinstance(model, str):
        if not callable(model):
            raise SpecError(
                f"expected a model, got {type(model).__name__}",
                where=_WHERE,
                fix="give a trained module, a class or function that makes one, package.module:name, or timm:NAME",
            )
        return model
    if model.startswith(_TIMM):
        timm = require("timm", extra="timm", purpose="build timm models")
        name = model.removeprefix(_TIMM)
        if not timm.is_model(name):
            near = did_you_mean(name, timm.list_models(f"{name[:6]}*")[:24] or timm.list_models()[:1])
            raise SpecError(f"timm has no model {name!r}", where=_WHERE, fix=near)

        def create(**arguments: Json) -> object:
            made: object = timm.create_model(name, pretrained=False, **arguments)
            return made

        return create
    found = load_location(model, where=_WHERE)
    if isinstance(found, nn.Module) or not callable(found):
        raise SpecError(
            f"{model} is a {type(found).__name__}, not a class or a function that makes a model",
            where=_WHERE,
            fix="name the LightningModule or nn.Module class, or a function that returns a new model",
        )
    made: Callable[..., object] = found
    return made


def _timm_inputs(made: nn.Module) -> Inputs | None:
    config = getattr(made, "pretrained_cfg", None) or getattr(made, "default_cfg", None)
    size = config.get("input_size") if isinstance(config, Mapping) else None
    if size is None:
        return None
    channels = getattr(next((m for m in made.modules() if isinstance(m, nn.Conv2d)), None), "in_channels", size[0])
    return Inputs.of((int(channels), *map(int, size[1:])))


class OnUserModel:
    """Mixin of a space whose networks are all made of one user's model.

    Attributes:
        model: The model.
        inputs: Inputs of its network.
    """

    model: UserModel
    inputs: Inputs

    @cached_property
    def produces(self) -> tuple[str, ...]:
        """Outputs of the network."""
        answer = self.model.answer(self.inputs)
        kind = KINDS.get(answer.ndim) if isinstance(answer, Tensor) else None
        return tuple(KINDS.values()) if kind is None else (kind,)

    def check_inputs(self, inputs: Inputs) -> None:
        """Refuses inputs that the network was not made for.

        Args:
            inputs: Inputs that the task feeds.

        Raises:
            SpecError: They have another shape.
        """
        if inputs != self.inputs:
            raise SpecError(
                f"expected {self.inputs}, got {inputs}", fix="give the space the `inputs` that the data have"
            )

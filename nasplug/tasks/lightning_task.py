"""A user's own LightningModule and LightningDataModule as a task."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from nasplug.contract.errors import TaskError, did_you_mean
from nasplug.contract.io import Inputs, InputsLike, OutputSpec, TensorSpec
from nasplug.contract.jsondata import JsonObject

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule, LightningModule
    from torch import nn

    from nasplug.contract.io import OutputLike
    from nasplug.contract.records import Scalar

_TAKES_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_TAKES_POSITION = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)


class LightningTask:
    """Any LightningModule whose first argument is the network, with any LightningDataModule.

    Hyperparameters that a strategy proposes reach the module as keyword arguments, over those of `module_args`. The
    task can be sent to another process if `module` and `data` can be pickled, as classes at the top of a file can.

    Example:
        >>> task = LightningTask(MyLitModule, MyDataModule("data/"), input_shape=(3, 32, 32), outputs=10)
        >>> pixels = LightningTask(MySegmenter, Scans(), input_shape=(1, 64, 64), outputs=3, output="map")
        >>> tokens = {"shape": [128], "dtype": "int64", "high": 30_000}
        >>> text = LightningTask(MyTagger, Texts(), inputs=tokens, outputs=9, output="sequence")

    Args:
        module: The LightningModule class, or a function that returns one: called as `module(network, **arguments)`.
        data: The data module, as for `Trainer.fit(datamodule=...)`.
        input_shape: Shape of one input without the batch, (C, H, W) for images; the short form of `inputs` for one
            input of floating-point numbers.
        outputs: Number of channels of the output, such as the number of classes.
        objectives: Metric that the module logs to "max" or "min".
        module_args: Further keyword arguments of `module`.
        inputs: Inputs of the network without the batch: a shape; `{shape: [128], dtype: int64, high: 30000}`
            with the size of the vocabulary; a list of those, for inputs by position; or a mapping of argument names to
            them. Costs and exports call the network with examples of these.
        output: Output of the network for one input: `vector` (channels), `map` (channels, height, width), `volume`
            (channels, depth, height, width) or `sequence` (length, channels).

    Attributes:
        inputs: Inputs of the network.
        input_shape: Shape of the first input.
        output: Output of the network.
        outputs: Number of channels of the output.

    Raises:
        TaskError: The module cannot take a network or one of `module_args`, or an argument is not valid.
    """

    def __init__(
        self,
        module: Callable[..., LightningModule],
        data: LightningDataModule,
        input_shape: Sequence[int] | None = None,
        outputs: int | None = None,
        objectives: Mapping[str, str] | None = None,
        module_args: JsonObject | None = None,
        inputs: InputsLike | None = None,
        output: OutputLike = "vector",
    ) -> None:
        self._factory = module
        self._data = data
        self._label = f"LightningTask({getattr(module, '__name__', module)!s})"
        try:
            self.inputs, self.output = _inputs(input_shape, inputs), OutputSpec.of(output, outputs)
        except TaskError as error:
            named = "input_shape" if error.where == "inputs" and input_shape is not None else error.where
            raise TaskError(error.what, where=f"{self._label}, {named}", why=error.why, fix=error.fix) from None
        self.input_shape, self.outputs = self.inputs.shape, self.output.channels
        self.objectives: Mapping[str, str] = {"val_acc": "max"} if objectives is None else dict(objectives)
        self.module_args = dict(module_args or {})
        for metric, direction in self.objectives.items():
            if direction not in ("max", "min"):
                raise TaskError(
                    f"the objective {metric!r} has direction {direction!r}", where=self._label, fix="write max or min"
                )
        self._parameters = _parameters(module, self._label)
        self._check_names(self.module_args, "module_args names")

    def datamodule(self) -> LightningDataModule:
        """A data module of its own for one Trainer; data that are loaded already are shared."""
        data = copy.copy(self._data)
        data.trainer = None
        return data

    def check_hyperparameters(self, names: Iterable[str]) -> None:
        """Refuses hyperparameters that the module does not take.

        Raises:
            TaskError: One of the names is not an argument of the module.
        """
        self._check_names(names, "the search proposes")

    def module(self, network: nn.Module, hyperparameters: Mapping[str, Scalar] | None = None) -> LightningModule:
        """Makes the LightningModule that trains `network`.

        Raises:
            TaskError: A hyperparameter is unknown, an argument is missing, or the result is not a LightningModule.
        """
        proposed = dict(hyperparameters or {})
        self.check_hyperparameters(proposed)
        arguments = {**self.module_args, **proposed}
        try:
            _signature(self._factory).bind(network, **arguments)
        except TypeError as error:
            raise TaskError(
                "the module cannot be made",
                where=self._label,
                why=str(error),
                fix="give the argument in module_args, or a default in the module",
            ) from None
        made = self._factory(network, **arguments)
        if not _is_lightning(made):
            raise TaskError(
                f"calling the module gave a {type(made).__name__}, not a LightningModule", where=self._label
            )
        return made

    def _check_names(self, names: Iterable[str], who: str) -> None:
        network, others, anything = self._parameters
        for name in names:
            if name == network:
                raise TaskError(f"{who} {name!r}, the argument that takes the network", where=self._label)
            if name not in others and not anything:
                raise TaskError(
                    f"{who} {name!r}, which the module does not take",
                    where=self._label,
                    why=did_you_mean(name, others),
                    fix=f"add an argument {name!r} to the module, or leave it out",
                )

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_data": self.datamodule()}  # a Trainer of this process stays here


def _inputs(input_shape: Sequence[int] | None, inputs: InputsLike | None) -> Inputs:
    """Reads the short form or the long one, of which exactly one must be there."""
    if (input_shape is None) == (inputs is None):
        raise TaskError(
            "the inputs are missing" if inputs is None else "input_shape and inputs are both given",
            where="inputs",
            fix="give input_shape=(3, 32, 32) for one float input, or inputs=... for anything else",
        )
    if inputs is not None:
        return Inputs.of(inputs)
    return Inputs((TensorSpec(tuple(input_shape or ())),)) if input_shape else Inputs.of(())


def _is_lightning(thing: object) -> bool:
    """Whether it can what a LightningModule can; both distributions of Lightning are welcome."""
    return all(callable(getattr(thing, name, None)) for name in ("training_step", "configure_optimizers"))


def _signature(factory: Callable[..., object]) -> inspect.Signature:
    try:
        return inspect.signature(factory)
    except ValueError:  # built in C, without a signature: nothing can be checked
        return inspect.signature(lambda *args, **kwargs: None)


def _parameters(factory: Callable[..., object], label: str) -> tuple[str, frozenset[str], bool]:
    """Name of the network's parameter, names of the others, and whether any other name is taken as well."""
    if not callable(factory) or (_is_lightning(factory) and not isinstance(factory, type)):
        raise TaskError(
            f"module is a {type(factory).__name__}, neither a class nor a function",
            where=label,
            fix="hand over the LightningModule class itself; each network gets a module of its own",
        )
    parameters = list(_signature(factory).parameters.values())
    if not parameters or parameters[0].kind not in _TAKES_POSITION:
        raise TaskError(
            "the module takes no network",
            where=label,
            fix="its first argument must be the network: def __init__(self, network, ...)",
        )
    first, *rest = parameters
    others = frozenset(parameter.name for parameter in rest if parameter.kind in _TAKES_NAME)
    return first.name, others, any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)

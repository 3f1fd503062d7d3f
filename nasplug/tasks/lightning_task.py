"""A user's own LightningModule and LightningDataModule as a task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from nasplug.contract.errors import TaskError
from nasplug.contract.io import Inputs, InputsLike, OutputSpec
from nasplug.contract.jsondata import JsonObject
from nasplug.lightning.distribution import lightning_of, overrides
from nasplug.tasks.inputs import stated_inputs
from nasplug.tasks.loaders import read_data
from nasplug.tasks.making import Maker

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule, LightningModule
    from torch import nn

    from nasplug.contract.io import OutputLike
    from nasplug.contract.records import Scalar


class LightningTask:
    """Any LightningModule that trains a network, with any data.

    Hyperparameters that a strategy proposes reach the module as keyword arguments, over those of `module_args`. The
    task can be sent to another process if `module` and `data` can be pickled, as classes at the top of a file can.

    Example:
        >>> task = LightningTask(MyLitModule, MyDataModule("data/"), input_shape=(3, 32, 32), outputs=10)
        >>> own = LightningTask(LitResNet, (train, val), (3, 32, 32), 10, network_attribute="model")
        >>> pixels = LightningTask(MySegmenter, Scans(), input_shape=(1, 64, 64), outputs=3, output="map")
        >>> tokens = {"shape": [128], "dtype": "int64", "high": 30_000}
        >>> text = LightningTask(MyTagger, Texts(), inputs=tokens, outputs=9, output="sequence")

    Args:
        module: LightningModule class, or a function that returns one: called as `module(network, **arguments)`.
        data: LightningDataModule, as for `Trainer.fit(datamodule=...)`; a tuple of loaders for training, validation and
            test; a mapping of `train`, `val` and `test` to loaders; one loader for training; or None for the loaders
            of the module.
        input_shape: Shape of one input without the batch, (C, H, W) for images; the short form of `inputs` for one
            input of floating-point numbers.
        outputs: Number of channels of the output, such as the number of classes.
        objectives: Metric that the module logs to "max" or "min". A search may name any other that it logs.
        module_args: Further keyword arguments of `module`.
        inputs: Inputs of the network without the batch: a shape; `{shape: [128], dtype: int64, high: 30000}`
            with the size of the vocabulary; a list of those, for inputs by position; or a mapping of argument names to
            them. Costs and exports call the network with examples of these. Without it, `input_shape` and
            `example_input`, a batch of the training data says it: (inputs, targets), or a mapping with a target.
        output: Output of the network for one input: `vector` (channels), `map` (channels, height, width), `volume`
            (channels, depth, height, width) or `sequence` (length, channels).
        example_input: Batch that the network could be called with, in place of `inputs`: a tensor (N, ...), a tuple of
            tensors by position, or a mapping of argument names to tensors.
        network_argument: Name of the argument of `module` that takes the network; None finds it by its annotation or
            its usual name, and takes the first otherwise.
        network_attribute: Path of the attribute, such as `model` or `task.encoder`, in whose place the network is put,
            for a module that builds a network itself and takes none.

    Attributes:
        inputs: Inputs of the network.
        input_shape: Shape of the first input.
        output: Output of the network.
        outputs: Number of channels of the output.
        network_attribute: Path of the attribute that networks are put into, or None.

    Raises:
        TaskError: The module cannot take a network or one of `module_args`, there are no data that can be trained on,
            or an argument is not valid.
    """

    #: The module logs what it likes: a rehearsal says which metrics there are.
    logs_anything = True

    def __init__(
        self,
        module: Callable[..., LightningModule],
        data: LightningDataModule | Sequence[object] | Mapping[str, object] | Iterable[object] | None = None,
        input_shape: Sequence[int] | None = None,
        outputs: int | None = None,
        objectives: Mapping[str, str] | None = None,
        module_args: JsonObject | None = None,
        inputs: InputsLike | None = None,
        output: OutputLike = "vector",
        example_input: object = None,
        network_argument: str | None = None,
        network_attribute: str | None = None,
    ) -> None:
        self._factory = module
        self._label = f"LightningTask({getattr(module, '__name__', module)!s})"
        self._maker = Maker(module, self._label, network_argument, network_attribute, module_args or ())
        self.network_attribute = network_attribute
        try:
            self._inputs = stated_inputs(input_shape, inputs, example_input)
            self.output = OutputSpec.of(output, outputs)
            self._source = read_data(data, module)
        except TaskError as error:
            named = "input_shape" if error.where == "inputs" and input_shape is not None else error.where
            raise TaskError(error.what, where=f"{self._label}, {named}", why=error.why, fix=error.fix) from None
        self.outputs = self.output.channels
        self.shapes_need_data = self._inputs is None
        if objectives is not None and not isinstance(objectives, Mapping):
            raise TaskError(
                f"objectives are {objectives!r:.80}, which does not say what is better",
                where=self._label,
                fix='write {"val_acc": "max"}',
            )
        self.objectives: Mapping[str, str] = {"val_acc": "max"} if objectives is None else dict(objectives)
        self.module_args = dict(module_args or {})
        for metric, direction in self.objectives.items():
            if direction not in ("max", "min"):
                raise TaskError(
                    f"the objective {metric!r} has direction {direction!r}", where=self._label, fix="write max or min"
                )
        self._maker.check_names(self.module_args, "module_args names")

    @property
    def inputs(self) -> Inputs:
        """What the network is called with; read from a batch of the training data if nobody has said it.

        Raises:
            TaskError: The batch does not say it.
        """
        if self._inputs is None:
            from nasplug.tasks.batches import inputs_of_data

            self._inputs = inputs_of_data(self.datamodule(), self._label)
        return self._inputs

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the first input."""
        return self.inputs.shape

    def datamodule(self) -> LightningDataModule:
        """A data module of its own for one Trainer; data that are loaded already are shared."""
        data: LightningDataModule = self._source.datamodule(lightning_of(self._factory))
        return data

    def check_hyperparameters(self, names: Iterable[str]) -> None:
        """Refuses hyperparameters that the module does not take.

        Raises:
            TaskError: One of the names is not an argument of the module.
        """
        self._maker.check_names(names, "the search proposes")

    def module(self, network: nn.Module, hyperparameters: Mapping[str, Scalar] | None = None) -> LightningModule:
        """Makes the LightningModule that trains `network`.

        Raises:
            TaskError: A hyperparameter is unknown, an argument is missing, the result is not a LightningModule, or it
                does not hold the network.
        """
        from nasplug.evaluate.inside import check_inside

        proposed = dict(hyperparameters or {})
        self.check_hyperparameters(proposed)
        made: LightningModule = self._maker.make(network, {**self.module_args, **proposed})
        if not any(overrides(made, hook) for hook in ("configure_model", "setup")):  # which may still put it in
            check_inside(network, made, self._label, self.network_attribute)
        return made

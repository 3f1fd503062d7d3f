"""Plugins in a user's own Trainer, without a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

from pytorch_lightning import Callback, LightningModule, Trainer

from nasplug.contract.io import InputsLike
from nasplug.lightning.composition import Composition
from nasplug.lightning.data import WrappedData
from nasplug.lightning.network import network_of
from nasplug.lightning.pricing import CostLogger
from nasplug.lightning.stopping import Stopping
from nasplug.plugins.discovery import discover
from nasplug.tasks.inputs import stated_inputs

if TYPE_CHECKING:
    from nasplug.contract.records import Direction


class Plugins(Callback):
    """Composes plugins in a Trainer of your own.

    Wrappers transform the network before training starts, and the data of `fit(datamodule=...)`. Callbacks run inside
    the Trainer with all of their hooks, and their state is kept in its checkpoints. Costs are logged every epoch under
    their keys, such as `params` and `npu/latency_s`. Stoppers see every validation.

    Example:
        >>> plugins = Plugins("params", component("patience", epochs=5), target="cpu", objectives={"val_acc": "max"})
        >>> trainer = Trainer(max_epochs=30, callbacks=[plugins])

    Args:
        *components: Slugs, `nas.component(...)`, or instances: Lightning callbacks, or objects with nasplug hooks. The
            name of a hardware target logs what that target says.
        target: The hardware that costs are asked for. A component's own argument `target` goes before it.
        objectives: Metric to `max` or `min`, for stoppers.
        inputs: Inputs of the network, for costs: a shape without the batch, or whatever `nasplug.Inputs.of`
            reads; None takes it from the module's `example_input_array`, or from the network's first call in training.
        input_shape: Shape of one float input without the batch; the short form of `inputs`.
        example_input: Batch that the network could be called with, in place of `inputs`: a tensor (N, ...), a tuple of
            tensors by position, or a mapping of argument names to tensors.
        network_attribute: Attribute of the LightningModule that holds its network.
        files: Paths of single-file plugins.

    Attributes:
        callbacks: Callbacks that move into the Trainer.

    Raises:
        SpecError: An unknown name or argument, a missing objective, or hardware that is not there.
        TaskError: The inputs cannot be read.
    """

    def __init__(
        self,
        *components: object,
        target: str | None = None,
        objectives: Mapping[str, Direction] | None = None,
        inputs: InputsLike | None = None,
        input_shape: Sequence[int] | None = None,
        example_input: object = None,
        network_attribute: str = "network",
        files: Sequence[str | Path] = (),
    ) -> None:
        known = stated_inputs(input_shape, inputs, example_input)
        self._attribute = network_attribute
        self._plugins = Composition(discover(files).catalog, target, objectives or {})
        self._data = WrappedData()
        self._wrapped: WeakSet[LightningModule] = WeakSet()
        for component in components:
            self._plugins.add(component)
        self._plugins.add_target()
        self.callbacks = self._plugins.callbacks()
        if self._plugins.costs:  # behind the others, to see what they made of the network
            self.callbacks.append(CostLogger(self._plugins.costs, network_attribute, known))
        if self._plugins.stops:
            self.callbacks.append(Stopping(self._plugins.run))

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Wraps network and data and moves the callbacks in, right behind this one; Lightning sets them up next.

        Raises:
            SpecError: The module has no network of that name, or the data cannot be wrapped.
        """
        if stage == "fit" and self._plugins.wraps_data:
            self._data.wrap(trainer.datamodule, self._plugins)  # type: ignore[attr-defined]
        if self._plugins.wraps and pl_module not in self._wrapped:
            setattr(pl_module, self._attribute, self._plugins.wrap(network_of(pl_module, self._attribute)))
            self._wrapped.add(pl_module)
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        position = next(i for i, callback in enumerate(callbacks) if callback is self) + 1
        present = {id(callback) for callback in callbacks}
        callbacks[position:position] = [callback for callback in self.callbacks if id(callback) not in present]

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Gives the data module back as it was."""
        self._data.restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Does the same after a failure."""
        self._data.restore()

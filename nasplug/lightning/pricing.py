"""Prices a network while it trains, and logs the prices."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_warn
from pytorch_lightning.utilities.types import STEP_OUTPUT
from torch import nn

from nasplug.contract.io import Inputs, InputsLike
from nasplug.contract.protocols import HardwareTarget
from nasplug.cost.candidate import Candidate
from nasplug.lightning.calls import FirstCall, inputs_of_example
from nasplug.lightning.network import network_of
from nasplug.run.pricing import CostCaller, price


class CostLogger(Callback):
    """Asks cost plugins at the end of every training epoch and logs their answers under their keys.

    Costs follow from the structure of a network: they are asked again only after it has changed, and logged every
    epoch all the same, so that every logger has the whole curve. Costs that need trained weights are asked every epoch.
    Plugins see a copy. One that fails is named in a warning and not asked again: it must not end a training.

    Args:
        costs: Plugins, each with the hardware target it is asked for.
        attribute: Attribute of the LightningModule that holds its network.
        inputs: Inputs of the network, as `nasplug.Inputs.of` reads them; None takes them from the module's
            `example_input_array`, or from the network's first call in training.
    """

    def __init__(
        self,
        costs: Sequence[tuple[CostCaller, HardwareTarget | None]],
        attribute: str = "network",
        inputs: InputsLike | None = None,
    ) -> None:
        self._costs = list(costs)
        self._attribute = attribute
        self._inputs = None if inputs is None else Inputs.of(inputs)
        self._call = FirstCall()
        self._priced: tuple[object, ...] | None = None
        self._broken: set[int] = set()
        self._warned = False
        self._values: list[dict[str, float]] = [{} for _ in self._costs]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuses a module without the network before anything is trained."""
        network_of(pl_module, self._attribute)
        if self._inputs is None:
            self._inputs = inputs_of_example(pl_module.example_input_array)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        """Watches for the first call of the network if nobody has said what it is called with."""
        if self._inputs is None:
            self._call.watch(network_of(pl_module, self._attribute))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: object, batch_idx: int
    ) -> None:
        """Stops watching."""
        self._call.stop()
        self._inputs = self._inputs or self._call.inputs

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prices on the first rank and logs on all."""
        if trainer.is_global_zero:
            self._price(network_of(pl_module, self._attribute))
        # Every rank logs the same: a measured latency would differ.
        self._values = trainer.strategy.broadcast(self._values)
        pl_module.log_dict({key: value for values in self._values for key, value in values.items()})

    def _price(self, network: nn.Module) -> None:
        if self._inputs is None and not self._warned:
            why = self._call.problem or "the network is never called in training"
            rank_zero_warn(f"nasplug: costs that need inputs are not logged: {why}; give Plugins(inputs=...)")
            self._warned = True
        structure = structure_of(network)
        fresh, self._priced = structure != self._priced, structure
        inputs = self._inputs
        candidates = {
            trained: Candidate(lambda: copy.deepcopy(network), inputs, trained=trained) for trained in (False, True)
        }
        for position, (plugin, target) in enumerate(self._costs):
            trained = plugin.needs_trained_weights
            if position in self._broken or not (fresh or trained):
                continue
            known = {key: 0.0 for other, values in enumerate(self._values) if other != position for key in values}
            try:
                answer = price([plugin], candidates[trained], target, trained=trained, known=known)
            except Exception as error:  # whatever a plugin raises, the training goes on
                rank_zero_warn(f"nasplug: the cost {plugin.name!r} is no longer logged: {error}")
                self._broken.add(position)
                answer = {}
            self._values[position] = answer


def structure_of(network: nn.Module) -> tuple[object, ...]:
    """What costs can depend on: the modules with what they print about themselves, and the shapes of all tensors."""
    state = network.state_dict()
    return repr(network), tuple([(name, getattr(value, "shape", None)) for name, value in state.items()])

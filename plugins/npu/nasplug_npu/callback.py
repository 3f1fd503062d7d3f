"""Logs what a network costs on a unit while it trains, with the zeros that its weights and activations have by then."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor, nn

from nasplug.contract.errors import NasplugError, SpecError, did_you_mean
from nasplug.contract.io import Inputs, InputsLike
from nasplug.lightning.calls import FirstCall, inputs_of_example
from nasplug.lightning.network import network_of
from nasplug.workloads.extract import extract
from nasplug_npu.unit import NPU


class NPULogger(Callback):
    """At the end of every validation, logs `npu/...` costs and densities of the network.

    The density of weights is the share that is not exactly zero; that of activations is measured at the inputs of
    convolutional and linear layers on the first batch of the validation, and goes into the estimate of units that
    skip or gate zeros.

    Args:
        unit: A preset with changes, such as `wu32,macs=64`.
        keys: Costs to log.
        unsupported: Policy for layers that the unit cannot do: `error` (warns, and logs no costs), `cpu`, `zero`.
        attribute: Attribute of the LightningModule that holds its network.
        inputs: Inputs of the network, as `nasplug.Inputs.of` reads them; None takes them from the module's
            `example_input_array`, or from the network's first call in validation.

    Raises:
        SpecError: An unknown unit or policy.
    """

    def __init__(
        self,
        unit: str = "wu32",
        keys: Sequence[str] = ("latency_s", "energy_j", "cycles", "peak_sram_bytes", "flash_bytes"),
        unsupported: str = "cpu",
        attribute: str = "network",
        inputs: InputsLike | None = None,
    ) -> None:
        self._unit = NPU(unit, unsupported)
        self._keys, self._attribute = tuple(keys), attribute
        self._inputs = None if inputs is None else Inputs.of(inputs)
        self._call = FirstCall()
        self._zeros = _Zeros()
        self._failed = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuses a module without the network before anything is trained.

        Raises:
            SpecError: It has no module of that name.
        """
        self._network(pl_module)
        if self._inputs is None:
            self._inputs = inputs_of_example(pl_module.example_input_array)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Starts to count on the first batch."""
        if batch_idx == 0 and dataloader_idx == 0:
            if self._inputs is None:
                self._call.watch(self._network(pl_module))
            self._zeros.watch(self._network(pl_module))

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stops to count."""
        if batch_idx == 0 and dataloader_idx == 0:
            self._zeros.stop()
            self._call.stop()
            self._inputs = self._inputs or self._call.inputs

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prices on the first rank and logs on all."""
        values: dict[str, float] = {}
        if trainer.is_global_zero and not trainer.sanity_checking:
            values = self._price(self._network(pl_module))
        values = trainer.strategy.broadcast(values)
        if values and not trainer.sanity_checking:
            pl_module.log_dict(values)

    def _price(self, network: nn.Module) -> dict[str, float]:
        weights = [layer.weight for layer in network.modules() if isinstance(layer, _LAYERS)]
        total = sum(weight.numel() for weight in weights)
        kept = sum(int(torch.count_nonzero(weight)) for weight in weights)
        values = {"npu/weight_density": kept / max(total, 1), "npu/input_density": self._zeros.mean()}
        if self._failed:
            return values
        if self._inputs is None:
            why = self._call.problem or "the network is never called in validation"
            rank_zero_warn(f"nasplug: costs on {self._unit.config.name} are not logged: {why}; give inputs=...")
            self._failed = True
            return values
        marked = copy.deepcopy(network)
        for name, layer in marked.named_modules():
            if name in self._zeros.density:
                layer.input_density = self._zeros.density[name]  # type: ignore[assignment]
        try:
            costs = self._unit.totals(extract(marked, self._inputs))
        except NasplugError as error:  # the training goes on
            rank_zero_warn(f"nasplug: costs on {self._unit.config.name} are no longer logged: {error}")
            self._failed = True
            return values
        for key in self._keys:
            if key not in costs:
                raise SpecError(f"there is no cost {key!r}", where="NPULogger", fix=did_you_mean(key, costs))
            values[f"npu/{key}"] = costs[key]
        return values

    def _network(self, pl_module: LightningModule) -> nn.Module:
        return network_of(pl_module, self._attribute, where="NPULogger", argument="attribute")


_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)


class _Zeros:
    """Counts zeros at the inputs of layers."""

    def __init__(self) -> None:
        self.density: dict[str, float] = {}
        self._sizes: dict[str, int] = {}
        self._handles: list[Any] = []

    def watch(self, network: nn.Module) -> None:
        """From now on."""
        self.stop()
        for name, layer in network.named_modules():
            if not isinstance(layer, _LAYERS):
                continue

            def count(_: nn.Module, inputs: tuple[Any, ...], name: str = name) -> None:
                if inputs and isinstance(inputs[0], Tensor):
                    self._sizes[name] = inputs[0].numel()
                    self.density[name] = float((inputs[0] != 0).float().mean())

            self._handles.append(layer.register_forward_pre_hook(count))

    def stop(self) -> None:
        """No longer."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def mean(self) -> float:
        """Over all elements; 1 if nothing was seen."""
        total = sum(self._sizes.values())
        return sum(self.density[name] * size for name, size in self._sizes.items()) / total if total else 1.0

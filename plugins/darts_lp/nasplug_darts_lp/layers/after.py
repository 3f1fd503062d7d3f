"""Quantises a network in the middle of its training, when its structure is settled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import nn

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.wording import plural
from nasplug_darts_lp.layers.quantise import exchange, quantised_layers, quantisers

if TYPE_CHECKING:
    from nasplug.evaluate.trialrun import TrialRun

#: Says in the record of an edit whose it is.
_BY = "darts_lp.quantise_after"
#: Key of a checkpoint that was written after the network was quantised.
_CHECKPOINT = "nasplug_darts_lp_quantised"


class QuantiseAfter:
    """Trains in floating point for some epochs, then quantises every layer in place and trains on.

    The wrapper `darts_lp.quantise` quantises networks as they are built, and its schedule can leave quantisers idle for
    a while. Here they are made when their time has come, for the channels that there are then: plugins that change the
    structure of a network, such as `cgap`, work before it on layers of torch. A trial records the change, so that
    costs, exports and retraining have the quantised network; a retraining is quantised from its first step.

    Args:
        epochs: Number of epochs in floating point.
        weight_bits: Bits of the weights, 1 to 8, or None for floating point.
        activation_bits: Bits of the inputs of the layers, 1 to 8, or None for floating point.
        activations: Kind of quantiser: `double_st`, `single_st`, `threshold_st`, `fixed`, `learnable`, `lsq`, `pact`.
        weights: Kind of quantiser: `uniform`, `lsq`, `gaussian`.
        first_last_bits: Bits of the first and the last layer; None leaves them in floating point.
        skip: Names of modules that stay as they are; `*` stands for anything.
        layers: Other settings for layers by name.
        options: Options of the activation quantiser, such as `{squeeze: sample}`.
        network_attribute: Attribute of the LightningModule that holds the network, in a Trainer of one's own.

    Raises:
        SpecError: A setting that no layer can have, or a negative number of epochs.
    """

    def __init__(
        self,
        epochs: int,
        weight_bits: int | None = 4,
        activation_bits: int | None = 4,
        activations: str = "double_st",
        weights: str = "uniform",
        first_last_bits: int | None = 8,
        skip: Sequence[str] = (),
        layers: Mapping[str, Mapping[str, Any]] | None = None,
        options: Mapping[str, Any] | None = None,
        network_attribute: str = "network",
    ) -> None:
        if epochs < 0:
            raise SpecError(f"epochs must be >= 0, got {epochs}", where=_BY)
        self._epochs, self._attribute = epochs, network_attribute
        self._settings: dict[str, Any] = {
            **{"weight_bits": weight_bits, "activation_bits": activation_bits, "activations": activations},
            **{"weights": weights, "first_last_bits": first_last_bits, "skip": list(skip)},
            **{"layers": None if layers is None else {name: dict(own) for name, own in layers.items()}},
            **(options or {}),
        }
        with torch.device("meta"):  # a setting that no layer can have is refused before anything trains
            exchange(
                nn.Sequential(*[nn.Linear(1, 1) for _ in range(3)]), **{**self._settings, "skip": (), "layers": None}
            )

    @hookimpl
    def configure_callbacks(self, run: TrialRun) -> Sequence[Callback]:
        """One callback; none for a network that is quantised already."""
        if any(edit.get("by") == _BY for edit in run.trial.edits):
            return []
        from nasplug.lightning.network import network_of

        alone = run.study.task is None

        def network(module: LightningModule) -> nn.Module:
            return network_of(module, self._attribute) if alone else run.network

        return [_Exchange(self._epochs, self._settings, network, run.edit, run.trial.seed)]

    @hookimpl
    def edit(self, network: nn.Module, edit: JsonObject) -> nn.Module | None:
        """Quantises a network built anew as its trial recorded it."""
        if edit.get("by") != _BY:
            return None
        settings: Any = edit["settings"]
        return exchange(network, **settings)


class _Exchange(Callback):
    """Exchanges the layers at the beginning of an epoch.

    Args:
        epochs: Number of epochs before.
        settings: Settings of quantisers.
        network: Function that finds the network in the LightningModule.
        edit: Function that takes the record of the change.
        seed: Seed of the weights that quantisers have of their own, so that a resumed training draws the same.
    """

    def __init__(
        self,
        epochs: int,
        settings: Mapping[str, Any],
        network: Callable[[LightningModule], nn.Module],
        edit: Callable[[JsonObject], None],
        seed: int,
    ) -> None:
        self._epochs, self._settings, self._network_of, self._edit = epochs, settings, network, edit
        self._seed = seed

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuses what cannot work, and lets a checkpoint's structure come before its weights.

        Raises:
            SpecError: The training ends before its time, the network is quantised already, or others train it too.
        """
        network = self._network_of(pl_module)
        load = pl_module.on_load_checkpoint

        def quantised_first(checkpoint: dict[str, Any]) -> None:
            if checkpoint.get(_CHECKPOINT) and not quantised_layers(network):
                self._exchange(network)
            load(checkpoint)

        pl_module.on_load_checkpoint = quantised_first  # type: ignore[method-assign]
        if stage != "fit":
            return
        if trainer.max_epochs is not None and 0 <= trainer.max_epochs <= self._epochs:
            raise SpecError(
                f"the training ends after {plural(trainer.max_epochs, 'epoch')}, before the network is quantised",
                where=_BY,
                why=f"it trains for {plural(self._epochs, 'epoch')} in floating point",
                fix=f"train for more than {plural(self._epochs, 'epoch')}, or set fewer epochs here",
            )
        if trainer.world_size > 1:
            raise SpecError(
                "a network whose layers are exchanged trains in one process", where=_BY, fix="use devices: 1"
            )
        if quantised_layers(network):
            raise SpecError(
                "the network is quantised already",
                where=_BY,
                fix="take the wrapper darts_lp.quantise, or this callback, but not both",
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Quantises when the time has come, and lets the optimizer train the quantisers too."""
        network = self._network_of(pl_module)
        if trainer.current_epoch != self._epochs or quantised_layers(network):
            return
        self._exchange(network)
        network.to(pl_module.device)
        _hold(trainer.optimizers, pl_module, network)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, object]) -> None:
        """Says whether the weights are those of a quantised network."""
        checkpoint[_CHECKPOINT] = bool(quantised_layers(self._network_of(pl_module)))

    def _exchange(self, network: nn.Module) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            exchanged = exchange(network, **self._settings)
        if exchanged is not network:
            raise SpecError("a network that is a single layer cannot be quantised in place", where=_BY)
        self._edit({"by": _BY, "settings": dict(self._settings)})


def _hold(optimizers: Sequence[torch.optim.Optimizer], module: nn.Module, network: nn.Module) -> None:
    """Adds the weights of quantisers to the last group of the first optimizer.

    Parameters stand in the order of the module afterwards, in which an optimizer that is made anew has them: states in
    checkpoints are numbered.
    """
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    held = {id(weight) for group in groups for weight in group["params"]}
    new = [weight for each in quantisers(network) for weight in each.parameters() if weight.requires_grad]
    optimizers[0].param_groups[-1]["params"].extend(weight for weight in new if id(weight) not in held)
    order = {id(weight): index for index, weight in enumerate(module.parameters())}
    for group in groups:
        group["params"].sort(key=lambda weight: order.get(id(weight), len(order)))

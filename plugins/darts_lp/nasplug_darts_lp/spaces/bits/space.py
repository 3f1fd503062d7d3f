"""Bits of weights and activations for every layer of any network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from torch import Tensor, nn

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.io import Inputs, InputsLike
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.protocols import Choice
from nasplug.contract.records import Architecture
from nasplug.evaluate.usermodel import OnUserModel, UserModel
from nasplug.run.seeding import undisturbed
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.hyperparameters import part_of
from nasplug_darts_lp.layers.quantise import quantise, quantised_layers
from nasplug_darts_lp.spaces.checks import check_bits
from nasplug_darts_lp.spaces.sharing import Shared, shared_by_bits

if TYPE_CHECKING:
    from pytorch_lightning import Callback

    from nasplug.contract.protocols import Task
    from nasplug.evaluate.trialrun import TrialRun
    from nasplug.workloads.workload import Workload

_WHERE = "darts_lp.bits"
#: Parts of a layer whose state belongs to its bits, and not to the network.
_OWN = ("input_quantiser", "weight_quantiser")


@dataclass(frozen=True, kw_only=True)
class Quantisers:
    """How layers are quantised, whatever their bits.

    Attributes:
        activations: Kind of the activation quantiser, as for `darts_lp.quantise`.
        weights: Kind of the weight quantiser.
        options: Options of the activation quantiser.
    """

    activations: str = "double_st"
    weights: str = "uniform"
    options: Mapping[str, Any] | None = None


class BitsSpace(OnUserModel, ChoiceSpace):
    """The bits of weights and inputs of every convolutional and linear layer of one network.

    All that `darts_lp.quantise` can quantise has two choices, but for the first and the last layer, whose bits are
    fixed. A built network has the trained weights of the model, if it has any. Ranges of activations come from the
    first batch of a training, or from `calibrate` training batches where nothing is trained.

    Example:
        >>> space = BitsSpace("my_project:Model", weights="w.ckpt", inputs=(3, 32, 32))

    Args:
        model: `package.module:name` of a class or function that makes the network, or the LightningModule around it;
            `timm:NAME`; or, in Python, the class, the function or a trained module.
        weights: File of trained weights: safetensors, torch weights, a Lightning checkpoint, `hub` for timm's own, or
            `random` for a network that is not trained yet.
        inputs: Inputs of the network without the batch, such as [3, 224, 224]; None takes the module's
            `example_input_array`, or what timm says.
        arguments: Arguments of the class or function; those that a Lightning checkpoint holds need not be given.
        network_attribute: Path of the network inside a LightningModule; None finds it.
        weight_bits: Bits that weights may have.
        activation_bits: Bits that inputs of layers may have.
        first_last_bits: Bits of the first and the last layer; None leaves them in floating point.
        skip: Names of modules that stay as they are; `*` stands for anything.
        quantisers: Kinds of quantisers.
        calibrate: Number of training batches that set ranges where nothing is trained.

    Raises:
        SpecError: There is no such model, its weights do not fit, its inputs are not known, or bits are out of range.
        TaskError: A layer cannot be quantised, by its name.
    """

    def __init__(
        self,
        model: str | nn.Module | Callable[..., object] | UserModel,
        weights: str | None = None,
        inputs: InputsLike | None = None,
        arguments: JsonObject | None = None,
        network_attribute: str | None = None,
        weight_bits: Sequence[int] = (2, 4, 8),
        activation_bits: Sequence[int] = (2, 4, 8),
        first_last_bits: int | None = 8,
        skip: Sequence[str] = (),
        quantisers: Quantisers = Quantisers(),
        calibrate: int = 8,
    ) -> None:
        check_bits(weight_bits, activation_bits, first_last_bits, _WHERE)
        if not weight_bits or calibrate < 1:
            raise SpecError(
                f"expected bits to choose from and calibrate >= 1, got {list(weight_bits)} and {calibrate}",
                where=_WHERE,
            )
        if not isinstance(model, UserModel):
            model = UserModel(model, weights, arguments, network_attribute)
        known = model.inputs if inputs is None else Inputs.of(inputs)
        if known is None:
            raise SpecError(
                f"the inputs of {model.name} are not known",
                where=_WHERE,
                fix="give inputs: [3, 224, 224], or set example_input_array in the LightningModule",
            )
        self.model, self.inputs, self._calibrate = model, known, calibrate
        self._settings: dict[str, Any] = {
            **{"first_last_bits": first_last_bits, "skip": tuple(skip)},
            **{"activations": quantisers.activations, "weights": quantisers.weights},
            **(quantisers.options or {}),
        }
        with undisturbed():  # new layers draw weights, which those of the model replace
            names = list(quantised_layers(quantise(model.network, **{**self._settings, "first_last_bits": 8})))[1:-1]
        if not names:
            raise SpecError(f"{model.name} has no layer between its first and its last", where=_WHERE)
        weight_bits, activation_bits = sorted(set(weight_bits)), sorted(set(activation_bits))
        #: Pairs (weight bits, activation bits) of every layer, by its name.
        self.precisions = {name: tuple(product(weight_bits, activation_bits)) for name in names}
        choices = [
            Choice(f"{name}.{what}_bits", tuple(bits))
            for name in names
            for what, bits in (("weight", weight_bits), ("activation", activation_bits))
        ]
        super().__init__("bits", choices)

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries the space with."""
        return [{"model": "nasplug_darts_lp.example:small_network", "weights": "random", "inputs": [1, 8, 8]}]

    def bits(self, architecture: Architecture) -> dict[str, tuple[int, int]]:
        """Bits of weights and inputs of every layer, by its name."""
        genotype = cast("tuple[int, ...]", architecture.genotype)
        return {name: (genotype[2 * at], genotype[2 * at + 1]) for at, name in enumerate(self.precisions)}

    def assigned(self, bits: Mapping[str, tuple[int, int]]) -> Architecture:
        """Returns the network with these bits.

        Args:
            bits: Bits of weights and inputs of every layer, by its name.
        """
        return self.architecture([value for name in self.precisions for value in bits[name]])

    def bare(self) -> nn.Module:
        """Makes the network in floating point."""
        return self.model.copy()

    def build(self, architecture: Architecture, task: Task | None = None) -> nn.Module:
        """Builds the quantised network, with the weights of the model."""
        layers = {
            name: {"weight_bits": weights, "activation_bits": activations}
            for name, (weights, activations) in self.bits(architecture).items()
        }
        return quantise(self.model.network, layers=layers, **self._settings).train()

    def shared(self, architecture: Architecture, network: nn.Module) -> Shared:
        """Bits share the weights of their layer, and not their quantisers; see `nasplug.SharesWeights`."""
        return shared_by_bits(network)

    def workload(self, architecture: Architecture, task: Task | None = None) -> Workload:
        """The layers with their bits, read off the network once."""
        bits, known = self.bits(architecture), self._layers
        columns = [
            [bits[name][operand] if name in bits else int(own) for name, own in zip(known.names, column, strict=True)]
            for operand, column in enumerate((known.weight_bits, known.input_bits))
        ]
        return known.replace(weight_bits=np.array(columns[0]), input_bits=np.array(columns[1]))

    @cached_property
    def _layers(self) -> Workload:
        from nasplug.workloads.extract import extract

        return extract(self.build(self.from_vector([0] * len(self.choices))), self.inputs)

    # -- hooks -------------------------------------------------------------------------------------------------------

    @hookimpl
    def inherit(self, run: TrialRun, network: nn.Module, weights: Mapping[str, Tensor]) -> bool | None:
        """Takes all weights but the state of quantisers, which belongs to the bits of the earlier trial."""
        if part_of(self, run.space, run.trial.architecture) is None:
            return None
        take(network, weights)
        return True

    @hookimpl
    def configure_callbacks(self, run: TrialRun) -> list[Callback]:
        """Takes the weights of a network that a strategy has trained, and sets ranges where nothing is trained."""
        if part_of(self, run.space, run.trial.architecture) is None:
            return []
        from nasplug.evaluate.trainer import as_callback
        from nasplug.evaluate.weights import read_tensors
        from nasplug.lightning.distribution import lightning_of
        from nasplug_darts_lp.layers.calibration import Calibration

        trained = run.trial.proposal.info.get("weights")
        if trained is not None and run.trial.proposal.inherits is None:
            take(run.network, read_tensors(run.study.work_folder(str(trained)) / "weights.safetensors"))
        lightning = lightning_of(self.model.owner)
        return [cast("Callback", as_callback(Calibration, lightning)(run.network, self._calibrate))]


def take(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Fills a network with the weights of another one, but for the state of quantisers.

    Args:
        network: Quantised network, changed in place.
        weights: Tensor by name.
    """
    fitting = {name: value for name, value in weights.items() if not set(_OWN) & set(name.split("."))}
    network.load_state_dict(fitting, strict=False)

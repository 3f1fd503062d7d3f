"""Quantises the networks of others: every convolution and linear layer, in place of the original."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nasplug.contract.errors import TaskError, did_you_mean
from nasplug.contract.hookspecs import hookimpl
from nasplug.export.inference import inference_form
from nasplug_darts_lp.layers.exact import exact_form
from nasplug_darts_lp.layers.idle import IdleLayers
from nasplug_darts_lp.layers.precision import Precision
from nasplug_darts_lp.layers.quantised import QuantConv2d, QuantLinear
from nasplug_darts_lp.layers.recognition import recognise
from nasplug_darts_lp.layers.streams import integer_sums
from nasplug_darts_lp.layers.sums import IntegerSum, MapQuantiser
from nasplug_darts_lp.quantisers import ActivationQuantiser, WeightQuantiser
from nasplug_darts_lp.quantisers.base import one_of

_WHERE = "darts_lp.quantise"
#: How maps are added and averaged.
_SUMS = ("float", "integer")

#: Layers that multiply by weights and have no quantised form here. Others of torch have nothing to quantise.
_UNSUPPORTED = (
    *(nn.Conv1d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(nn.Bilinear, nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase),
)


def quantise(
    network: nn.Module,
    *,
    weight_bits: int | None = 4,
    activation_bits: int | None = 4,
    activations: str = "double_st",
    weights: str = "uniform",
    first_last_bits: int | None = 8,
    skip: Sequence[str] = (),
    layers: Mapping[str, Mapping[str, Any]] | None = None,
    sums: str = "float",
    **options: Any,
) -> nn.Module:
    """A copy of a network with quantised convolutional and linear layers.

    Batch normalisation and average pools are replaced by forms with the same parameters whose inference repeats
    exactly; see `nasplug_darts_lp.layers.exact`. Everything else stays. Activations get their ranges from the first
    batch of a training, or by `calibrate`.

    Args:
        network: Any module; not touched.
        weight_bits: Bits of the weights, 1 to 8, or None for floating point.
        activation_bits: Bits of the inputs of the layers, 1 to 8, or None for floating point.
        activations: Kind of their quantiser, `double_st`, `single_st`, `threshold_st`, `fixed`, `learnable`, `lsq`,
            `pact`.
        weights: Kind of the quantiser of weights, `uniform`, `lsq`, `gaussian`.
        first_last_bits: Bits of weights and inputs of the first and the last layer, in the order in which the network
            lists them; None leaves these two in floating point.
        skip: Names of modules that stay as they are, with all they hold; `*` stands for anything, also for nothing.
        layers: Other settings for layers by name: `{"layer1.0.conv1": {"weight_bits": 2}}`.
        sums: Arithmetic of additions, average pools and concatenations: `float`, of values, or `integer`, of codes of 8
            bits, in training too, so that the folded network has whole numbers only; the network becomes a graph of
            torch.fx then. See `nasplug_darts_lp.layers.sums`.
        **options: Options of the activation quantiser, such as `squeeze`.

    Raises:
        TaskError: A module that cannot be quantised, by its name, an unknown name in `skip` or `layers`, or integer
            sums of a network that torch.fx cannot follow.
        SpecError: Bits out of range, or an unknown option.
        UnknownNameError: An unknown kind of quantiser.
    """
    one_of("sums", sums, _SUMS, _WHERE)
    settings: dict[str, Any] = {"weight_bits": weight_bits, "activation_bits": activation_bits, "weights": weights}
    settings |= {"activations": activations, "first_last_bits": first_last_bits, "skip": skip, "layers": layers}
    _refuse_uncopyable(network)
    found = exchange(copy.deepcopy(network), **settings, **options)
    if sums == "float":
        return found
    made = integer_sums(found)
    if made is not found:
        _watch(made)
    return made


def exchange(
    network: nn.Module,
    *,
    weight_bits: int | None = 4,
    activation_bits: int | None = 4,
    activations: str = "double_st",
    weights: str = "uniform",
    first_last_bits: int | None = 8,
    skip: Sequence[str] = (),
    layers: Mapping[str, Mapping[str, Any]] | None = None,
    **options: Any,
) -> nn.Module:
    """Quantises a network in place, with its own weights, which an optimizer may hold; see `quantise`.

    Args:
        network: Any module; its layers are exchanged.
        weight_bits: Bits of the weights.
        activation_bits: Bits of the inputs of the layers.
        activations: Kind of their quantiser.
        weights: Kind of the quantiser of weights.
        first_last_bits: Bits of the first and the last layer.
        skip: Names of modules that stay as they are.
        layers: Other settings for layers by name.
        **options: Options of the activation quantiser.

    Returns:
        The network itself, or what stands for it if it is a layer.

    Raises:
        TaskError: A module that cannot be quantised, by its name, or an unknown name in `skip` or `layers`.
        SpecError: Bits out of range, or an unknown option.
        UnknownNameError: An unknown kind of quantiser.
    """
    quantised = network
    names = [name for name, _ in quantised.named_modules()]
    _check_names("skip", skip, names)
    found = {
        name: module
        for name, module in quantised.named_modules(remove_duplicate=False)
        if not any(fnmatch(name, pattern) or fnmatch(name, f"{pattern}.*") for pattern in skip)
    }
    for name, module in found.items():
        _refuse_unsupported(name or "the network", module)
    ours = [name for name, module in found.items() if isinstance(module, (nn.Conv2d, nn.Linear))]
    if not ours:
        raise TaskError(
            f"{type(network).__name__} does not have a convolutional or linear layer to quantise", where=_WHERE
        )
    settings = layers or {}
    _check_names("layers", settings, ours)
    common = {"weights": weights, "activations": activations, **options}
    ends = {"weight_bits": first_last_bits, "activation_bits": first_last_bits}
    replaced: dict[int, nn.Module] = {}
    for name in found:
        module = found[name]
        if id(module) not in replaced:
            bits = {"weight_bits": weight_bits, "activation_bits": activation_bits}
            own = {**common, **(ends if name in (ours[0], ours[-1]) else bits), **settings.get(name, {})}
            replaced[id(module)] = _replacement(module, own)
        quantised = _put(quantised, name, replaced[id(module)])
    _watch(quantised)
    return quantised


def _watch(network: nn.Module) -> None:
    IdleLayers(dict(quantised_layers(network))).watch(network)


class Quantise:
    """A wrapper that quantises the networks of a search, or the one of a Trainer: see `quantise`.

    Args:
        weight_bits: Bits of the weights, 1 to 8, or None for floating point.
        activation_bits: Bits of the inputs of the layers, 1 to 8, or None for floating point.
        activations: Kind of quantiser: `double_st`, `single_st`, `threshold_st`, `fixed`, `learnable`, `lsq`, `pact`.
        weights: Kind of quantiser: `uniform`, `lsq`, `gaussian`.
        first_last_bits: Bits of the first and the last layer; None leaves them in floating point.
        skip: Names of modules that stay as they are; `*` stands for anything.
        layers: Other settings for layers by name.
        options: Options of the activation quantiser, such as `{squeeze: sample}`.
        sums: Arithmetic of additions, average pools and concatenations: `float`, or `integer` on codes of 8 bits.
    """

    def __init__(
        self,
        weight_bits: int | None = 4,
        activation_bits: int | None = 4,
        activations: str = "double_st",
        weights: str = "uniform",
        first_last_bits: int | None = 8,
        skip: Sequence[str] = (),
        layers: Mapping[str, Mapping[str, Any]] | None = None,
        options: Mapping[str, Any] | None = None,
        sums: str = "float",
    ) -> None:
        self._settings: dict[str, Any] = {
            **{"weight_bits": weight_bits, "activation_bits": activation_bits, "activations": activations},
            **{"weights": weights, "first_last_bits": first_last_bits, "skip": skip, "layers": layers},
            "sums": sums,
            **(options or {}),
        }
        with torch.device("meta"):  # a setting that no layer can have is refused before anything trains
            layers_of_all_kinds = nn.Sequential(*[nn.Linear(1, 1) for _ in range(3)])
            quantise(layers_of_all_kinds, **{**self._settings, "skip": (), "layers": None})

    @hookimpl(wrapper=True)
    def build(self) -> Any:
        """The network of the space, or of the wrapper before, quantised."""
        network = yield
        return quantise(network, **self._settings)


def quantisers(network: nn.Module) -> Iterable[ActivationQuantiser | WeightQuantiser]:
    """All quantisers of a network."""
    return (module for module in network.modules() if isinstance(module, (ActivationQuantiser, WeightQuantiser)))


def quantised_layers(network: nn.Module) -> dict[str, QuantConv2d | QuantLinear]:
    """The quantised layers of a network by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, (QuantConv2d, QuantLinear))}


def calibrated_parts(network: nn.Module) -> list[nn.Module]:
    """The modules of a network that set ranges in training mode: quantised layers, sums, and quantisers of maps."""
    return [
        module
        for module in network.modules()
        if isinstance(module, (QuantConv2d, QuantLinear, IntegerSum, MapQuantiser))
    ]


@torch.no_grad()
def calibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Sets ranges and moving averages from inputs, without training: weights and normalisation stay.

    Args:
        network: Quantised; its mode is kept.
        batches: Inputs (N, ...); the first sets the ranges, all of them move the averages.
    """
    modes = [(module, module.training) for module in network.modules()]
    try:
        network.eval()
        for part in calibrated_parts(network):
            part.train()  # quantises the floating-point values, and nothing else in it depends on the mode
        for batch in batches:
            network(batch)
    finally:
        for module, mode in modes:
            module.training = mode


@torch.no_grad()
def measure_densities(network: nn.Module, inputs: Tensor) -> None:
    """States in every quantised layer which share of its weights and inputs is not zero, for costs to read.

    Args:
        network: Quantised; in inference mode while measuring, and then as it was.
        inputs: A batch (N, ...).
    """
    handles = []
    for layer in quantised_layers(network).values():
        if layer.weight_quantiser is not None:
            layer.weight_density = _density(layer.weight_quantiser.integers(layer.weight)[0])

        def look(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            assert isinstance(layer, (QuantConv2d, QuantLinear))
            (values,) = arguments
            quantiser = layer.input_quantiser
            layer.input_density = _density(values if quantiser is None else quantiser.codes(values).numbers)

        handles.append(layer.register_forward_pre_hook(look))
    modes = [(module, module.training) for module in network.modules()]
    try:
        network.eval()(inputs)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode


def freeze(network: nn.Module) -> nn.Module:
    """A copy in inference mode whose quantisers of activations are thresholds and nothing else.

    Its outputs are those of the network in inference mode; the perceptrons of squeeze-and-threshold are gone.
    """
    return inference_form(copy.deepcopy(network).eval())


def _density(numbers: Tensor) -> float:
    return float((numbers != 0).float().mean())


def _replacement(module: nn.Module, settings: dict[str, Any]) -> nn.Module:
    if not isinstance(module, (nn.Conv2d, nn.Linear)):
        return exact_form(module)
    precision = Precision.of(settings)
    if precision.floating_point:
        return module
    if isinstance(module, nn.Conv2d):
        return QuantConv2d.of(module, precision)
    return QuantLinear.of(module, precision)


def _refuse_uncopyable(network: nn.Module) -> None:
    """Refuses layers whose weights are recomputed in every forward pass by hooks of torch, which cannot be copied."""
    for name, module in network.named_modules():
        own = {key for key, _ in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))}
        weight = next((key.removesuffix("_orig") for key in own if key.endswith("_orig")), None)
        why = fix = None
        if weight is not None and f"{weight}_mask" in own:
            why = "its weights are masked by torch.nn.utils.prune"
            fix = f"make the masks permanent: torch.nn.utils.prune.remove(layer, {weight!r})"
        elif {"weight_g", "weight_v"} <= own:
            why = "its weights are computed by torch.nn.utils.weight_norm"
            fix = "make them permanent: torch.nn.utils.remove_weight_norm(layer)"
        elif weight is not None:
            why, fix = "its weights are computed by a hook", "make them permanent before"
        if why:
            label = f"{name or 'the network'} ({type(module).__name__})"
            raise TaskError(f"{label} cannot be quantised", where=_WHERE, why=why, fix=fix)


def _refuse_unsupported(name: str, module: nn.Module) -> None:
    why = ""
    if isinstance(module, (QuantConv2d, QuantLinear)):
        why = "it is quantised already"
    elif parametrize.is_parametrized(module):
        why = "its weights are computed by a parametrisation"
    elif isinstance(module, nn.modules.lazy.LazyModuleMixin):
        why = "its shape is not known before the first batch"
    elif isinstance(module, _UNSUPPORTED):
        why = "it does not have a quantised form"
    elif isinstance(module, nn.Conv2d) and module.padding_mode != "zeros":
        why = f"it pads with {module.padding_mode!r}, not with zeros"
    elif isinstance(module, (nn.Conv2d, nn.Linear)) and recognise(module) is None:
        why = "it computes something else than the layer of torch it comes from"
    if why:
        raise TaskError(
            f"{name} ({type(module).__name__}) cannot be quantised",
            where=_WHERE,
            why=why,
            fix=f"skip it: skip=[{name!r}]",
        )


def _check_names(what: str, patterns: Iterable[str], names: Sequence[str]) -> None:
    for pattern in patterns:
        if "*" not in pattern and pattern not in names:
            raise TaskError(
                f"{what}: the network does not have {pattern!r}", where=_WHERE, fix=did_you_mean(pattern, names)
            )


def _put(network: nn.Module, name: str, module: nn.Module) -> nn.Module:
    """Exchanges a module by its name; the new root if it is the network itself."""
    if not name:
        return module
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)
    return network

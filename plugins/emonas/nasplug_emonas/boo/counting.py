"""The ones of a whole network: which tensors count, and how often each weight is used in an inference."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from nasplug.contract.io import InputsLike
from nasplug.cost.modules import BY_WEIGHTS, macs_by_module
from nasplug_emonas.boo.bits import ones
from nasplug_emonas.boo.formats import BitFormat

_NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True, slots=True)
class Weights:
    """A tensor that counts.

    Attributes:
        name: Path of the layer in the network.
        module: Name of the module that owns it; the empty string is the network itself.
        tensor: The parameter.
        axis: Dimension of the output channels.
    """

    name: str
    module: str
    tensor: Tensor
    axis: int


@dataclass(frozen=True, slots=True)
class Count:
    """One bits of a network.

    Attributes:
        ones: Number of ones in all weights together.
        weights: Number of weights.
        bits: Bits of one weight.
        adds: Ones met in an inference on one input: the additions of a shift-and-add multiplier. A multiplication by a
            weight costs as many as the weights of its layer have ones on average.
        macs: Multiplications by weights in that inference.
    """

    ones: int
    weights: int
    bits: int
    adds: float
    macs: int

    @property
    def density(self) -> float:
        """Share of ones among all bits."""
        return self.mean / self.bits

    @property
    def mean(self) -> float:
        """Ones per weight."""
        return self.ones / self.weights if self.weights else 0.0

    @property
    def per_mac(self) -> float:
        """Ones per multiplication by a weight."""
        return self.adds / self.macs if self.macs else 0.0


def counted(network: nn.Module, include_bias: bool = False, include_bn: bool = False) -> list[Weights]:
    """The weights of a network, shared ones once.

    Args:
        network: Any module.
        include_bias: Count biases, which are parameters whose name ends in `bias`.
        include_bn: Count the scales and shifts of normalisation layers.
    """
    found: dict[int, Weights] = {}
    for path, module in network.named_modules():
        for name, tensor in module.named_parameters(recurse=False):
            norm = isinstance(module, _NORMS)
            if include_bn if norm else include_bias or not name.endswith("bias"):
                full = f"{path}.{name}" if path else name
                axis = 1 if isinstance(module, _TRANSPOSED) else 0
                found.setdefault(id(tensor), Weights(full, path, tensor, axis))
    return list(found.values())


def count(
    network: nn.Module,
    form: BitFormat,
    inputs: InputsLike | None = None,
    *,
    include_bias: bool = False,
    include_bn: bool = False,
) -> Count:
    """Counts the one bits of a network's weights; the network is not changed.

    Multiplications are counted by torch's own operator counter on a copy without numbers, per module. Those in a module
    without weights of its own, such as a functional call on somebody else's weights, are priced at the mean of the
    network. Products of activations, as in attention, have no weights and do not count.

    Args:
        network: Network with trained weights, as untrained ones tell only of their initial distribution.
        form: Bit format.
        inputs: Input of the network, or the shape of one float input without the batch; without them `adds` and
            `macs` are 0.
        include_bias: Count biases.
        include_bn: Count the scales and shifts of normalisation layers.

    Raises:
        TaskError: The network cannot take such an input.
        TrialError: A weight is not finite, which `intN` and `Qm.n` cannot say.
    """
    total, size = 0, 0
    by_module: dict[str, list[int]] = {}
    for weights in counted(network, include_bias, include_bn):
        found, numel = ones(weights.tensor, form, weights.axis), weights.tensor.numel()
        total, size = total + found, size + numel
        if weights.tensor.dim() > 1:  # biases and scales of channels take no part in the products
            own = by_module.setdefault(weights.module, [0, 0])
            own[0], own[1] = own[0] + found, own[1] + numel
    mean = total / size if size else 0.0
    macs = {} if inputs is None else macs_by_module(network, inputs, operators=BY_WEIGHTS, where="boo", what="products")
    adds = 0.0
    for module, products in macs.items():
        own = by_module.get(module, [0, 0])
        adds += products * (own[0] / own[1] if own[1] else mean)
    return Count(total, size, form.bits, adds, sum(macs.values()))

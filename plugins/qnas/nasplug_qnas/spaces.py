"""The search spaces of Q-NAS: chains of functions, as nasplug spaces. Torch is imported only to build a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, get_args

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.protocols import Choice, Task
from nasplug.contract.records import Architecture, Genotype, Scalar
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph
from nasplug.spaces.images import ClassifiesImages
from nasplug_qnas.functions import Function, FunctionSet, function_set

if TYPE_CHECKING:
    from torch import nn

    from nasplug.workloads.workload import Workload

Prior: TypeAlias = Literal["published", "uniform"]
Head: TypeAlias = Literal["gap", "flatten"]


class ChainSpace(ClassifiesImages, ChoiceSpace):
    """Chains of up to `nodes` functions and a linear classifier, for images of any size and number of channels.

    The genotype names one function per node. `no_op` leaves its node out, so chains of different length are in the
    space, and genotypes that differ only in where their `no_op` stand have the same key. A pool that no longer fits
    its feature map is an identity.

    Source: Szwarcman, Civitarese and Vellasco, Applied Soft Computing 120:108674, 2022, and the code released with it.

    Args:
        functions: A published set, see `nasplug_qnas.functions.FUNCTION_SETS`, or a list of functions as
            `nasplug_qnas.functions.Function.parse` reads them; None means the set of the subclass.
        nodes: Length of the genotype.
        head: Layers before the classifier: `gap` (global average pooling), or `flatten` as published, whose
            classifier grows with the image.
        prior: Probability of each function before any evolution, of which `random` samples and from which `qnas`
            starts. `published`: layers, pools and `no_op` share it equally, and so do the functions of each group.
            `uniform`: all functions alike.
        probabilities: Other probabilities, by function, in place of `prior`.
        width: Factor on the filters of every function, at least one filter staying; 1.0 as published. Images of few
            pixels and processors without a GPU are served better by 0.125 or 0.25.
        he_bias: Draw biases like kernels, as published, instead of setting them to 0.
        norm_decay: Share of its running statistics that batch normalisation keeps in a step; 0.99 as published, for
            trainings of more than some hundred steps.

    Raises:
        SpecError: A function, probability or option is not valid, or two functions become one by `width`.
    """

    #: Name of the space, of a subclass.
    slug: ClassVar[str]
    #: Set of functions where none is given, of a subclass.
    published: ClassVar[str]

    def __init__(
        self,
        functions: str | list[str] | None = None,
        nodes: int = 20,
        head: Head = "gap",
        prior: Prior = "published",
        probabilities: Mapping[str, float] | None = None,
        width: float = 1.0,
        he_bias: bool = False,
        norm_decay: float = 0.9,
    ) -> None:
        where = f"space {self.slug!r}"
        for option, value, allowed in (("head", head, get_args(Head)), ("prior", prior, get_args(Prior))):
            if value not in allowed:
                raise SpecError(f"there is no {option} {value!r}", where=where, fix=did_you_mean(str(value), allowed))
        if not 0.0 <= norm_decay < 1.0:
            raise SpecError(f"norm_decay={norm_decay} must be at least 0 and below 1", where=where)
        if nodes < 1 or not 0.0 < width < float("inf"):
            raise SpecError(f"nodes={nodes} and width={width} must be above 0", where=where)
        chosen = _function_set(self.published if functions is None else functions, probabilities, prior)
        self.functions = _widened(chosen, width, where)
        self.head: Head = head
        self.he_bias, self.norm_decay = he_bias, norm_decay
        self._reduces = {function.name: function.reduces for function in self.functions.functions}
        options, weights = self.functions.names, self.functions.probabilities
        digits = len(str(nodes - 1))
        super().__init__(self.slug, [Choice(f"node{node:0{digits}d}", options, weights) for node in range(nodes)])

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """The functions without `no_op`: the network that is built."""
        # Nothing else is certain without the shape of the input: whether a pool still fits depends on it.
        return tuple([function for function in genotype if function != "no_op"])

    def reduces(self, option: Scalar) -> bool:
        """Whether a function has a stride above 1; what the reduction penalty of Q-NAS counts."""
        return self._reduces.get(str(option), False)

    def graph(self, architecture: Architecture) -> Graph:
        """The chain of functions that are built."""
        return Graph.chain(self._built(architecture))

    def build(self, architecture: Architecture, task: Task) -> Any:
        """A `nasplug_qnas.networks.ChainNetwork`: images (B, *task.input_shape) to logits (B, task.outputs).

        Raises:
            SpecError: The flattening head would not fit into memory, or the inputs are not images.
        """
        from nasplug_qnas.networks import ChainNetwork

        return ChainNetwork(
            self._built(architecture),
            task.input_shape,
            task.outputs,
            self.head,
            self.he_bias,
            norm_decay=self.norm_decay,
        )

    def workload(self, architecture: Architecture, task: Task) -> Workload:
        """The layers of the network, from the functions alone.

        Raises:
            SpecError: The inputs are not images.
        """
        from nasplug_qnas.workload import chain_workload

        return chain_workload(self._built(architecture), task.input_shape, task.outputs, self.head)

    def shared(self, architecture: Architecture, network: nn.Module) -> dict[str, tuple[str, dict[int, Sequence[int]]]]:
        """Layers of one kind, kernel and stride are one layer, whatever their filters, behind as many other layers.

        Pools have no weights and do not count. See `nasplug.SharesWeights`.
        """
        features = network.get_submodule("features")
        found: dict[str, tuple[str, dict[int, Sequence[int]]]] = {}
        depth = 0
        for name, layer in features.named_children():
            function = Function.parse(name.partition("_")[2])
            if function.group == "layer":
                place = f"layers.{depth}_{function.kind}_{function.kernel}_{function.stride}"
                for parameter, _ in layer.named_parameters():
                    found[f"features.{name}.{parameter}"] = (f"{place}.{parameter}", {})
                depth += 1
        if self.head == "flatten":  # a class for every map size, as the weights of one do not fit another
            side = "x".join(map(str, getattr(network, "feature_shape")[1:]))  # noqa: B009
            found["classifier.weight"] = (f"classifier_{side}.weight", {})
        return found

    def label(self, architecture: Architecture) -> str:
        """Returns the functions that are there, in their order."""
        return " ".join(self._built(architecture)) or "no functions"

    def _built(self, architecture: Architecture) -> tuple[str, ...]:
        genotype = architecture.genotype
        assert isinstance(genotype, tuple)
        return tuple([str(function) for function in genotype if function != "no_op"])


class ConvSpace(ChainSpace):
    """Chains of convolutions and pools: the sets `conv6`, `conv9`, `conv11` (where none is given) and `conv15`."""

    slug = "qnas.conv"
    published = "conv11"


class ResidualSpace(ChainSpace):
    """Chains of residual blocks and pools: the set `res9`, where no functions are given."""

    slug = "qnas.residual"
    published = "res9"


def _function_set(functions: str | list[str], probabilities: Mapping[str, float] | None, prior: Prior) -> FunctionSet:
    if isinstance(functions, str):
        chosen = function_set(functions)
        if probabilities is not None:
            chosen = FunctionSet.of(chosen.name, chosen.names, dict(probabilities))
    else:
        chosen = FunctionSet.of("own", functions, None if probabilities is None else dict(probabilities))
    if probabilities is None and prior == "uniform":
        chosen = replace(chosen, probabilities=(1.0 / len(chosen),) * len(chosen))
    return chosen


def _widened(functions: FunctionSet, width: float, where: str) -> FunctionSet:
    """The set with other numbers of filters, in the same order and with the same probabilities."""
    if width == 1.0:
        return functions
    widened = tuple(_wider(function, width) for function in functions.functions)
    names = [function.name for function in widened]
    if len(set(names)) != len(names):
        doubled = next(name for name in names if names.count(name) > 1)
        raise SpecError(f"with width={width:g} two functions become {doubled!r}", where=where, fix="use a larger width")
    return replace(functions, functions=widened)


def _wider(function: Function, width: float) -> Function:
    if function.group != "layer":
        return function
    filters = max(1, round(function.filters * width))
    return Function.parse(f"{function.kind}_{function.kernel}_{function.stride}_{filters}")

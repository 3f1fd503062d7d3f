"""What every supernet has: logits, the weights that were drawn last, an expected power, and a ranking of networks."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from torch import Tensor, nn

from nasplug.contract.records import Architecture
from nasplug_darts_lp.supernet.cost import BitOperations, PowerModel
from nasplug_darts_lp.supernet.logits import Logits, Weights
from nasplug_darts_lp.supernet.mixing import Mixing
from nasplug_darts_lp.supernet.scaling import Reading

if TYPE_CHECKING:
    from nasplug.contract.protocols import SearchSpace


@dataclass(frozen=True, slots=True)
class SupernetOptions:
    """How a supernet is made.

    Attributes:
        mixing: Softmax or Gumbel softmax, with the temperature's course.
        shared: One convolution for all candidates that can share it, or one for each.
        scaling: Reading of forward-and-backward scaling, where candidates are added up.
        activations: Quantiser of activations in shared convolutions.
        weights: Kind of the quantisers of weights.
        partial: PC-DARTS: one of so many channels goes through the candidates of a cell's edge; 1 sends all.
        power: What convolutions cost.
    """

    mixing: Mixing = field(default_factory=Mixing)
    shared: bool = True
    scaling: Reading = "none"
    activations: str = "shared"
    weights: str = "uniform"
    partial: int = 1
    power: PowerModel = field(default_factory=BitOperations)


class Supernet(nn.Module, ABC):
    """A network that holds all networks of a space: images (N, C, H, W) -> logits (N, outputs).

    In training mode, every forward pass draws weights of the candidates and keeps them in `drawn`, so that the power
    of the very draw can be part of the loss. Otherwise the weights are the probabilities.

    Args:
        space: Whose networks it holds.
        sizes: Number of options of every choice.
        options: See `SupernetOptions`.
        plain: Choices whose weights are always the softmax.

    Attributes:
        logits: The architecture parameters.
        temperature: Of the next draws; the training sets it.
        drawn: The weights of the last forward pass.
    """

    def __init__(
        self, space: SearchSpace, sizes: Mapping[str, int], options: SupernetOptions, plain: Collection[str] = ()
    ) -> None:
        super().__init__()
        self.space, self.options = space, options
        self.logits = Logits(sizes, plain)
        self.temperature = options.mixing.temperature(0.0)
        self.drawn: Weights = {}

    def forward(self, x: Tensor) -> Tensor:
        """Classifies with weights that are drawn now.

        Raises:
            TrialError: The logits are not finite.
        """
        if self.training:
            draw = self.logits.draw_with_chances if self.options.scaling == "importance" else self.logits.draw
            self.drawn = draw(self.options.mixing, self.temperature)
        else:
            self.drawn = self.logits.probabilities()
        return self.run(x, self.drawn)

    def network_parameters(self) -> list[nn.Parameter]:
        """All parameters but the logits."""
        own = {id(parameter) for parameter in self.logits.parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in own]

    @abstractmethod
    def run(self, x: Tensor, weights: Weights) -> Tensor:
        """Logits (N, outputs) with the given weights of the candidates."""

    @abstractmethod
    def power(self, weights: Weights) -> Tensor:
        """Expected power (), as a share of the largest network on 8x8 bits; differentiable in the weights."""

    @abstractmethod
    def weights_of(self, architecture: Architecture) -> Weights:
        """One-hot weights that run a single network of the space."""

    @abstractmethod
    def ranked(self) -> Iterator[tuple[Architecture, float]]:
        """All networks with their probabilities, the most probable first."""


@runtime_checkable
class HasSupernet(Protocol):
    """A space whose networks share the weights of one large network."""

    def supernet(self, input_shape: Sequence[int], outputs: int, options: SupernetOptions) -> Supernet:
        """The supernet for inputs of this shape (C, H, W) and so many outputs."""


def most_probable(factors: Sequence[Sequence[float]]) -> Iterator[tuple[tuple[int, ...], float]]:
    """All combinations of options in the order of their probability, found one after the other.

    Args:
        factors: Probabilities of the options of every choice, which are independent.

    Yields:
        The index of the option for every choice, and the product of their probabilities. Ties go by index.
    """
    orders = [sorted(range(len(options)), key=lambda i, o=options: (-o[i], i)) for options in factors]  # type: ignore[misc]

    def entry(ranks: tuple[int, ...]) -> tuple[float, tuple[int, ...], tuple[int, ...]]:
        chosen = tuple(order[rank] for order, rank in zip(orders, ranks, strict=True))
        product = 1.0
        for options, option in zip(factors, chosen, strict=True):
            product *= options[option]
        return -product, chosen, ranks

    heap = [entry((0,) * len(orders))]
    seen = {heap[0][2]}
    while heap:
        negative, chosen, ranks = heapq.heappop(heap)
        yield chosen, -negative
        for place, order in enumerate(orders):
            if ranks[place] + 1 < len(order):
                following = (*ranks[:place], ranks[place] + 1, *ranks[place + 1 :])
                if following not in seen:
                    seen.add(following)
                    heapq.heappush(heap, entry(following))

"""What every supernet has: logits, mixing weights of the last sample, an expected cost, and a ranking of networks."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice

from torch import Tensor, nn

from nasplug.contract.records import Architecture
from nasplug_darts_lp.supernet.logits import Logits, MixingWeights
from nasplug_darts_lp.supernet.options import SupernetOptions

#: So many of the most probable networks are looked at where nothing better is known.
MOST = 20_000


class Supernet(nn.Module, ABC):
    """A network that holds all networks of a space: images (N, C, H, W) -> logits (N, outputs).

    In training mode, every forward pass samples mixing weights of the candidates and keeps them in `mixing_weights`, so
    that the cost of the very sample can be part of the loss. Otherwise the mixing weights are the probabilities.

    Args:
        sizes: Number of options of every choice, by name.
        options: Options of the supernet.
        plain: Choices whose mixing weights are always the softmax.

    Attributes:
        options: Options, as given.
        logits: The architecture parameters.
        temperature: Temperature of the next samples; the training sets it.
        mixing_weights: The mixing weights of the last forward pass.
    """

    def __init__(self, sizes: Mapping[str, int], options: SupernetOptions, plain: Collection[str] = ()) -> None:
        super().__init__()
        self.options = options
        self.logits = Logits(sizes, plain)
        self.temperature = options.mixing.temperature_at(0.0)
        self.mixing_weights: MixingWeights = {}

    def forward(self, x: Tensor) -> Tensor:
        """Classifies with mixing weights that are sampled now.

        Raises:
            TrialError: The logits are not finite.
        """
        if self.training:
            weighted = self.options.settings.scaling == "importance"
            sample = self.logits.sample_with_probabilities if weighted else self.logits.sample
            self.mixing_weights = sample(self.options.mixing, self.temperature)
        else:
            self.mixing_weights = self.logits.probabilities()
        return self.run(x, self.mixing_weights)

    def network_parameters(self) -> list[nn.Parameter]:
        """Returns all parameters but the logits."""
        own = {id(parameter) for parameter in self.logits.parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in own]

    @abstractmethod
    def run(self, x: Tensor, weights: MixingWeights) -> Tensor:
        """Computes logits (N, outputs) with the given mixing weights.

        Args:
            x: Images (N, C, H, W).
            weights: Mixing weights of every choice.
        """

    @abstractmethod
    def cost(self, weights: MixingWeights) -> Tensor:
        """Returns the expected cost () relative to the largest network on 8x8 bits, differentiable in the weights.

        Args:
            weights: Mixing weights of every choice.
        """

    @abstractmethod
    def weights_of(self, architecture: Architecture) -> MixingWeights:
        """Returns one-hot mixing weights that run a single network of the space."""

    @abstractmethod
    def ranked(self) -> Iterator[tuple[Architecture, float]]:
        """Yields all networks with their probabilities, the most probable first."""

    def within(self, low: float, high: float) -> Iterator[tuple[Architecture, float]]:
        """Yields networks of a cost between two bounds with their probabilities, the most probable first.

        The `MOST` most probable networks are looked at; supernets whose costs add up over independent choices find the
        best by dynamic programming instead.

        Args:
            low: Smallest cost.
            high: Largest cost.
        """
        for architecture, probability in islice(self.ranked(), MOST):
            if low <= float(self.cost(self.weights_of(architecture))) <= high:
                yield architecture, probability


def most_probable(factors: Sequence[Sequence[float]]) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yields all combinations of options in the order of their probability.

    Args:
        factors: Probabilities of the options of every choice; choices are independent.

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
        for index, order in enumerate(orders):
            if ranks[index] + 1 < len(order):
                following = (*ranks[:index], ranks[index] + 1, *ranks[index + 1 :])
                if following not in seen:
                    seen.add(following)
                    heapq.heappush(heap, entry(following))

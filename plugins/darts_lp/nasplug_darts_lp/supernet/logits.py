"""The architecture parameters of a supernet: one vector of logits for every named choice."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from nasplug_darts_lp.supernet.mixing import Mixing
from nasplug_darts_lp.supernet.samples import mixing_weights

#: Mixing weights of the candidates of every choice, by name.
MixingWeights = dict[str, Tensor]
#: Ends the names of probabilities.
_PROBABILITIES = ":probabilities"


class Logits(nn.Module):
    """Logits of all choices, starting near zero.

    Args:
        sizes: Number of options of every choice, by name; a choice with one option does not need logits.
        plain: Choices whose mixing weights are always the softmax, whatever the mixing.
        spread: Standard deviation of the first logits; 1e-3 as in DARTS.
    """

    def __init__(self, sizes: Mapping[str, int], plain: Collection[str] = (), spread: float = 1e-3) -> None:
        super().__init__()
        self.sizes, self.plain = dict(sizes), frozenset(plain)
        for name, size in self.sizes.items():
            if size > 1:
                self.register_parameter(name, nn.Parameter(spread * torch.randn(size)))

    def sample(self, mixing: Mixing, temperature: float) -> MixingWeights:
        """Samples mixing weights of all choices.

        Args:
            mixing: Rule that makes mixing weights.
            temperature: Temperature, above 0.

        Raises:
            TrialError: Some logits are not finite.
        """
        softmax = Mixing("softmax")
        weights = {
            name: mixing_weights(softmax, logits, 1.0)
            if name in self.plain
            else mixing_weights(mixing, logits, temperature)
            for name, logits in self._items()
        }
        return weights | self._certain()

    def sample_with_probabilities(self, mixing: Mixing, temperature: float) -> MixingWeights:
        """Samples as `sample` does, and keeps the probabilities beside the weights; see `probabilities_of`.

        Raises:
            TrialError: Some logits are not finite.
        """
        probabilities = {f"{name}{_PROBABILITIES}": values for name, values in self.probabilities().items()}
        return self.sample(mixing, temperature) | probabilities

    def probabilities(self) -> MixingWeights:
        """Returns the softmax of the logits, without a gradient."""
        with torch.no_grad():
            return {name: torch.softmax(logits, dim=-1) for name, logits in self._items()} | self._certain()

    def derived(self) -> MixingWeights:
        """Returns weights that choose the most probable option of every choice, with the gradient of the softmax.

        Straight-through estimator: Bengio et al., arXiv 1308.3432.
        """
        weights = {}
        for name, logits in self._items():
            soft = torch.softmax(logits, dim=-1)
            hard = torch.nn.functional.one_hot(soft.argmax(), len(soft)).to(soft)
            weights[name] = hard + soft - soft.detach()
        return weights | self._certain()

    def one_hot(self, chosen: Mapping[str, int]) -> MixingWeights:
        """Returns mixing weights that choose one option of every choice named, and the first option of the others.

        Args:
            chosen: Index of the option, by name of the choice.
        """
        device = next((parameter.device for parameter in self.parameters()), torch.device("cpu"))
        weights = {}
        for name, size in self.sizes.items():
            weights[name] = torch.zeros(size, device=device)
            weights[name][chosen.get(name, 0)] = 1.0
        return weights

    def finite(self) -> bool:
        """Whether all logits are finite."""
        return all(bool(torch.isfinite(logits).all()) for _, logits in self._items())

    def _items(self) -> list[tuple[str, nn.Parameter]]:
        return list(self.named_parameters())

    def _certain(self) -> MixingWeights:
        device = next((parameter.device for parameter in self.parameters()), torch.device("cpu"))
        return {name: torch.ones(1, device=device) for name, size in self.sizes.items() if size == 1}


def probabilities_of(weights: MixingWeights, name: str) -> Tensor:
    """Returns the probabilities that a choice was sampled with, or its mixing weights where they are not kept.

    Args:
        weights: Mixing weights of all choices.
        name: Name of the choice.
    """
    return weights.get(f"{name}{_PROBABILITIES}", weights[name])

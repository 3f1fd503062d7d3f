"""The architecture parameters of a supernet: one vector of logits for every named choice."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from nasplug_darts_lp.supernet.mixing import Mixing

#: Weights of the candidates of every choice, by name.
Weights = dict[str, Tensor]
#: Ends the names of probabilities.
_CHANCE = ":chance"


class Logits(nn.Module):
    """Logits of all choices, starting near zero.

    Args:
        sizes: Number of options of every choice, by name; a choice with one option needs no logits.
        plain: Choices whose weights are always the softmax, whatever the mixing.
        spread: Standard deviation of the first logits; 1e-3 as in DARTS.
    """

    def __init__(self, sizes: Mapping[str, int], plain: Collection[str] = (), spread: float = 1e-3) -> None:
        super().__init__()
        self.sizes, self.plain = dict(sizes), frozenset(plain)
        for name, size in self.sizes.items():
            if size > 1:
                self.register_parameter(name, nn.Parameter(spread * torch.randn(size)))

    def draw(self, mixing: Mixing, temperature: float) -> Weights:
        """Weights of all choices.

        Raises:
            TrialError: Some logits are not finite.
        """
        softmax = Mixing("softmax")
        found = {
            name: softmax.weights(logits, 1.0) if name in self.plain else mixing.weights(logits, temperature)
            for name, logits in self._items()
        }
        return found | self._certain()

    def draw_with_chances(self, mixing: Mixing, temperature: float) -> Weights:
        """As `draw`, with the probabilities that the weights were drawn with beside them; see `chance`.

        Raises:
            TrialError: Some logits are not finite.
        """
        chances = {f"{name}{_CHANCE}": values for name, values in self.probabilities().items()}
        return self.draw(mixing, temperature) | chances

    def probabilities(self) -> Weights:
        """Softmax of the logits, without a gradient."""
        with torch.no_grad():
            return {name: torch.softmax(logits, dim=-1) for name, logits in self._items()} | self._certain()

    def one_hot(self, chosen: Mapping[str, int]) -> Weights:
        """Weights that choose one option of every choice named; the first option of the others.

        Args:
            chosen: Index of the option, by name.
        """
        device = next((parameter.device for parameter in self.parameters()), torch.device("cpu"))
        found = {}
        for name, size in self.sizes.items():
            found[name] = torch.zeros(size, device=device)
            found[name][chosen.get(name, 0)] = 1.0
        return found

    def finite(self) -> bool:
        """Whether all logits are."""
        return all(bool(torch.isfinite(logits).all()) for _, logits in self._items())

    def _items(self) -> list[tuple[str, nn.Parameter]]:
        return list(self.named_parameters())

    def _certain(self) -> Weights:
        device = next((parameter.device for parameter in self.parameters()), torch.device("cpu"))
        return {name: torch.ones(1, device=device) for name, size in self.sizes.items() if size == 1}


def chance(weights: Weights, name: str) -> Tensor:
    """Probabilities that the weights of a choice were drawn with; the weights themselves where they are not kept."""
    return weights.get(f"{name}{_CHANCE}", weights[name])

"""Bytes of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nasplug as nas
from nasplug.contract.errors import SpecError

if TYPE_CHECKING:
    from nasplug.cost.candidate import Candidate


class Template:
    """Bytes that the weights of a network take at a number of bits, before training.

    Args:
        bits: Bits of a weight.

    Raises:
        SpecError: A number of bits that is not positive.
    """

    def __init__(self, bits: int = 32) -> None:
        if bits < 1:
            raise SpecError(f"expected a positive number of bits, got {bits}", where="template")
        self.bits = bits

    @nas.hookimpl
    def cost(self, candidate: Candidate, target: object) -> dict[str, float]:
        """Prices one network; keys are the name of the cost, or start with it and a slash."""
        weights = sum(parameter.numel() for parameter in candidate.network.parameters())
        return {"template/bytes": weights * self.bits / 8}

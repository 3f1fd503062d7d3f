"""How one layer is quantised, as a record. Without torch, so that spaces can hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Precision:
    """Bits and quantisers of a layer's weights and inputs.

    Attributes:
        weight_bits: Bits of the weights, 1 to 8, or None for floating point.
        activation_bits: Bits of the input, 1 to 8, or None for floating point.
        activations: Kind of the activation quantiser; see `nasplug_darts_lp.quantisers.activation_quantiser`.
        weights: Kind of the weight quantiser; see `nasplug_darts_lp.quantisers.weight_quantiser`.
        options: Options of the activation quantiser, such as `{"squeeze": "sample"}`.
    """

    weight_bits: int | None = 4
    activation_bits: int | None = 4
    activations: str = "double_st"
    weights: str = "uniform"
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Reads flat settings; whatever is not an attribute is an option of the activation quantiser.

        Args:
            settings: Attributes and options by name, such as `{"weight_bits": 2, "squeeze": "sample"}`.
        """
        own = {entry.name for entry in fields(cls)} - {"options"}
        options = {name: value for name, value in settings.items() if name not in own}
        return cls(**{name: value for name, value in settings.items() if name in own}, options=options)

    @property
    def floating_point(self) -> bool:
        """Whether nothing is quantised."""
        return self.weight_bits is None and self.activation_bits is None

    def at(self, weight_bits: int | None, activation_bits: int | None) -> Self:
        """Returns the same quantisers at other bit widths."""
        return replace(self, weight_bits=weight_bits, activation_bits=activation_bits)

"""What a space must offer to be searched by gradients. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from nasplug_darts_lp.supernet.base import Supernet
    from nasplug_darts_lp.supernet.options import SupernetOptions


@runtime_checkable
class HasSupernet(Protocol):
    """A space whose networks share the weights of one large network."""

    def supernet(self, input_shape: Sequence[int], outputs: int, options: SupernetOptions) -> Supernet:
        """Makes the supernet.

        Args:
            input_shape: Shape (C, H, W) of one image.
            outputs: Number of classes.
            options: Options of the supernet.
        """

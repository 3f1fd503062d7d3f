"""Names quantised layers that a network never calls: their weights are used some other way, in floating point."""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle


class IdleLayers:
    """Watches the first forward pass of a network, and warns of the layers that did not run in it.

    Some networks read `self.qkv.weight` and multiply themselves. Such a layer is listed as quantised and never is.

    Args:
        layers: Quantised layers by name.
    """

    def __init__(self, layers: dict[str, nn.Module]) -> None:
        self._layers = layers
        self._ran: set[str] = set()
        self._handles: list[RemovableHandle] = []
        self._done = False

    def watch(self, network: nn.Module) -> None:
        """Starts to watch a network, unless it is one of the layers itself."""
        if all(network is not layer for layer in self._layers.values()):
            network.register_forward_pre_hook(self._before)
            network.register_forward_hook(self._after)

    def _before(self, network: nn.Module, args: Any) -> None:
        if self._done or self._handles:
            return
        for name, layer in self._layers.items():
            self._handles.append(layer.register_forward_hook(_Note(self._ran, name)))

    def _after(self, network: nn.Module, args: Any, output: Any) -> None:
        if self._done:
            return
        self._done = True
        while self._handles:
            self._handles.pop().remove()
        idle = [name for name in self._layers if name not in self._ran]
        if idle:
            shown = ", ".join(idle[:5]) + (f" and {len(idle) - 5} more" if len(idle) > 5 else "")
            warnings.warn(
                f"darts_lp.quantise: the first forward pass did not call {shown}: whatever uses their weights does so "
                "in floating point; leave them out by `skip`, or call the layers instead of reading their weights",
                stacklevel=2,
            )


class _Note:
    """Writes down that a layer ran."""

    def __init__(self, ran: set[str], name: str) -> None:
        self._ran, self._name = ran, name

    def __call__(self, layer: nn.Module, args: Any, output: Any) -> None:
        self._ran.add(self._name)

"""Floating-point operations of trainings, counted as they happen."""

from __future__ import annotations

from collections.abc import Mapping

from nasplug_cgap.learners.layers import Layers


class FlopMeter:
    """Adds up the operations of training steps, two for each multiply-accumulate.

    A step on one image costs the forward pass, the gradients of the inputs of all layers behind the first one that is
    trained, and the gradients of the weights that are not frozen: of a layer of which a share u is trained, u times the
    work of its forward pass. Normalisation, activation and the arithmetic of the optimiser are left out, as in the
    counts of the core.

    Args:
        layers: Layers of the network.

    Attributes:
        total: Operations so far.
    """

    def __init__(self, layers: Layers, total: float = 0.0) -> None:
        self._layers, self.total = layers, total
        self._rest = layers.macs - sum(layer.macs for layer in layers.layers)

    def forward(self, images: int) -> None:
        """Adds inferences.

        Args:
            images: Number of images.
        """
        self.total += 2.0 * self._layers.macs * images

    def train(self, images: int, free: Mapping[str, float] | None = None) -> None:
        """Adds training steps.

        Args:
            images: Number of images, each counted as often as it is trained on.
            free: Share of the units of a layer that is trained, by name of the layer; 1 where it is not named.
        """
        self.total += 2.0 * self.step(free) * images

    def step(self, free: Mapping[str, float] | None = None) -> float:
        """Returns the multiply-accumulates of one training step on one image.

        Args:
            free: See `train`.
        """
        shares = free or {}
        macs, trained = float(self._layers.macs), False
        for layer in self._layers.layers:
            share = shares.get(layer.name, 1.0)
            if trained:
                macs += layer.macs  # the gradient of its input
            macs += share * layer.macs
            trained = trained or share > 0.0
        return macs + 2.0 * self._rest

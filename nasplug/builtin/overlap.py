"""Weights of another architecture: what both networks have is copied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nasplug.contract.hookspecs import hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nasplug.evaluate.trialrun import TrialRun


class Overlap:
    """Copies weights by name, and of tensors that differ in size the slices that both have.

    A layer of 16 channels that starts from one of 8 takes over those 8 and keeps 8 as they were initialised; one of 4
    takes over the first 4. Tensors that only one of the two networks has, or that differ in their number of dimensions,
    stay as they are. Buffers such as the running means of batch normalisation are copied like weights.

    Names decide what belongs together, so the architectures must name equal layers equally. Nothing is claimed about
    what the child computes; methods that keep the function of the parent need a hook of their own.
    """

    @hookimpl
    def inherit(self, run: TrialRun, network: nn.Module, weights: Mapping[str, Tensor]) -> bool | None:
        """Copies what overlaps; None if nothing does."""
        import torch

        copied = 0
        with torch.no_grad():
            for name, tensor in network.state_dict().items():
                source = weights.get(name)
                if source is None or source.ndim != tensor.ndim or 0 in tensor.shape:
                    continue
                common = tuple(slice(min(sizes)) for sizes in zip(tensor.shape, source.shape, strict=True))
                tensor[common] = source[common].to(tensor)
                copied += 1
        return True if copied else None

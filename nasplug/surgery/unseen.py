"""Layers with parts that a pass without numbers does not run, so that nobody sees what follows their channels."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from nasplug.surgery.trace import Trace

#: Layers of torch that compute with weights of their own and have no layers inside.
_LAYERS = (_ConvNd, nn.Linear, nn.Bilinear, nn.Embedding, _NormBase, nn.LayerNorm, nn.GroupNorm)


def fix_unseen(trace: Trace, network: nn.Module) -> None:
    """Fixes the channels of layers that hold modules which did not run, such as quantisers of their weights.

    Args:
        trace: Trace of all passes; its book learns which channels cannot change.
        network: Network that was followed.
    """
    for name, layer in network.named_modules():
        hidden = next(_hidden(trace, name, layer), None)
        if hidden is None:
            continue
        reason = (
            f"{name or 'the network'} (a {type(layer).__name__}) holds {hidden!r}, which does not run without numbers; "
            "edit the network before such layers are put into it"
        )
        for tensor, _ in layer.named_parameters(prefix=name, recurse=False):
            trace.book.fix(trace.state.get(tensor, ()), reason)


def _hidden(trace: Trace, name: str, layer: nn.Module) -> Iterator[str]:
    if name not in trace.passed or not isinstance(layer, _LAYERS) or type(layer).__module__.startswith("torch."):
        return
    for inner, _ in layer.named_modules(prefix=name):
        if inner not in trace.passed:
            yield inner.removeprefix(f"{name}.")

"""Lazy layers, whose sizes torch knows after the first call only: they are settled before anybody asks."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

from nasplug.contract.io import inputs_of

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.protocols import Task


def settled(network: nn.Module, task: Task | None) -> nn.Module:
    """Gives lazy layers their sizes by one call with an example of the task's inputs.

    Costs, weights and edits need them before the first training batch. A network that the example does not fit stays
    as it is: its training says why.

    Args:
        network: Network as the space has built it.
        task: Task that says what the network is called with; None leaves the network as it is.

    Returns:
        The same network.
    """
    import torch
    from torch.nn.parameter import is_lazy

    if task is None or not isinstance(network, torch.nn.Module):
        return network
    if not any(is_lazy(item) for item in itertools.chain(network.parameters(), network.buffers())):
        return network
    modes = [(module, module.training) for module in network.modules()]
    with contextlib.suppress(Exception), torch.no_grad():  # whatever a forward raises
        args, kwargs = inputs_of(task).example()
        network.eval()(*args, **kwargs)
    for module, training in modes:
        module.training = training
    return network
